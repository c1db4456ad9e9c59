//! Real packets through a model: one thread between the TUN devices of two network namespaces, and how late it was.
//!
//! Namespaces have no name: they live as long as somebody holds them open, so that nothing is left behind however the lab
//! ends.

mod addresses;
mod device;
mod lateness;
mod namespace;
mod setup;
mod shuttle;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use addresses::{Family, client_address, server_address};
pub use namespace::Namespace;
pub use setup::{Error, check_rights};

use crate::{model::Tally, path::Path};
pub use lateness::Lateness;
use shuttle::Shuttle;

/// A path that packets cross, and the two ends that it joins.
pub struct Emulator {
    client: Arc<Namespace>,
    server: Arc<Namespace>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Report>>>,
}

/// What the emulator saw of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// Towards the server, all lines together.
    pub up: Tally,
    /// Towards the client.
    pub down: Tally,
    /// The lines each, (up, down), where there are several.
    pub lines: Vec<(Tally, Tally)>,
    /// How late packets left the emulator.
    pub lateness: Lateness,
    /// Packets that a device's own queue dropped before the emulator saw them: it was too slow, if any.
    pub missed: u64,
}

impl Emulator {
    /// Opens two fresh namespaces and the path between them.
    ///
    /// # Errors
    /// What the system refused, and what it would take.
    pub fn open(path: &Path, family: Family, seed: u64) -> Result<Self, Error> {
        check_rights()?;
        let client = Arc::new(Namespace::fresh().map_err(Error::of("open a network namespace"))?);
        if path.is_loopback() {
            setup::loopback(&client)?;
            return Ok(Self { server: Arc::clone(&client), client, stop: Arc::default(), thread: None });
        }
        let server = Arc::new(Namespace::fresh().map_err(Error::of("open a network namespace"))?);
        let devices = setup::devices(&client, &server, path.lines.len(), family)?;
        let stop = Arc::new(AtomicBool::new(false));
        let shuttle = Shuttle::new(path, devices, seed, Arc::clone(&stop));
        let ends = [Arc::clone(&client), Arc::clone(&server)];
        let run = move || {
            let mut report = shuttle.run()?;
            report.missed = ends.iter().map(|end| setup::missed(end)).sum();
            Ok(report)
        };
        let thread = std::thread::Builder::new()
            .name("emulator".to_owned())
            .spawn(run)
            .map_err(Error::of("start a thread"))?;
        Ok(Self { client, server, stop, thread: Some(thread) })
    }

    /// Where clients run.
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// Where servers run.
    pub fn server(&self) -> &Namespace {
        &self.server
    }

    /// Ends the path and says what it saw.
    ///
    /// # Errors
    /// What stopped the emulator before.
    pub fn close(mut self) -> io::Result<Report> {
        self.halt()
    }

    fn halt(&mut self) -> io::Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| io::Error::other("the emulator panicked"))?,
            None => Ok(Report::default()),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.halt();
    }
}

impl Report {
    /// Whether the emulator itself was too late, by these bounds, for the figures to mean much.
    pub fn disturbed(&self, p99_max: Duration, missed_max: u64) -> bool {
        self.lateness.p99_us > p99_max.as_micros() as u64 || self.missed > missed_max
    }
}
