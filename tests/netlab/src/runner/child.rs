//! A process of a run: in its namespace, ended with us, its output kept, its CPU time known.

use std::{
    io::{self, Read},
    process::{Child as Process, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::emulator::Namespace;

/// How often a process is looked at.
const POLL: Duration = Duration::from_millis(10);

/// How long a process may take to end when asked to.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes of its output that are kept of a process.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// A process under way. Killed when dropped.
pub(super) struct Child {
    what: String,
    process: Process,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    ended: Option<Ended>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// User and system time, its threads included.
    pub(super) cpu_s: f64,
    /// Whether it ended well.
    pub(super) success: bool,
}

/// What a process said.
pub(super) struct Said {
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Child {
    /// Starts `words` in `namespace`. To be called on a thread that outlives the run: the process ends with that thread.
    pub(super) fn start(words: &[String], namespace: &Namespace) -> io::Result<Self> {
        let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("an empty command"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        namespace.place(&mut command);
        let what = words.join(" ");
        let told = |error: io::Error| io::Error::new(error.kind(), format!("cannot start `{what}`: {error}"));
        let mut process = command.spawn().map_err(told)?;
        let stdout = process.stdout.take().map(keep);
        let stderr = process.stderr.take().map(keep);
        Ok(Self { what, process, stdout, stderr, ended: None })
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has ended.
    pub(super) fn ended(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            self.ended = reap(self.process.id());
        }
        self.ended
    }

    /// Waits until it ends by itself; `None` if `patience` runs out first.
    pub(super) fn wait(&mut self, patience: Duration) -> Option<Ended> {
        let until = Instant::now() + patience;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() >= until {
                return ended;
            }
            thread::sleep(POLL);
        }
    }

    /// Ends it and says what it cost.
    pub(super) fn stop(&mut self) -> Option<Ended> {
        if self.ended().is_none() {
            self.signal(libc::SIGTERM);
            if self.wait(GRACE).is_none() {
                self.signal(libc::SIGKILL);
                self.wait(GRACE);
            }
        }
        self.ended
    }

    /// What it said until its end; to be asked after it.
    pub(super) fn said(&mut self) -> Said {
        let take = |reader: Option<JoinHandle<String>>| {
            reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
        };
        Said { stdout: take(self.stdout.take()), stderr: take(self.stderr.take()) }
    }

    /// Its command line.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    fn signal(&self, signal: i32) {
        // SAFETY: takes no pointers; the process was not waited for yet, so the number is still its own.
        unsafe { libc::kill(self.process.id().cast_signed(), signal) };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(libc::SIGKILL);
            self.wait(GRACE);
        }
    }
}

fn keep(from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut from = from;
        let mut bytes = Vec::new();
        // What it says past the bound is read, so that it does not block, and forgotten.
        let _ = from.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        let _ = io::copy(&mut from, &mut io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Collects a process that has ended, with what it used.
fn reap(id: u32) -> Option<Ended> {
    let mut status = 0;
    // SAFETY: an all-zero `rusage` is valid; both places live through the call.
    let (reaped, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(id.cast_signed(), &raw mut status, libc::WNOHANG, &raw mut usage), usage)
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let success = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
    (reaped != 0).then(|| Ended { cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime), success })
}
