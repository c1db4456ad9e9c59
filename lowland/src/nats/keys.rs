//! Secrets of the data folder: an nkey seed a service, a password and an API key a tenant. Made once, kept in
//! `keys/`, a file each.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nkeys::{KeyPair, KeyPairType};
use rand::{RngExt, distr::Alphanumeric};

use super::permissions::Role;
use crate::folders::{Data, write_secret};
use lowland_events::id::AccountId;

/// Characters of a random password or API key (62 values each: about 190 bits).
const SECRET_CHARS: usize = 32;
/// What an API key begins with, so that people and secret scanners know one when they see it.
pub const API_KEY_PREFIX: &str = "sk-lowland-";

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder of keys cannot be used.
    #[error("key file: {0}")]
    Io(#[from] io::Error),
    /// An account that was never given keys here.
    #[error("there are no keys of an account {account:?} here ({path} is not there)", account = account.as_str())]
    NoSuchAccount {
        /// The account.
        account: AccountId,
        /// The file that would hold one.
        path: PathBuf,
    },
    /// A file that does not hold a seed.
    #[error("{path} does not hold an nkey seed ({problem}); remove it to have a new one made")]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// File that holds the seed of a role's user.
pub fn seed_file(data: &Data, role: &Role) -> PathBuf {
    data.keys().join(format!("{}.nk", role.user()))
}

/// The public key of a role's user; its seed is made when it is not there.
pub fn public_key(data: &Data, role: &Role) -> Result<String, Error> {
    let path = seed_file(data, role);
    if !path.exists() {
        let pair = KeyPair::new(KeyPairType::User);
        let seed = pair.seed().map_err(|error| bad(&path, &error))?;
        write_secret(&path, seed.as_bytes())?;
    }
    let seed = fs::read_to_string(&path)?;
    let pair = KeyPair::from_seed(seed.trim()).map_err(|error| bad(&path, &error))?;
    Ok(pair.public_key())
}

fn bad(path: &Path, error: &nkeys::error::Error) -> Error {
    Error::Seed { path: path.to_owned(), problem: error.to_string() }
}

/// A tenant's password on the bus.
pub fn password(data: &Data, account: &AccountId) -> Result<String, Error> {
    secret(password_file(data, account), "")
}

/// A tenant's API key at the gateway.
pub fn api_key(data: &Data, account: &AccountId) -> Result<String, Error> {
    secret(api_key_file(data, account), API_KEY_PREFIX)
}

/// A tenant's password, where it was made before.
pub fn password_kept(data: &Data, account: &AccountId) -> Result<String, Error> {
    kept(&password_file(data, account), account)
}

/// A tenant's API key, where it was made before.
pub fn api_key_kept(data: &Data, account: &AccountId) -> Result<String, Error> {
    kept(&api_key_file(data, account), account)
}

fn password_file(data: &Data, account: &AccountId) -> PathBuf {
    data.keys().join(format!("{account}.password"))
}

fn api_key_file(data: &Data, account: &AccountId) -> PathBuf {
    data.keys().join(format!("{account}.api-key"))
}

fn kept(path: &Path, account: &AccountId) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::NoSuchAccount { account: account.clone(), path: path.to_owned() })
        }
        Err(error) => Err(error.into()),
    }
}

fn secret(path: PathBuf, prefix: &str) -> Result<String, Error> {
    if !path.exists() {
        write_secret(&path, format!("{prefix}{}", random_text()).as_bytes())?;
    }
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

fn random_text() -> String {
    rand::rng().sample_iter(Alphanumeric).take(SECRET_CHARS).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_made_once_and_are_their_owners() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path().join("data")).unwrap();
        let demo = AccountId::new("demo").unwrap();
        let first = (public_key(&data, &Role::Billing).unwrap(), password(&data, &demo).unwrap());
        assert_eq!(first, (public_key(&data, &Role::Billing).unwrap(), password(&data, &demo).unwrap()));
        assert_ne!(first.0, public_key(&data, &Role::Gateway).unwrap());
        assert!(first.0.starts_with('U'), "a user's key: {}", first.0);
        assert_eq!(first.1.len(), SECRET_CHARS);
        for entry in fs::read_dir(data.keys()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        }
        assert_eq!(fs::metadata(data.keys()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_damaged_seed_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        fs::write(seed_file(&data, &Role::Gateway), "not a seed").unwrap();
        let error = public_key(&data, &Role::Gateway).unwrap_err().to_string();
        assert!(error.contains("gateway.nk") && error.contains("remove it"), "{error}");
    }
}
