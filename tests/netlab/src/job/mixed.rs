//! Calls beside a large answer: on the same connection where the transport keeps calls apart, else on connections of their
//! own, since nothing could pass an answer on an ordered stream.

use std::{io, sync::Arc, time::Instant};

use super::{Calls, bulk::ENDLESS_BYTES, rpc};
use crate::{
    outcome::Outcome,
    peer::Dialer,
    wire::{Ask, Progress, REQUEST_BYTES_MIN},
};

pub(super) async fn run(calls: &Calls, dialer: &Dialer) -> io::Result<Outcome> {
    let start = Instant::now();
    let pool = rpc::Pool::dial(dialer, calls.connections).await?;
    let bulk = if dialer.multiplexes() { pool.first() } else { dialer.dial(false).await? };
    let progress = Arc::new(Progress::default());
    let ask = Ask { request: REQUEST_BYTES_MIN, response: ENDLESS_BYTES, seed: 1 };
    let (connection, seen) = (bulk.clone(), Arc::clone(&progress));
    let fetch = tokio::spawn(async move { connection.ask(ask, Some(seen)).await });
    let outcome = rpc::measure(calls, &pool).await;
    let (bytes, secs) = (progress.bytes(), start.elapsed().as_secs_f64());
    // An endless answer ends early only by failing.
    let complete = !fetch.is_finished();
    fetch.abort();
    pool.close();
    bulk.close();
    Ok(Outcome {
        goodput_mbit: Some(bytes as f64 * 8.0 / 1e6 / secs),
        bytes: Some(bytes),
        secs: Some(secs),
        complete: Some(complete),
        content_ok: Some(progress.content_ok()),
        content_bytes: outcome.content_bytes.map(|calls| calls + bytes),
        ..outcome
    })
}
