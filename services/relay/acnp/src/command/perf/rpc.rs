//! Calls on a warm connection in an open loop: a late answer delays no call, and the wait of a late call counts.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Failure, Target,
    content::{Check, block},
    latency::{Fate, Fates},
    request::{HEAD_LEN, REQUEST_LEN_MAX, Request},
};
use crate::{endpoint::Connection, proto::stream::Priority};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Calls a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Seconds
    #[arg(long, default_value_t = 20.0)]
    secs: f64,
    /// Bytes of a request
    #[arg(long, default_value_t = 1024)]
    request_bytes: usize,
    /// KiB of an answer
    #[arg(long, default_value_t = 4)]
    response_kib: u64,
    /// Seconds after which a call counts as lost
    #[arg(long, default_value_t = 10.0)]
    give_up_secs: f64,
    /// Calls that go before and are not counted
    #[arg(long, default_value_t = 20)]
    warm_up: u32,
    /// Download beside the calls on the same connection
    #[arg(long)]
    beside_bulk: bool,
}

pub(super) async fn run(target: &Target, args: &Args) -> Result<Value, Failure> {
    if !(HEAD_LEN..=REQUEST_LEN_MAX).contains(&args.request_bytes) {
        return Err(Failure(format!("--request-bytes: from {HEAD_LEN} to {REQUEST_LEN_MAX}")));
    }
    if !(args.rate > 0.0 && args.secs > 0.0 && args.give_up_secs > 0.0) {
        return Err(Failure("--rate, --secs and --give-up-secs: more than 0".to_owned()));
    }
    let connection = target.connect().await?;
    let bulk = args.beside_bulk.then(|| tokio::spawn(load(connection.clone())));
    let interval = Duration::from_secs_f64(1.0 / args.rate);
    let calls = (args.secs * args.rate).ceil() as u32;
    schedule(&connection, args, interval, args.warm_up).await;
    let fates = schedule(&connection, args, interval, calls).await;
    let mut fields = fates.fields("rpc");
    if let Some(bulk) = bulk {
        bulk.abort();
    }
    fields.insert("secs".to_owned(), json!(args.secs));
    fields.insert("packets_sent".to_owned(), json!(connection.stats().packets_sent));
    fields.insert("packets_received".to_owned(), json!(connection.stats().packets_received));
    Ok(Value::Object(fields))
}

async fn schedule(connection: &Connection, args: &Args, interval: Duration, calls: u32) -> Fates {
    let (began, mut tasks, mut fates) = (Instant::now(), JoinSet::new(), Fates::default());
    let give_up = Duration::from_secs_f64(args.give_up_secs);
    for number in 0..calls {
        let due = began + interval * number;
        sleep_until(due).await;
        let request =
            Request { len: args.response_kib * 1024, offset: u64::from(number) * 1009, limit_ms: 0 };
        let (connection, bytes) = (connection.clone(), args.request_bytes);
        tasks.spawn(async move {
            let call = call(&connection, &request, bytes);
            match timeout_at(due + give_up, call).await {
                Ok(Some(true)) => Fate::Ok(due.elapsed()),
                Ok(Some(false)) => Fate::Bad,
                _ => Fate::Lost,
            }
        });
    }
    while let Some(fate) = tasks.join_next().await {
        fates.add(fate.unwrap_or(Fate::Lost));
    }
    fates
}

/// One call; says whether the answer is right, if there is one.
async fn call(connection: &Connection, request: &Request, bytes: usize) -> Option<bool> {
    let (mut send, mut recv) = connection.open_stream().await.ok()?;
    send.set_priority(Priority::Urgent);
    send.write_chunks(request.write(bytes)).await.ok()?;
    send.finish().ok()?;
    let answer = recv.read_to_end(usize::try_from(request.len).ok()?).await.ok()?;
    let mut check = Check::from(request.offset);
    check.take(&answer);
    Some(check.is_ok() && answer.len() as u64 == request.len)
}

/// Downloads until it is stopped.
async fn load(connection: Connection) -> Option<()> {
    let (mut send, mut recv) = connection.open_stream().await.ok()?;
    let endless = Request { len: u64::MAX, offset: 0, limit_ms: 0 };
    send.write_chunks(endless.write(HEAD_LEN)).await.ok()?;
    send.finish().ok()?;
    let most = block(0, 1).len() << 16;
    while recv.read_chunk(most).await.ok()?.is_some() {}
    Some(())
}
