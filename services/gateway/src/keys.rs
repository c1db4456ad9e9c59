//! API keys: the file holds SHA-256 digests, never a key.
//!
//! A key is looked up by its digest in a hash map, so the time that takes says nothing about any key: whoever could
//! aim at a digest would have to invert SHA-256 first. SHA-256 without salt or stretching suits keys of at least 128
//! random bits, which ours are; it would not suit passwords.

use std::collections::HashMap;

use lowland_events::id::AccountId;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Largest keys file that is read, in bytes.
pub const KEYS_BYTES_MAX: u64 = 8 << 20;

/// SHA-256 of a key.
type Digest = [u8; 32];

/// The keys that are let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(HashMap<Digest, AccountId>);

/// A keys file that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is not TOML of the right shape.
    #[error("{0}")]
    Syntax(String),
    /// An entry is wrong.
    #[error("entry {entry} (`{name}`): {problem}")]
    Entry {
        /// Its place in the file, from 1.
        entry: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sha256: String,
    account: String,
    #[serde(default)]
    name: String,
}

impl Keys {
    /// Reads a keys file: `[[key]]` tables with `sha256` (64 hex digits), `account`, and a `name` for people.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let file: File = toml::from_str(text).map_err(|error| Invalid::Syntax(error.to_string()))?;
        let mut keys = HashMap::with_capacity(file.key.len());
        for (index, entry) in file.key.into_iter().enumerate() {
            let invalid =
                |problem: String| Invalid::Entry { entry: index + 1, name: entry.name.clone(), problem };
            let digest = digest_of_hex(&entry.sha256)
                .ok_or_else(|| invalid("`sha256` is to be 64 hexadecimal digits".into()))?;
            let account = AccountId::new(&entry.account).map_err(|error| invalid(error.to_string()))?;
            if keys.insert(digest, account).is_some() {
                return Err(invalid("the same `sha256` stands in the file twice".into()));
            }
        }
        Ok(Self(keys))
    }

    /// The account that `key` belongs to.
    #[must_use]
    pub fn account(&self, key: &str) -> Option<&AccountId> {
        let digest: Digest = Sha256::digest(key.as_bytes()).into();
        self.0.get(&digest)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

fn digest_of_hex(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(value(pair[0])? * 16 + value(pair[1])?).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `abc`, from FIPS 180-2's examples.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_key_opens_its_account() {
        let keys =
            Keys::parse(&format!("[[key]]\nsha256 = \"{ABC}\"\naccount = \"acme\"\nname = \"n\"")).unwrap();
        assert_eq!(keys.account("abc").unwrap().as_str(), "acme");
        assert_eq!(keys.account("abd"), None);
        assert_eq!(keys.account(""), None);
        assert_eq!(keys.account(ABC), None, "the digest is not the key");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let upper = ABC.to_uppercase();
        assert_eq!(Keys::parse("").unwrap().count(), 0);
        let entry = |sha256: &str, account: &str| {
            format!("[[key]]\nsha256 = \"{sha256}\"\naccount = \"{account}\"\nname = \"n\"\n")
        };
        for (text, wanted) in [
            (entry("12", "a"), "64 hexadecimal digits"),
            (entry(&ABC.replace('b', "g"), "a"), "64 hexadecimal digits"),
            (entry(ABC, "a.b"), "account id"),
            (entry(ABC, "a") + &entry(&upper, "b"), "entry 2 (`n`): the same `sha256`"),
            ("[[keys]]".into(), "unknown field"),
        ] {
            let error = Keys::parse(&text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
