//! Keys in files: one line of Base64 each, the private half readable by its owner alone.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::proto::handshake::{KEY_LEN, PublicKey, SharedKey, StaticKey};

/// Bytes of a key file that are looked at.
const FILE_BYTES_MAX: u64 = 4096;

/// A key could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The text is no key.
    #[error("{0} holds no key: a key is 32 bytes in Base64, 44 characters")]
    Malformed(String),
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    move |error| KeyError::File { path: path.to_owned(), error }
}

/// Makes a key pair and writes it to `path` and to `path` with `.pub` behind it; files that are there stay as they are.
///
/// # Errors
/// A file is there already or cannot be written.
pub fn generate(path: &Path) -> Result<StaticKey, KeyError> {
    let key = StaticKey::from_private(rand::random());
    write(path, key.private(), 0o600)?;
    let public = public_path(path);
    if let Err(error) = write(&public, &key.public().0, 0o644) {
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(key)
}

/// Where the public half of the key at `path` is.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn write(path: &Path, key: &[u8; KEY_LEN], mode: u32) -> Result<(), KeyError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path).map_err(file_error(path))?;
    writeln!(file, "{}", STANDARD.encode(key)).map_err(file_error(path))
}

fn read(path: &Path) -> Result<[u8; KEY_LEN], KeyError> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(file_error(path))?;
    io::Read::read_to_string(&mut io::Read::take(file, FILE_BYTES_MAX), &mut text)
        .map_err(file_error(path))?;
    decode(&text).ok_or_else(|| KeyError::Malformed(path.display().to_string()))
}

fn decode(text: &str) -> Option<[u8; KEY_LEN]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

/// The private key in a file.
///
/// # Errors
/// There is none.
pub fn static_key(path: &Path) -> Result<StaticKey, KeyError> {
    read(path).map(StaticKey::from_private)
}

/// The key in a file that both sides have: 32 random bytes in Base64.
///
/// # Errors
/// There is none.
pub fn shared_key(path: &Path) -> Result<SharedKey, KeyError> {
    read(path).map(SharedKey)
}

/// A public key: its Base64, or the file that holds it.
///
/// # Errors
/// It is neither.
pub fn public_key(text_or_path: &str) -> Result<PublicKey, KeyError> {
    match decode(text_or_path) {
        Some(key) => Ok(PublicKey(key)),
        None => read(Path::new(text_or_path)).map(PublicKey),
    }
}

/// A public key as people pass it on.
#[must_use]
pub fn public_text(key: &PublicKey) -> String {
    STANDARD.encode(key.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_as_it_was_written_and_never_written_over() {
        let folder =
            std::env::temp_dir().join(format!("acnp-keys-{}-{}", std::process::id(), rand::random::<u32>()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("key");
        let key = generate(&path).unwrap();
        assert_eq!(static_key(&path).unwrap().private(), key.private());
        let public = public_path(&path);
        assert_eq!(public_key(public.to_str().unwrap()).unwrap(), key.public());
        assert_eq!(public_key(&public_text(&key.public())).unwrap(), key.public());
        assert!(generate(&path).is_err());
        assert!(matches!(public_key("short"), Err(KeyError::File { .. })));
        fs::write(&path, "c2hvcnQ=\n").unwrap();
        assert!(matches!(static_key(&path), Err(KeyError::Malformed(_))));
        fs::remove_dir_all(folder).unwrap();
    }
}
