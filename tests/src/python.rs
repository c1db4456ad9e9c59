//! Python with the official clients, in a virtual environment that is made once for each list of pinned versions.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    binary,
    bounded::{self, Outcome},
    missing,
};

/// Folder of the scripts.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
/// The packages, with their versions.
const REQUIREMENTS: &str = include_str!("../python/requirements.txt");
/// Longest time for making the environment.
const INSTALL_WITHIN: Duration = Duration::from_secs(900);

/// An environment with everything that the scripts import.
pub struct Python {
    program: PathBuf,
}

impl Python {
    /// The environment below `cache`, made if it is not there. Ends the test if it cannot be.
    #[must_use]
    pub fn below(cache: &Path) -> Self {
        let folder = cache.join(format!("python-{:016x}", fingerprint()));
        fs::create_dir_all(&folder).expect("cargo's folder for tests can be written to");
        let lock = File::create(folder.join("lock")).expect("a file can be made in it");
        lock.lock().expect("the file system has locks");
        let python = Self { program: folder.join("venv/bin/python") };
        let complete = folder.join("complete");
        if !complete.exists() {
            python.install(&folder.join("venv"));
            fs::write(&complete, REQUIREMENTS).expect("a file can be made in it");
        }
        python
    }

    fn install(&self, venv: &Path) {
        let base = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let requirements = format!("{SCRIPTS}/requirements.txt");
        step(
            Command::new(&base).args(["-m", "venv", "--clear"]).arg(venv),
            "install Python 3.10 or newer with its venv module (Debian: apt-get install python3-venv), or name one in $PYTHON",
        );
        step(
            Command::new(&self.program).args(["-m", "pip", "install", "--quiet", "-r", &requirements]),
            &format!("make the package index reachable, then try: {base} -m pip download -r {requirements}"),
        );
    }

    /// Runs one of the scripts.
    pub fn script(&self, name: &str, arguments: &[&str], up: &str, limit: Duration) -> Outcome {
        let mut command = Command::new(&self.program);
        command
            .arg(format!("{SCRIPTS}/{name}"))
            .args(arguments)
            .env("LOWLAND_UP", up)
            .env("LOWLAND_PROGRAM", binary::path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1");
        bounded::run(&mut command, limit).expect("the environment's Python can be started")
    }
}

fn step(command: &mut Command, mend: &str) {
    match bounded::run(command, INSTALL_WITHIN) {
        Ok(outcome) if outcome.succeeded() => {}
        Ok(outcome) => missing(&format!("{command:?} failed:\n{}", outcome.output), mend),
        Err(error) => missing(&format!("{command:?} cannot be run: {error}"), mend),
    }
}

fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    REQUIREMENTS.hash(&mut hasher);
    hasher.finish()
}
