//! A crowd of real clients: streaming callers of the gateway, bare publishers on the bus, and money that comes in. Each
//! notes what was acknowledged to it and what it read, so that afterwards the system can be held to its word.

mod ask;
mod bus;
mod http;
mod sse;
mod stream;
mod topups;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

pub use ask::{Ask, Mix};
pub use http::Http;

use crate::{audit::Key, site::Site};

/// Longest time that a client waits for what it was promised.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Pause before a client tries again.
pub(crate) const AGAIN: Duration = Duration::from_millis(150);

/// How large the crowd is, and what it asks for.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Where its chances come from.
    pub seed: u64,
    /// Callers of the gateway; each has one job at a time.
    pub streams: usize,
    /// Publishers on the bus; each posts and goes on.
    pub publishers: usize,
    /// What they ask for.
    pub mix: Mix,
    /// Accounts with their keys at the gateway; the last one is poor.
    pub accounts: Vec<(String, String)>,
}

/// What one client knows of one job.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What was asked for.
    pub ask: Ask,
    /// Whether it was promised: a status of 200, or the stream's acknowledgement.
    pub acknowledged: bool,
    /// Whether somebody was asked to cancel it.
    pub cancelled: bool,
    /// What a caller read of it; nothing, if it only posted.
    pub read: Option<Read>,
}

/// What a caller read, over all its connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// The pieces, put together.
    pub text: String,
    /// How it ended: `completed`, or the error's code.
    pub ending: String,
    /// Connections that it took.
    pub connections: u32,
    /// Longest time from one piece to the next, over a reconnection too.
    pub longest_pause: Duration,
}

/// What the crowd knows when it has gone home.
#[derive(Debug, Default)]
pub struct Report {
    /// Jobs by account and id.
    pub jobs: BTreeMap<Key, Heard>,
    /// Top-ups that were acknowledged, with their amounts.
    pub topups: BTreeMap<Key, i128>,
    /// What a client did not get in time, or was told wrongly.
    pub complaints: Vec<String>,
}

/// Shared by all clients.
#[derive(Clone)]
pub(crate) struct Notes {
    report: Arc<Mutex<Report>>,
    over: Arc<AtomicBool>,
}

impl Notes {
    fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn write(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A crowd at work.
pub struct Load {
    notes: Notes,
    clients: JoinSet<()>,
}

impl Load {
    /// Sends the crowd in; it must be called within a runtime.
    pub async fn begin(system: &Site, crowd: &Crowd) -> Self {
        let notes = Notes { report: Arc::default(), over: Arc::default() };
        let mut clients = JoinSet::new();
        let http = Http::new(system.said("gateway_url"));
        for number in 0..crowd.streams {
            let (account, key) = crowd.accounts[number % crowd.accounts.len()].clone();
            let client = stream::Caller { http: http.clone(), key, account, number, notes: notes.clone() };
            clients.spawn(client.live(crowd.mix.clone(), crowd.chance(number)));
        }
        for number in 0..crowd.publishers {
            let client = bus::Publisher::of(system, number, notes.clone()).await;
            clients.spawn(client.live(crowd.mix.clone(), crowd.chance(1_000 + number)));
        }
        let accounts = crowd.accounts.iter().map(|(account, _)| account.clone()).collect();
        let payer = topups::Payer { log: system.log().await, accounts, notes: notes.clone() };
        clients.spawn(payer.live(crowd.chance(2_000)));
        Self { notes, clients }
    }

    /// Lets every client finish what it has begun, and gives what they know.
    pub async fn end(mut self) -> Report {
        self.notes.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            if let Err(error) = ended {
                self.notes.write(|report| report.complaints.push(format!("a client broke: {error}")));
            }
        }
        let mut report = self.notes.report.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *report)
    }
}

impl Crowd {
    /// Each client has chances of its own, so that one that is late does not change what others do.
    fn chance(&self, client: usize) -> ChaCha8Rng {
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed);
        chance.set_stream(client as u64 + 1);
        chance
    }
}
