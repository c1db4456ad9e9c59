//! Fresh connections, one after the other: the time from nothing to the first byte of an answer.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{
    Failure, Target,
    content::Check,
    latency::{Fate, Fates},
    request::{HEAD_LEN, REQUEST_LEN_MAX, Request},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connections
    #[arg(long, default_value_t = 50)]
    runs: u32,
    /// Send the request with the first datagram (0-RTT)
    #[arg(long)]
    early: bool,
    /// Bytes of a request; with --early, what fits the first datagram goes with it
    #[arg(long, default_value_t = 128)]
    request_bytes: usize,
    /// KiB of an answer
    #[arg(long, default_value_t = 4)]
    response_kib: u64,
    /// Seconds after which a connection counts as lost
    #[arg(long, default_value_t = 20.0)]
    give_up_secs: f64,
}

pub(super) async fn run(target: &Target, args: &Args) -> Result<Value, Failure> {
    if !(HEAD_LEN..=REQUEST_LEN_MAX).contains(&args.request_bytes) || args.give_up_secs <= 0.0 {
        return Err(Failure(format!(
            "--request-bytes: from {HEAD_LEN} to {REQUEST_LEN_MAX}; --give-up-secs: more than 0"
        )));
    }
    let (mut fates, give_up) = (Fates::default(), Duration::from_secs_f64(args.give_up_secs));
    for number in 0..args.runs {
        let request =
            Request { len: args.response_kib * 1024, offset: u64::from(number) * 1009, limit_ms: 0 };
        fates.add(timeout(give_up, once(target, args, &request)).await.ok().flatten().unwrap_or(Fate::Lost));
    }
    let mut fields = fates.fields("cold");
    fields.insert("early".to_owned(), json!(args.early));
    Ok(Value::Object(fields))
}

async fn once(target: &Target, args: &Args, request: &Request) -> Option<Fate> {
    let began = Instant::now();
    let connection = target.endpoint.begin(target.peer, &target.keys).ok()?;
    let (mut send, mut recv) = connection.open_stream().await.ok()?;
    if args.early {
        send.set_repeatable();
    }
    send.write_chunks(request.write(args.request_bytes)).await.ok()?;
    send.finish().ok()?;
    let first = recv.read_chunk(1).await.ok()??;
    let took = began.elapsed();
    let mut check = Check::from(request.offset);
    check.take(&first);
    let rest = recv.read_to_end(usize::try_from(request.len).ok()?).await.ok()?;
    check.take(&rest);
    let ok = check.is_ok() && (first.len() + rest.len()) as u64 == request.len;
    connection.close(crate::proto::close::Code::NO_ERROR, bytes::Bytes::new());
    Some(if ok { Fate::Ok(took) } else { Fate::Bad })
}
