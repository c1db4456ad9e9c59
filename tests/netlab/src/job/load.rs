//! An endless answer beside calls: on the calls' own connection where the transport keeps calls apart, else on one of its
//! own, since nothing could pass an answer on an ordered stream.

use std::{io, sync::Arc, time::Instant};

use tokio::task::JoinHandle;

use super::{bulk::ENDLESS_BYTES, rpc::Pool};
use crate::{
    outcome::Outcome,
    peer::{Connection, Dialer},
    wire::{Answer, Ask, Progress, REQUEST_BYTES_MIN},
};

/// An endless answer under way.
pub(super) struct Beside {
    connection: Connection,
    progress: Arc<Progress>,
    fetch: JoinHandle<io::Result<Answer>>,
    start: Instant,
}

impl Beside {
    pub(super) async fn start(dialer: &Dialer, pool: &Pool) -> io::Result<Self> {
        let start = Instant::now();
        let connection = if dialer.multiplexes() { pool.first() } else { dialer.dial(false).await? };
        let progress = Arc::new(Progress::default());
        let ask = Ask { request: REQUEST_BYTES_MIN, response: ENDLESS_BYTES, seed: 1 };
        let (asking, seen) = (connection.clone(), Arc::clone(&progress));
        let fetch = tokio::spawn(async move { asking.ask(ask, Some(seen)).await });
        Ok(Self { connection, progress, fetch, start })
    }

    /// Ends it, and adds what came to the calls' outcome.
    pub(super) fn stop(self, calls: Outcome) -> Outcome {
        let (bytes, secs) = (self.progress.bytes(), self.start.elapsed().as_secs_f64());
        // An endless answer ends by itself only by failing.
        let complete = !self.fetch.is_finished();
        self.fetch.abort();
        self.connection.close();
        Outcome {
            goodput_mbit: Some(bytes as f64 * 8.0 / 1e6 / secs),
            bytes: Some(bytes),
            secs: Some(secs),
            complete: Some(complete),
            content_ok: Some(self.progress.content_ok()),
            content_bytes: calls.content_bytes.map(|calls| calls + bytes),
            ..calls
        }
    }
}
