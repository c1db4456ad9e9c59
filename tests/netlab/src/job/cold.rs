//! A new connection for each call: from the dial to the first byte of the answer.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{Fresh, KIB, rpc::with_times};
use crate::{outcome::Outcome, peer::Dialer, wire::Ask};

/// How long the connection that fetches a ticket stays after its answer: the ticket is sent about then.
const TICKET_WAIT: Duration = Duration::from_millis(50);

pub(super) async fn run(fresh: &Fresh, dialer: &Dialer) -> io::Result<Outcome> {
    let patience = Duration::from_secs_f64(fresh.give_up_secs);
    let ask = |number: u32| Ask {
        request: fresh.request_bytes,
        response: fresh.response_kib * KIB,
        seed: u64::from(number) + 1,
    };
    if fresh.early {
        let first = dialer.dial(false).await?;
        first.ask(ask(0), None).await?;
        tokio::time::sleep(TICKET_WAIT).await;
        first.close();
    }
    let (mut times, mut lost, mut bad) = (Vec::new(), 0, 0);
    for number in 0..fresh.runs {
        match timeout(patience, once(dialer, ask(number), fresh.early)).await {
            Ok(Ok((ms, content_ok))) => {
                times.push(ms);
                bad += u64::from(!content_ok);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::Unsupported => return Err(error),
            _ => lost += 1,
        }
    }
    let ok = times.len() as u64;
    let outcome = Outcome {
        ok: Some(ok),
        lost: Some(lost),
        bad_content: Some(bad),
        content_bytes: Some(u64::from(fresh.runs) * fresh.content()),
        ..Outcome::default()
    };
    Ok(with_times(times, outcome))
}

async fn once(dialer: &Dialer, ask: Ask, early: bool) -> io::Result<(f64, bool)> {
    let start = Instant::now();
    let connection = dialer.dial(early).await?;
    let answer = connection.ask(ask, None).await;
    connection.close();
    let answer = answer?;
    Ok(((answer.first - start).as_secs_f64() * 1e3, answer.content_ok))
}
