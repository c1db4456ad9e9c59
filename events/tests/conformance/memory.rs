//! What the log in memory adds for tests and simulations: a clock of its own, and faults on demand.

use std::{sync::Arc, time::Duration};

use lowland_events::{
    Time,
    log::{
        AppendError, ConsumeSettings, SharedLog,
        memory::{Faults, MemoryLog},
    },
    stream,
};

use crate::fixture::{all, delivery, entry, fill, sequences};

const BEGINNING: Time = Time(1_790_000_000_000_000);

async fn log() -> (MemoryLog, SharedLog) {
    let memory = MemoryLog::starting_at(BEGINNING);
    let log: SharedLog = Arc::new(memory.clone());
    for spec in stream::all() {
        log.ensure(&spec).await.unwrap();
    }
    (memory, log)
}

#[tokio::test(start_paused = true)]
async fn its_clock_is_tokios() {
    let (_, log) = log().await;
    fill(&log, 1).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    log.append(entry("job.acme.late.submitted", "a")).await.unwrap();
    let times: Vec<Time> = all(&log, stream::LOG).await.into_iter().map(|record| record.stored_at).collect();
    assert_eq!(times[0].ms_since(BEGINNING) / 1000, 0);
    assert_eq!(times[1].ms_since(BEGINNING) / 1000, 90);
}

#[tokio::test(start_paused = true)]
async fn tokens_go_with_their_age_and_the_log_stays() {
    let (_, log) = log().await;
    fill(&log, 3).await;
    log.append(entry("token.acme.j1.1", "a")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(14 * 60)).await;
    log.append(entry("token.acme.j1.1", "b")).await.unwrap();
    assert_eq!(sequences(&all(&log, stream::TOKENS).await), [1, 2]);
    tokio::time::sleep(Duration::from_secs(2 * 60)).await;
    assert_eq!(sequences(&all(&log, stream::TOKENS).await), [2]);
    tokio::time::sleep(Duration::from_secs(365 * 24 * 3600)).await;
    assert_eq!(all(&log, stream::LOG).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_said_and_stored() {
    let (memory, log) = log().await;
    memory.inject(Faults { acks_lost: 1, ..Faults::default() });
    let lost = log.append(entry("job.acme.j1.submitted", "a")).await;
    assert!(matches!(lost, Err(AppendError::Unanswered(_))), "{lost:?}");
    assert_eq!(all(&log, stream::LOG).await.len(), 1);
    assert!(log.append(entry("job.acme.j1.submitted", "a")).await.unwrap().repeated);
}

#[tokio::test(start_paused = true)]
async fn a_lost_delivery_comes_again_after_the_ack_wait() {
    let (memory, log) = log().await;
    fill(&log, 2).await;
    memory.inject(Faults { deliveries_lost: 1, ..Faults::default() });
    let mut consume = log.consume(stream::LOG, "reader", &[], ConsumeSettings::default()).await.unwrap();
    let before = tokio::time::Instant::now();
    let first = delivery(&mut consume).await;
    assert_eq!((first.record.sequence, first.delivered), (2, 1));
    first.ack.ack().await.unwrap();
    let second = consume.next().await.unwrap();
    assert_eq!((second.record.sequence, second.delivered), (1, 2));
    assert_eq!(before.elapsed().as_millis() as u64, ConsumeSettings::default().ack_wait_ms);
}
