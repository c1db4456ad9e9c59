//! Damaged and hostile GGUF files: always an error that says where, never a panic, never memory that the file doesn't earn.

use lowland_engine::import::gguf::{Array, File, Header, Problem, Value};
use proptest::prelude::*;

use super::gguf_file::GgufFile;
use super::golden;

fn good() -> Vec<u8> {
    std::fs::read(golden::path("tiny-llama3.gguf")).unwrap()
}

fn copy() -> GgufFile {
    GgufFile::copy(&File::open(&golden::path("tiny-llama3.gguf")).unwrap())
}

fn problem(bytes: &[u8]) -> Problem {
    Header::parse(bytes).expect_err("the header is refused").problem
}

/// A file with metadata of one entry, whose value begins with `value`.
fn one_entry(value: &[u8]) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(3u64.to_le_bytes());
    bytes.extend(b"key");
    bytes.extend(value);
    bytes
}

#[test]
fn the_test_writer_and_the_reader_agree() {
    let header = Header::parse(&copy().bytes()).unwrap();
    let original = File::open(&golden::path("tiny-llama3.gguf")).unwrap();
    assert_eq!(header.version, 3);
    assert_eq!(header.metadata.len(), original.metadata().len());
    assert!(header.tensors.keys().eq(original.tensors().keys()));
    assert_eq!(header.metadata["llama.block_count"], Value::Unsigned(2));
    assert_eq!(header.tensors["output.weight"].bytes(), 64 * 32 * 2);
}

#[test]
fn every_truncation_is_an_error_that_names_a_field() {
    let bytes = good();
    // Every length of the header, and some of the data behind it.
    for length in (0..8_000).chain((8_000..bytes.len()).step_by(997)).chain([bytes.len() - 1]) {
        let error = Header::parse(&bytes[..length]).expect_err("a truncated file is refused");
        assert!(!error.field.is_empty() && error.offset <= length, "{length}: {error}");
    }
    Header::parse(&bytes).unwrap();
}

#[test]
fn counts_are_checked_before_memory_is_taken() {
    for at in [8, 16] {
        let mut bytes = good();
        bytes[at..at + 8].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
        assert!(matches!(problem(&bytes), Problem::Count { .. }), "count at {at}");
    }
    let array = |kind: u32, count: u64| {
        let mut value = 9u32.to_le_bytes().to_vec();
        value.extend(kind.to_le_bytes());
        value.extend(count.to_le_bytes());
        one_entry(&value)
    };
    assert!(matches!(problem(&array(8, 1 << 60)), Problem::Count { left: 0, most: 0, .. }));
    assert!(matches!(problem(&array(0, 1)), Problem::Count { .. }));
    assert_eq!(problem(&array(9, 1)), Problem::NestedArray);
    assert_eq!(problem(&array(77, 1)), Problem::ValueType(77));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(problem(b"PK\x03\x04 and more"), Problem::Magic(*b"PK\x03\x04"));
    assert_eq!(problem(b"GGUF\x01\0\0\0"), Problem::Version(1));
    assert_eq!(problem(b"GGUF\0\0\0\x03"), Problem::BigEndian);
    assert_eq!(problem(&one_entry(&[13, 0, 0, 0])), Problem::ValueType(13));
    assert_eq!(problem(&one_entry(&[7, 0, 0, 0, 2])), Problem::Bool(2));
    assert_eq!(problem(&one_entry(&[8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xFF])), Problem::Utf8);
    let error = Header::parse(&one_entry(&[8, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, b'x'])).unwrap_err();
    assert_eq!(error.to_string(), "GGUF, byte 47, key: the file ends here (200 bytes needed, 1 left)");
}

#[test]
fn tensors_lie_inside_the_file_and_where_they_are_aligned() {
    let mut file = copy();
    file.tensors[0].1 = vec![32, 1 << 40];
    assert!(matches!(problem(&file.bytes()), Problem::OutOfFile { .. }));
    file.tensors[0].1 = vec![1 << 40, 1 << 40];
    assert_eq!(problem(&file.bytes()), Problem::Elements);
    file.tensors[0].1 = vec![0, 5];
    assert_eq!(problem(&file.bytes()), Problem::Elements);
    file.tensors[0].1 = vec![1; 5];
    assert_eq!(problem(&file.bytes()), Problem::Dimensions(5));
    file.tensors[0].1 = vec![];
    assert_eq!(problem(&file.bytes()), Problem::Dimensions(0));
    let mut file = copy();
    let double = file.tensors[0].clone();
    file.tensors.push(double);
    assert_eq!(problem(&file.bytes()), Problem::Duplicate);
    let mut file = copy();
    file.set("general.alignment", Value::Unsigned(24));
    assert_eq!(problem(&file.bytes()), Problem::Alignment(24));
    file.set("general.alignment", Value::Unsigned(4096));
    assert!(matches!(problem(&file.bytes()), Problem::Misaligned(_, 4096)));
}

#[test]
fn a_model_that_contradicts_itself_is_refused_by_name() {
    let cases: [(&str, Option<Value>, &str); 14] = [
        ("general.architecture", None, "general.architecture: is missing"),
        ("general.architecture", Some(Value::String("mamba".into())), "architecture \"mamba\""),
        ("llama.block_count", None, "llama.block_count: is missing"),
        ("llama.block_count", Some(Value::Unsigned(0)), "llama.block_count"),
        ("llama.block_count", Some(Value::Unsigned(u64::MAX)), "llama.block_count"),
        ("llama.block_count", Some(Value::Unsigned(3)), "blk.2.attn_norm.weight: is missing"),
        (
            "llama.embedding_length",
            Some(Value::Unsigned(64)),
            "token_embd.weight: is 64 x 32, should be 64 x 64",
        ),
        ("llama.attention.head_count_kv", Some(Value::Unsigned(3)), "can't share"),
        ("llama.expert_count", Some(Value::Unsigned(8)), "expert_count"),
        ("llama.attention.sliding_window", Some(Value::Unsigned(16)), "sliding_window"),
        ("split.count", Some(Value::Unsigned(3)), "3 parts"),
        ("llama.rope.scaling.type", Some(Value::String("yarn".into())), "yarn"),
        ("tokenizer.ggml.eos_token_id", Some(Value::Unsigned(64)), "tokenizer.ggml.eos_token_id"),
        ("tokenizer.ggml.tokens", Some(Value::Array(Array::Strings(vec!["a".into()]))), "tokenizer"),
    ];
    for (key, value, expected) in cases {
        let mut file = copy();
        file.drop_key(key);
        if let Some(value) = value {
            file.set(key, value);
        }
        let error = file.import_error();
        assert!(error.contains(expected), "{key}: {error}");
    }
}

#[test]
fn tensors_that_the_graph_has_no_place_for_are_refused() {
    for name in ["blk.0.attn_output.bias", "blk.2.attn_q.weight", "cls.output.weight"] {
        let mut file = copy();
        let mut other = file.tensors[0].clone();
        other.0 = name.to_owned();
        file.tensors.push(other);
        let error = file.import_error();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let mut file = copy();
    let embedding = file.tensors.iter_mut().find(|tensor| tensor.0 == "token_embd.weight").unwrap();
    embedding.3[100..102].copy_from_slice(&[0, 0x7C]);
    let error = file.import_error();
    assert!(error.contains("token_embd.weight") && error.contains("infinite"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes change, parsing ends, and what it accepts can be read to the last row.
    #[test]
    fn mutated_files_never_panic(changes in prop::collection::vec((0usize..8000, any::<u8>()), 1..6), cut in 0usize..48_000) {
        let mut bytes = good();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mutated.gguf");
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(file) = File::open(&path) {
            for name in file.tensors().keys() {
                let tensor = file.tensor(name).unwrap();
                tensor.read_row(tensor.rows - 1, &mut vec![0.0; tensor.columns]);
            }
        }
    }

    /// Bytes that only begin like a GGUF file.
    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(&noise);
        let _ = Header::parse(&bytes);
        let mut bytes = one_entry(&noise);
        bytes.extend(&noise);
        let _ = Header::parse(&bytes);
    }
}
