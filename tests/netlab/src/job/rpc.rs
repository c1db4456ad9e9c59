//! Calls at a steady pace: latency counts from when a call was scheduled, so that a stall is charged to every call that it
//! held up.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout};

use super::{Calls, KIB, load::Beside, pace};
use crate::{
    outcome::{Outcome, quantile},
    peer::{Connection, Dialer},
    wire::Ask,
};

/// Connections, and the calls that each has under way.
pub(super) struct Pool {
    connections: Vec<(Connection, Arc<AtomicUsize>)>,
}

/// How a call went.
enum Fate {
    Answered { ms: f64, content_ok: bool },
    Lost,
}

impl Pool {
    /// Dials as many connections as are of use.
    pub(super) async fn dial(dialer: &Dialer, wanted: usize) -> io::Result<Self> {
        let count = if dialer.multiplexes() { 1 } else { wanted.max(1) };
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push((dialer.dial(false).await?, Arc::default()));
        }
        Ok(Self { connections })
    }

    pub(super) fn first(&self) -> Connection {
        self.connections[0].0.clone()
    }

    fn least_busy(&self) -> (Connection, Arc<AtomicUsize>) {
        let least = self.connections.iter().min_by_key(|(_, busy)| busy.load(Ordering::Relaxed));
        least.expect("a pool has a connection").clone()
    }

    pub(super) fn close(&self) {
        for (connection, _) in &self.connections {
            connection.close();
        }
    }
}

pub(super) async fn run(calls: &Calls, dialer: &Dialer) -> io::Result<Outcome> {
    let pool = Pool::dial(dialer, calls.connections).await?;
    let beside = if calls.beside_bulk { Some(Beside::start(dialer, &pool).await?) } else { None };
    let outcome = measure(calls, &pool).await;
    pool.close();
    Ok(match beside {
        Some(beside) => beside.stop(outcome),
        None => outcome,
    })
}

/// Makes the calls over `pool`: first those that warm up, then those that count.
async fn measure(calls: &Calls, pool: &Pool) -> Outcome {
    let every = Duration::from_secs_f64(1.0 / calls.rate);
    let counted = (calls.secs * calls.rate).round() as u32;
    let patience = Duration::from_secs_f64(calls.give_up_secs);
    let mut ticks = pace::ticks(Instant::now() + every, every, calls.warm_up + counted);
    let mut under_way = JoinSet::new();
    let mut number = 0u32;
    while let Some(scheduled) = ticks.recv().await {
        let (connection, busy) = pool.least_busy();
        let ask = Ask {
            request: calls.request_bytes,
            response: calls.response_kib * KIB,
            seed: u64::from(number) + 1,
        };
        let counts = number >= calls.warm_up;
        busy.fetch_add(1, Ordering::Relaxed);
        under_way.spawn(async move {
            let fate = call(connection, ask, scheduled, patience).await;
            busy.fetch_sub(1, Ordering::Relaxed);
            (counts, fate)
        });
        number += 1;
    }
    let fates = under_way.join_all().await;
    let mut outcome = summary(fates.into_iter().filter(|(counts, _)| *counts).map(|(_, fate)| fate));
    outcome.content_bytes = Some(u64::from(number) * calls.content());
    outcome
}

async fn call(connection: Connection, ask: Ask, scheduled: Instant, patience: Duration) -> Fate {
    match timeout(patience, connection.ask(ask, None)).await {
        Ok(Ok(answer)) => {
            let ms = (answer.last - scheduled).as_secs_f64() * 1e3;
            Fate::Answered { ms, content_ok: answer.content_ok }
        }
        _ => Fate::Lost,
    }
}

fn summary(fates: impl Iterator<Item = Fate>) -> Outcome {
    let (mut times, mut lost, mut bad) = (Vec::new(), 0, 0);
    for fate in fates {
        match fate {
            Fate::Answered { ms, content_ok } => {
                times.push(ms);
                bad += u64::from(!content_ok);
            }
            Fate::Lost => lost += 1,
        }
    }
    let ok = times.len() as u64;
    with_times(
        times,
        Outcome { ok: Some(ok), lost: Some(lost), bad_content: Some(bad), ..Outcome::default() },
    )
}

/// Adds the quantiles of `times` in milliseconds.
pub(super) fn with_times(mut times: Vec<f64>, outcome: Outcome) -> Outcome {
    times.sort_by(f64::total_cmp);
    Outcome {
        p50_ms: quantile(&times, 0.5),
        p90_ms: quantile(&times, 0.9),
        p99_ms: quantile(&times, 0.99),
        p999_ms: quantile(&times, 0.999),
        ..outcome
    }
}
