//! What others may know of a running system: the lock that says that it runs, and `up.json` that says what.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::folders::{Data, write_secret};

/// The line that `lowland up --json` prints, and `run/up.json`. Holds secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Up {
    /// The gateway, `http://127.0.0.1:8080`; absent where no gateway runs.
    pub gateway_url: Option<String>,
    /// The bus, `nats://127.0.0.1:4222`.
    pub nats_url: String,
    /// A tenant's user on the bus.
    pub nats_user: String,
    /// Its password.
    pub nats_password: String,
    /// The same tenant's key at the gateway.
    pub api_key: String,
    /// URL of each process that answers 200 when it is ready.
    pub health: BTreeMap<String, String>,
    /// Process id of each process.
    pub pids: BTreeMap<String, u32>,
    /// Process id of the supervisor.
    pub supervisor: u32,
    /// The data folder.
    pub data: PathBuf,
}

/// Held for as long as the system runs; the kernel lets go of it however the supervisor ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error(
        "it is running already (process {pid}, data folder {data}): see `lowland status`, stop it with `lowland down`, or give another folder with --data"
    )]
    Held {
        /// The supervisor.
        pid: u32,
        /// The data folder.
        data: String,
    },
    /// The file cannot be used.
    #[error("{path}: {cause}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

fn lock_path(data: &Data) -> PathBuf {
    data.run().join("lock")
}

fn up_path(data: &Data) -> PathBuf {
    data.run().join("up.json")
}

/// Takes the lock for this process.
pub fn lock(data: &Data) -> Result<RunLock, LockError> {
    let path = lock_path(data);
    let io = |cause| LockError::Io { path: path.clone(), cause };
    let open = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path);
    let mut file = open.map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = pid_in(&mut file).unwrap_or_default();
            return Err(LockError::Held { pid, data: data.root().display().to_string() });
        }
        Err(TryLockError::Error(cause)) => return Err(io(cause)),
    }
    write_pid(&mut file).map_err(io)?;
    Ok(RunLock { _file: file })
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    text.trim().parse().ok()
}

/// The supervisor's process id, while there is one.
pub fn supervisor(data: &Data) -> Option<u32> {
    let mut file = File::open(lock_path(data)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => pid_in(&mut file),
        _ => None,
    }
}

/// Writes `up.json`.
pub fn publish(data: &Data, up: &Up) -> io::Result<()> {
    let text = serde_json::to_vec(up).map_err(io::Error::other)?;
    write_secret(&up_path(data), &text)
}

/// Reads `up.json`; what it says holds while [`supervisor`] says that there is one.
pub fn read(data: &Data) -> Option<Up> {
    serde_json::from_slice(&fs::read(up_path(data)).ok()?).ok()
}

/// Removes `up.json`: everything was stopped in order.
pub fn withdraw(data: &Data) {
    let _ = fs::remove_file(up_path(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        assert_eq!(supervisor(&data), None);
        let held = lock(&data).unwrap();
        assert_eq!(supervisor(&data), Some(std::process::id()));
        let error = lock(&data).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()) && error.contains("lowland down"), "{error}");
        drop(held);
        assert_eq!(supervisor(&data), None);
        lock(&data).unwrap();
    }
}
