//! A whole system: `lowland up` with NATS and every service as processes of their own, in a data folder of its own.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    ops::Deref,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{binary, bounded, python::Python, site::Site};

/// Longest time until everything is ready, downloads of a first run included.
const UP_WITHIN: Duration = Duration::from_secs(1800);
/// Longest time until everything has stopped.
const DOWN_WITHIN: Duration = Duration::from_secs(60);
/// Longest time for one script.
const SCRIPT_WITHIN: Duration = Duration::from_secs(600);
/// Lines of each process's log that a failure shows.
const LOG_LINES_SHOWN: usize = 25;

/// How a system is set up.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Worker processes.
    pub workers: u8,
    /// Models to serve (`echo:NAME:MS` is an echo); the default ones, if empty.
    pub models: Vec<String>,
    /// Jobs that a worker takes at once, if another number than its own default is wanted.
    pub slots: Option<u32>,
    /// The price book, if another than the sample is wanted.
    pub prices: Option<String>,
    /// API keys of accounts beside the tenant's own.
    pub keys: Vec<(String, String)>,
    /// What is added to the environment of all processes.
    pub env: Vec<(String, String)>,
}

/// A running system; it is stopped when this is dropped. One runs at a time: they would take each other's processor.
pub struct System {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    line: String,
    site: Site,
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl System {
    /// Starts a system with so many workers and waits until all of it is ready.
    #[must_use]
    pub fn up(workers: u8) -> Self {
        Self::of(&Setting { workers, ..Setting::default() })
    }

    /// Starts a system and waits until all of it is ready.
    #[must_use]
    pub fn of(setting: &Setting) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a temporary folder");
        setting.write(&folder.path().join("data"));
        let errors = File::create(folder.path().join("up.log")).expect("a file in it");
        let [gateway, nats] = free_ports();
        let mut command = Command::new(binary::path());
        command
            .args(["up", "--json", "--workers", &setting.workers.to_string()])
            .args(["--port", &gateway.to_string(), "--nats-port", &nats.to_string(), "--data"])
            .arg(folder.path().join("data"))
            .env_remove("LOWLAND_NATS_URL")
            .envs(setting.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        if !setting.models.is_empty() {
            command.args(["--models", &setting.models.join(",")]);
        }
        if let Some(slots) = setting.slots {
            command.env("LOWLAND_SLOTS", slots.to_string());
        }
        let child = command.spawn().expect("lowland can be started");
        let mut system =
            Self { child, stdout: None, line: String::new(), site: Site::default(), folder, _turn: turn };
        system.read_line();
        system
    }

    /// The one line that says that all is ready.
    fn read_line(&mut self) {
        let stdout = self.child.stdout.take().expect("it is piped");
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            let read = reader.read_line(&mut line);
            let _ = send.send((reader, line, read));
        });
        let (reader, line, read) =
            receive.recv_timeout(UP_WITHIN).expect("lowland up says in time that it is ready");
        read.expect("its output can be read");
        self.site = Site::of(&line);
        self.stdout = Some(reader);
        self.line = line;
    }

    /// Plays a Python script against the system and gives its report, its last line.
    pub fn play(&self, python: &Python, script: &str, arguments: &[&str]) -> Value {
        let outcome = python.script(script, arguments, &self.line, SCRIPT_WITHIN);
        assert!(
            outcome.succeeded(),
            "{script} {arguments:?} ended with {:?}:\n{}",
            outcome.status,
            outcome.output
        );
        let last = outcome.output.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|_| panic!("{script} made no report:\n{}", outcome.output))
    }

    /// The supervisor, whose children they are.
    pub fn supervisor(&self) -> u32 {
        self.child.id()
    }

    /// Stops everything, and holds it to having said no more than its one line.
    pub fn down(mut self) {
        self.ask_to_stop();
        let status = bounded::ended_within(&mut self.child, DOWN_WITHIN).expect("lowland up stops in time");
        assert!(status.success(), "lowland up ended with {status}");
        let mut rest = String::new();
        let mut stdout = self.stdout.take().expect("it was read when it started");
        stdout.read_to_string(&mut rest).expect("its output can be read");
        assert_eq!(rest, "", "lowland up --json prints one line");
    }

    fn ask_to_stop(&self) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id fits its type");
        // SAFETY: a signal to a process that we started and have not yet waited for, so the id is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }

    /// The ends of all logs, for whoever reads a failure.
    fn show_logs(&self) {
        let mut logs = vec![self.folder.path().join("up.log")];
        let services = fs::read_dir(self.folder.path().join("data/logs")).into_iter().flatten().flatten();
        logs.extend(services.map(|entry| entry.path()));
        for log in logs {
            eprintln!("--- the end of {}\n{}", log.display(), tail(&log));
        }
    }
}

impl Deref for System {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Setting {
    /// Writes the files that a new data folder begins with.
    fn write(&self, data: &Path) {
        fs::create_dir_all(data).expect("a folder in a temporary one");
        if let Some(prices) = &self.prices {
            fs::write(data.join("prices.toml"), prices).expect("a file in it");
        }
        let keys: String = self.keys.iter().map(|(account, key)| key_entry(account, key)).collect();
        if !keys.is_empty() {
            fs::write(data.join("keys.toml"), keys).expect("a file in it");
        }
    }
}

fn key_entry(account: &str, key: &str) -> String {
    let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[key]]\nsha256 = \"{digest}\"\naccount = \"{account}\"\nname = \"of the tests\"\n")
}

impl Drop for System {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_logs();
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            self.ask_to_stop();
            if bounded::ended_within(&mut self.child, DOWN_WITHIN).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut last: VecDeque<&str> = VecDeque::new();
    for line in text.lines() {
        last.push_back(line);
        if last.len() > LOG_LINES_SHOWN {
            last.pop_front();
        }
    }
    Vec::from(last).join("\n")
}

/// A port that nobody has just now.
fn free_ports<const N: usize>() -> [u16; N] {
    // All at once, so that none is chosen twice.
    let held = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port"));
    held.each_ref().map(|listener| listener.local_addr().expect("a bound socket has an address").port())
}
