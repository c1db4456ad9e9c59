//! The supervisor's life: start the server, then the services, say so, watch them, stop them in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    child::{self, Spec},
    disk::{self, Seen, Standing},
    output,
    plan::Plan,
    state::{self, Up},
    tend::{Notice, tend},
};
use crate::folders;

/// Time that everything together may take to become ready: a worker loads models.
pub const START_MAX: Duration = Duration::from_secs(180);
/// Deaths before a process has ever been ready, after which starting is given up.
const DEATHS_MAX: u32 = 5;
/// Lines of a log that an error shows.
const LOG_LINES_SHOWN: usize = 15;

/// Why it did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A process does not become ready.
    #[error("{name} does not start ({how}). The end of {log}:\n{tail}")]
    NotStarting {
        /// Which.
        name: String,
        /// What was seen.
        how: String,
        /// Its log.
        log: String,
        /// The log's end.
        tail: String,
    },
    /// `up.json` could not be written.
    #[error("the run folder: {0}")]
    Io(#[from] io::Error),
}

/// What the supervisor says while it works.
#[derive(Debug, Clone)]
pub enum Said {
    /// A process is ready (again).
    Ready {
        /// Which.
        name: String,
        /// Its id.
        pid: u32,
        /// Time since it was started, in milliseconds.
        after_ms: u64,
    },
    /// A process died and is started again.
    Died {
        /// Which.
        name: String,
        /// How.
        how: String,
        /// Wait before it is started again.
        again_in: Duration,
    },
    /// A process was stopped.
    Stopped {
        /// Which.
        name: String,
        /// Whether it had to be killed.
        killed: bool,
    },
    /// The disk of the data folder is getting full, is full, or has room again.
    Disk {
        /// How it stands now.
        standing: Standing,
        /// Free space, in MiB.
        free_mib: u64,
    },
}

/// A run under way.
pub struct Run {
    plan: Plan,
    notices: mpsc::UnboundedReceiver<(String, Notice)>,
    sender: super::tend::Notices,
    say: Box<dyn Fn(Said)>,
    tended: Vec<(CancellationToken, JoinHandle<()>)>,
    logs: BTreeMap<String, Spec>,
    pids: BTreeMap<String, u32>,
    ready: BTreeSet<String>,
    deaths: BTreeMap<String, u32>,
    disk: Standing,
}

impl Run {
    /// Nothing is started yet.
    pub fn new(plan: Plan, say: impl Fn(Said) + 'static) -> Self {
        let (sender, notices) = mpsc::unbounded_channel();
        Self {
            plan,
            notices,
            sender,
            say: Box::new(say),
            tended: Vec::new(),
            logs: BTreeMap::new(),
            pids: BTreeMap::new(),
            ready: BTreeSet::new(),
            deaths: BTreeMap::new(),
            disk: Standing::default(),
        }
    }

    /// Starts the server, then the services; returns when all are ready. What was started is stopped by [`Run::stop`],
    /// also after an error.
    pub async fn start(&mut self) -> Result<Up, Error> {
        let deadline = Instant::now() + START_MAX;
        if let Some(server) = self.plan.server() {
            self.tend(server);
            self.until_ready(deadline).await?;
        }
        for service in self.plan.services() {
            self.tend(service);
        }
        self.until_ready(deadline).await?;
        self.publish()
    }

    /// Watches until `stop`; what dies is started again, and said.
    pub async fn watch(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let client = reqwest::Client::new();
        let mut look = tokio::time::interval(disk::LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = look.tick() => self.look_at_disk(&client).await,
                notice = self.notices.recv() => if let Some((name, notice)) = notice {
                    let started = matches!(notice, Notice::Started { .. });
                    self.note(name, notice);
                    if started {
                        self.publish()?;
                    }
                },
            }
        }
    }

    /// Watches until something goes wrong that cannot be mended.
    pub async fn watch_forever(&mut self) -> Error {
        loop {
            if let Err(error) = self.watch(&CancellationToken::new()).await {
                return error;
            }
        }
    }

    /// Stops the services together, then the server. Idempotent.
    pub async fn stop(&mut self) {
        let services =
            self.tended.split_off(usize::from(self.plan.server().is_some()).min(self.tended.len()));
        for tended in [services, std::mem::take(&mut self.tended)] {
            tended.iter().for_each(|(token, _)| token.cancel());
            join_all(tended.into_iter().map(|(_, task)| task)).await;
            while let Ok((name, notice)) = self.notices.try_recv() {
                self.note(name, notice);
            }
        }
        state::withdraw(&self.plan.data);
    }

    /// Says when the disk's standing has changed; starts our server again when only that is wanting.
    async fn look_at_disk(&mut self, client: &reqwest::Client) {
        let Some(server) = self.plan.server() else { return };
        let Ok(free) = folders::free_bytes(self.plan.data.root()) else { return };
        let write_failed = disk::write_failed(client, &server.health).await;
        let standing = Seen { free, write_failed }.standing();
        if standing == Standing::Mendable
            && let Some(pid) = self.pids.get(&server.name)
        {
            child::signal(*pid, libc::SIGTERM);
        }
        if std::mem::replace(&mut self.disk, standing) != standing {
            (self.say)(Said::Disk { standing, free_mib: free >> 20 });
        }
    }

    fn tend(&mut self, spec: Spec) {
        let token = CancellationToken::new();
        self.logs.insert(spec.name.clone(), spec.clone());
        let task = tokio::spawn(tend(spec, self.sender.clone(), token.clone()));
        self.tended.push((token, task));
    }

    async fn until_ready(&mut self, deadline: Instant) -> Result<(), Error> {
        while let Some(waiting) = self.logs.keys().find(|name| !self.ready.contains(*name)).cloned() {
            tokio::select! {
                notice = self.notices.recv() => if let Some((name, notice)) = notice {
                    self.note(name.clone(), notice);
                    self.check(&name)?;
                },
                () = sleep_until(deadline) => {
                    let how = format!("not ready after {} s", START_MAX.as_secs());
                    return Err(self.not_starting(&waiting, how));
                }
            }
        }
        Ok(())
    }

    fn check(&self, name: &str) -> Result<(), Error> {
        match self.deaths.get(name) {
            Some(&deaths) if deaths >= DEATHS_MAX => {
                Err(self.not_starting(name, format!("it died {deaths} times")))
            }
            _ => Ok(()),
        }
    }

    fn not_starting(&self, name: &str, how: String) -> Error {
        let log = self.logs.get(name).map(|spec| spec.log.clone()).unwrap_or_default();
        let tail = output::tail(&log, LOG_LINES_SHOWN).join("\n");
        Error::NotStarting { name: name.to_owned(), how, log: log.display().to_string(), tail }
    }

    fn note(&mut self, name: String, notice: Notice) {
        match notice {
            Notice::Started { pid } => {
                self.pids.insert(name, pid);
            }
            Notice::Ready { pid, after_ms } => {
                self.ready.insert(name.clone());
                (self.say)(Said::Ready { name, pid, after_ms });
            }
            Notice::Died { how, again_in, was_ready } => {
                self.pids.remove(&name);
                let deaths = self.deaths.entry(name.clone()).or_default();
                *deaths = if was_ready { 0 } else { *deaths + 1 };
                (self.say)(Said::Died { name, how, again_in });
            }
            Notice::Stopped { asked } => (self.say)(Said::Stopped { name, killed: !asked }),
        }
    }

    fn publish(&self) -> Result<Up, Error> {
        let up = self.plan.up(self.pids.clone());
        state::publish(&self.plan.data, &up)?;
        Ok(up)
    }
}
