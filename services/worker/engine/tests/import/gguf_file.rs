//! Writes GGUF files, so that tests can change one thing in a good one.

use lowland_engine::import::gguf::{Array, File, Value};
use lowland_engine::import::tensor::TensorType;
use lowland_engine::import::{Options, import};

const ALIGNMENT: usize = 32;

/// A GGUF file to be.
#[derive(Clone, Default)]
pub(crate) struct GgufFile {
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<(String, Vec<usize>, TensorType, Vec<u8>)>,
}

impl GgufFile {
    pub(crate) fn copy(file: &File) -> GgufFile {
        let metadata = file.metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let tensors = file.tensors().iter().map(|(name, info)| {
            let tensor = file.tensor(name).unwrap();
            (name.clone(), info.dimensions.clone(), tensor.kind, tensor.bytes().to_vec())
        });
        GgufFile { metadata, tensors: tensors.collect() }
    }

    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.metadata.retain(|(old, _)| old != key);
        self.metadata.push((key.to_owned(), value));
    }

    pub(crate) fn drop_key(&mut self, key: &str) {
        self.metadata.retain(|(old, _)| old != key);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            string(&mut out, key);
            write_value(&mut out, value);
        }
        let mut offset = 0usize;
        for (name, dimensions, kind, bytes) in &self.tensors {
            string(&mut out, name);
            out.extend((dimensions.len() as u32).to_le_bytes());
            dimensions.iter().for_each(|&dimension| out.extend((dimension as u64).to_le_bytes()));
            out.extend(id(*kind).to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset = (offset + bytes.len()).next_multiple_of(ALIGNMENT);
        }
        for (_, _, _, bytes) in &self.tensors {
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
            out.extend(bytes);
        }
        out
    }

    /// What the import of this file says is wrong with it.
    pub(crate) fn import_error(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (path, out) = (folder.path().join("model.gguf"), folder.path().join("out"));
        std::fs::write(&path, self.bytes()).unwrap();
        let error =
            import(&path, &out, &Options::default(), &mut |_| {}).expect_err("the import fails").to_string();
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["model.gguf"], "nothing is left behind");
        error
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    let kind: u32 = match value {
        Value::Unsigned(_) => 10,
        Value::Signed(_) => 11,
        Value::Float(_) => 12,
        Value::Bool(_) => 7,
        Value::String(_) => 8,
        Value::Array(_) => 9,
    };
    out.extend(kind.to_le_bytes());
    match value {
        Value::Unsigned(value) => out.extend(value.to_le_bytes()),
        Value::Signed(value) => out.extend(value.to_le_bytes()),
        Value::Float(value) => out.extend(value.to_le_bytes()),
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::String(value) => string(out, value),
        Value::Array(array) => write_array(out, array),
    }
}

fn write_array(out: &mut Vec<u8>, array: &Array) {
    let mut head = |kind: u32, length: usize| {
        out.extend(kind.to_le_bytes());
        out.extend((length as u64).to_le_bytes());
    };
    match array {
        Array::Integers(all) => {
            head(11, all.len());
            all.iter().for_each(|one| out.extend(one.to_le_bytes()));
        }
        Array::Floats(all) => {
            head(12, all.len());
            all.iter().for_each(|one| out.extend(one.to_le_bytes()));
        }
        Array::Bools(all) => {
            head(7, all.len());
            all.iter().for_each(|one| out.push(u8::from(*one)));
        }
        Array::Strings(all) => {
            head(8, all.len());
            all.iter().for_each(|one| string(out, one));
        }
    }
}

fn id(kind: TensorType) -> u32 {
    match kind {
        TensorType::F32 => 0,
        TensorType::F16 => 1,
        TensorType::Q8_0 => 8,
        other => panic!("{other:?} is in no test file"),
    }
}
