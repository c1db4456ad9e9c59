//! One large answer, from the dial on: what slow starts and handshakes cost is part of it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::Load;
use crate::{
    outcome::Outcome,
    peer::{Connection, Dialer},
    wire::{Ask, Progress, REQUEST_BYTES_MIN},
};

/// An answer without end: more than comes in any run.
pub(super) const ENDLESS_BYTES: u64 = 1 << 50;

pub(super) async fn run(load: &Load, dialer: &Dialer) -> io::Result<Outcome> {
    let start = Instant::now();
    let connection = dialer.dial(false).await?;
    let outcome = fetch(load, &connection, start).await;
    connection.close();
    Ok(outcome)
}

async fn fetch(load: &Load, connection: &Connection, start: Instant) -> Outcome {
    let progress = Arc::new(Progress::default());
    let bytes = if load.secs.is_some() { ENDLESS_BYTES } else { load.bytes.max(1) };
    let ask = Ask { request: REQUEST_BYTES_MIN, response: bytes, seed: 1 };
    let until = start + Duration::from_secs_f64(load.secs.unwrap_or(load.give_up_secs));
    let left = until.saturating_duration_since(Instant::now());
    let answer = timeout(left, connection.ask(ask, Some(Arc::clone(&progress)))).await;
    let end = Instant::now();
    let complete = match (&answer, load.secs) {
        (Ok(Ok(_)), _) | (Err(_), Some(_)) => true,
        (Ok(Err(_)) | Err(_), _) => false,
    };
    let (told, right, error) = match &answer {
        Ok(Ok(answer)) => (true, answer.content_ok, None),
        Ok(Err(error)) => (false, true, Some(error.to_string())),
        Err(_) => (false, true, None),
    };
    let secs = (end - start).as_secs_f64();
    // The verdict's byte is part of the answer, but not of the progress.
    let received = progress.bytes() + u64::from(told);
    Outcome {
        goodput_mbit: Some(received as f64 * 8.0 / 1e6 / secs),
        tail_mbit: tail_mbit(&progress.samples(), start, received, end),
        bytes: Some(received),
        secs: Some(secs),
        complete: Some(complete),
        content_ok: Some(progress.content_ok() && right),
        content_bytes: Some(received),
        error,
        ..Outcome::default()
    }
}

/// Mbit/s in the second half of the time.
fn tail_mbit(samples: &[(Instant, u64)], start: Instant, bytes: u64, end: Instant) -> Option<f64> {
    let half = start + (end - start) / 2;
    let (at, before) = *samples.iter().find(|(at, _)| *at >= half)?;
    let secs = (end - at).as_secs_f64();
    (secs > 0.0).then(|| (bytes - before) as f64 * 8.0 / 1e6 / secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_what_came_in_the_second_half_of_the_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let samples = [(at(1000), 100_000), (at(2000), 500_000), (at(3000), 900_000)];
        let tail = tail_mbit(&samples, start, 1_000_000, at(4000)).expect("a figure");
        assert!((tail - 2.0).abs() < 1e-9);
        assert_eq!(tail_mbit(&samples, start, 1_000_000, at(9000)), None);
    }
}
