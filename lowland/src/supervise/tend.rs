//! Keeping one process alive: start, wait until it is ready, notice when it dies, start again after a while.

use std::{
    io,
    process::ExitStatus,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    child::{Running, Spec},
    health,
};

/// What happened to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It was started.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// It is ready.
    Ready {
        /// Its process id.
        pid: u32,
        /// Time since it was started, in milliseconds.
        after_ms: u64,
    },
    /// It ended by itself, and is started again.
    Died {
        /// How (`exit status: 1`, `signal: 9 (SIGKILL)`).
        how: String,
        /// Wait before it is started again.
        again_in: Duration,
        /// Whether it had been ready.
        was_ready: bool,
    },
    /// It was stopped because we wanted it to.
    Stopped {
        /// Whether it went when asked (else it was killed).
        asked: bool,
    },
}

/// Notices of all processes, each with its name.
pub type Notices = mpsc::UnboundedSender<(String, Notice)>;

/// Keeps the process alive until `stop` is cancelled, then stops it. Must be polled on the main thread, see
/// [`Spec::spawn`].
pub async fn tend(spec: Spec, notices: Notices, stop: CancellationToken) {
    let say = |notice| {
        let _ = notices.send((spec.name.clone(), notice));
    };
    let mut backoff = Backoff::default();
    let client = reqwest::Client::new();
    while !stop.is_cancelled() {
        let started = Instant::now();
        let (how, was_ready) = match spec.spawn() {
            Ok(running) => match live(running, &spec, &client, &stop, &say).await {
                Outcome::Ended { how, was_ready } => (how, was_ready),
                Outcome::Stopped => return,
            },
            Err(error) => (format!("{}: {error}", spec.program.display()), false),
        };
        let again_in = backoff.after(started.elapsed());
        say(Notice::Died { how, again_in, was_ready });
        tokio::select! {
            () = sleep(again_in) => {}
            () = stop.cancelled() => {}
        }
    }
    say(Notice::Stopped { asked: true });
}

enum Outcome {
    Ended { how: String, was_ready: bool },
    Stopped,
}

async fn live(
    mut running: Running,
    spec: &Spec,
    client: &reqwest::Client,
    stop: &CancellationToken,
    say: &impl Fn(Notice),
) -> Outcome {
    let (pid, started) = (running.pid, Instant::now());
    say(Notice::Started { pid });
    let mut was_ready = false;
    loop {
        tokio::select! {
            status = running.ended() => {
                running.copied().await;
                return Outcome::Ended { how: described(status), was_ready };
            }
            () = stop.cancelled() => {
                say(Notice::Stopped { asked: running.stop().await });
                return Outcome::Stopped;
            }
            () = health::ready(client, &spec.health), if !was_ready => {
                was_ready = true;
                say(Notice::Ready { pid, after_ms: started.elapsed().as_millis() as u64 });
            }
        }
    }
}

fn described(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
