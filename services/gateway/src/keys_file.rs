//! The keys file on disk: read at start, read again while it changes.
//!
//! It is compared by its content, once a second: that costs next to nothing and misses no change, whatever tool wrote
//! it. A file that can't be used any more leaves the last good one in force, and says so.

use std::{path::Path, time::Duration};

use lowland_host::{Error, Host};
use tokio::sync::watch;

use crate::keys::{KEYS_BYTES_MAX, Keys};

/// Pause between two looks at the keys file, in milliseconds.
pub const KEYS_LOOK_MS: u64 = 1_000;

/// The keys in the file at `path`, from now on. Fails if there is no usable file now.
pub fn watch(host: &Host, path: &Path) -> Result<watch::Receiver<Keys>, Error> {
    let text = read(path)?;
    let keys = parse(path, &text)?;
    tracing::info!(keys = keys.count(), file = %path.display(), "API keys read");
    let (sender, receiver) = watch::channel(keys);
    let stop = host.stop.clone();
    tokio::spawn(stop.run_until_cancelled_owned(look(path.to_owned(), text, sender)));
    Ok(receiver)
}

async fn look(path: std::path::PathBuf, mut seen: String, sender: watch::Sender<Keys>) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(Duration::from_millis(KEYS_LOOK_MS)).await;
        let look = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || read(&path)).await
        };
        let Ok(look) = look else { continue };
        match look.and_then(|text| Ok((parse(&path, &text)?, text))) {
            Ok((keys, text)) => {
                told.clear();
                if text != seen {
                    tracing::info!(keys = keys.count(), "API keys read again");
                    seen = text;
                    sender.send_replace(keys);
                }
            }
            Err(error) => tell_once(&mut told, &error),
        }
    }
}

/// Says what is wrong, unless that was the last thing said.
fn tell_once(told: &mut String, error: &Error) {
    let text = error.to_string();
    if *told != text {
        tracing::error!(error = text, "the API keys read before stay in force");
        *told = text;
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let what = || format!("reading LOWLAND_KEYS={}", path.display());
    let length = std::fs::metadata(path).map_err(Error::io(what()))?.len();
    if length > KEYS_BYTES_MAX {
        return Err(Error::Other(format!("{}: it has {length} bytes, more than {KEYS_BYTES_MAX}", what())));
    }
    std::fs::read_to_string(path).map_err(Error::io(what()))
}

fn parse(path: &Path, text: &str) -> Result<Keys, Error> {
    Keys::parse(text).map_err(|error| Error::Other(format!("LOWLAND_KEYS={}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::log::memory::MemoryLog;
    use sha2::{Digest, Sha256};
    use std::sync::Arc;

    fn file(key: &str) -> String {
        let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[key]]\nsha256 = \"{digest}\"\naccount = \"acme\"\nname = \"n\"\n")
    }

    async fn until(keys: &mut watch::Receiver<Keys>, key: &str) {
        let known = keys.wait_for(|keys| keys.account(key).is_some());
        tokio::time::timeout(Duration::from_secs(30), known).await.expect("the file was read again").unwrap();
    }

    #[tokio::test]
    async fn changes_take_effect_and_faults_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let host = Host::over(Arc::new(MemoryLog::new()), "gateway");
        assert!(watch(&host, &path).is_err(), "there is no file");
        std::fs::write(&path, file("one")).unwrap();
        let mut keys = watch(&host, &path).unwrap();
        std::fs::write(&path, "nonsense").unwrap();
        tokio::time::sleep(Duration::from_millis(KEYS_LOOK_MS * 2)).await;
        assert!(keys.borrow().account("one").is_some(), "the last good file stays in force");
        std::fs::write(&path, file("two")).unwrap();
        until(&mut keys, "two").await;
        assert!(keys.borrow().account("one").is_none());
        host.stop.cancel();
    }
}
