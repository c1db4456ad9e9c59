//! A whole system: `lowland up` with NATS and every service as processes of their own, in a data folder of its own.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use lowland_events::log::{
    SharedLog,
    jetstream::{Connection, Credentials, JetStreamLog},
};
use serde_json::Value;

use crate::{binary, bounded, python::Python};

/// Longest time until everything is ready, downloads of a first run included.
const UP_WITHIN: Duration = Duration::from_secs(1800);
/// Longest time until everything has stopped.
const DOWN_WITHIN: Duration = Duration::from_secs(60);
/// Longest time for one script.
const SCRIPT_WITHIN: Duration = Duration::from_secs(600);
/// Lines of each process's log that a failure shows.
const LOG_LINES_SHOWN: usize = 25;
/// Inboxes of the operator, who may read the whole log.
const OPERATOR_INBOX: &str = "_INBOX_operator";

/// A running system; it is stopped when this is dropped. One runs at a time: they would take each other's processor.
pub struct System {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    line: String,
    up: Value,
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl System {
    /// Starts a system with so many workers and waits until all of it is ready.
    #[must_use]
    pub fn up(workers: u8) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let program = binary::path();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let errors = File::create(folder.path().join("up.log")).expect("a file in it");
        let (gateway, nats) = (free_port(), free_port());
        let child = Command::new(program)
            .args(["up", "--json", "--workers", &workers.to_string()])
            .args(["--port", &gateway.to_string(), "--nats-port", &nats.to_string(), "--data"])
            .arg(folder.path().join("data"))
            .env_remove("LOWLAND_NATS_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("lowland can be started");
        let mut system =
            Self { child, stdout: None, line: String::new(), up: Value::Null, folder, _turn: turn };
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
        self.up =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("lowland up said {line:?}: {error}"));
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

    /// The log, as the operator reads it.
    pub async fn log(&self) -> SharedLog {
        let seed = fs::read_to_string(self.data().join("keys/operator.nk")).expect("the operator has a key");
        let connection = Connection {
            url: self.up["nats_url"].as_str().expect("an address").to_owned(),
            credentials: Credentials::NkeySeed(seed.trim().to_owned()),
            name: "lowland tests".into(),
            inbox_prefix: Some(OPERATOR_INBOX.into()),
        };
        std::sync::Arc::new(JetStreamLog::connect(&connection).await.expect("the operator may connect"))
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

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The ends of all logs, for whoever reads a failure.
    fn show_logs(&self) {
        let mut logs = vec![self.folder.path().join("up.log")];
        let services = fs::read_dir(self.data().join("logs")).into_iter().flatten().flatten();
        logs.extend(services.map(|entry| entry.path()));
        for log in logs {
            eprintln!("--- the end of {}\n{}", log.display(), tail(&log));
        }
    }
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
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
