//! Retention: what is over, old and in every snapshot goes; money stays.

use std::time::Duration;

use lowland_events::{
    Domain, Filter,
    retention::{Needed, carry_out, first_young, plan},
    stream,
};

use crate::fixture::{Fixture, all, entry, fill, sequences, with_streams};

pub(crate) async fn what_is_over_and_old_goes_and_money_stays(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    for n in 0..10 {
        log.append(entry(&format!("job.acme.j{n}.submitted"), "a")).await.unwrap();
        log.append(entry("account.acme.acme.charged", &n.to_string())).await.unwrap();
        log.append(entry(&format!("instance.m.i{n}.ready"), "a")).await.unwrap();
    }
    let before = all(&log, stream::LOG).await;
    let needed = Needed { snapshots: vec![25, 30], open_jobs: Some(13), live_instances: Some(6), young: 31 };
    assert_eq!(carry_out(&*log, &plan(&needed)).await.unwrap(), 4 + 1);
    let after = all(&log, stream::LOG).await;
    let of = |domain, records: &[lowland_events::log::Record]| -> Vec<u64> {
        let filter = Filter::domain(domain);
        records
            .iter()
            .filter(|record| filter.matches(&record.subject))
            .map(|record| record.sequence)
            .collect()
    };
    assert_eq!(of(Domain::Account, &after), of(Domain::Account, &before));
    assert_eq!(of(Domain::Job, &after), [13, 16, 19, 22, 25, 28]);
    assert_eq!(of(Domain::Instance, &after)[0], 6);
    let everything = Needed { snapshots: vec![30], open_jobs: None, live_instances: None, young: 31 };
    carry_out(&*log, &plan(&everything)).await.unwrap();
    let left = all(&log, stream::LOG).await;
    assert_eq!(sequences(&left), of(Domain::Account, &before), "money is all that is left");
}

pub(crate) async fn the_first_young_message_is_found(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let age = Duration::from_secs(3600);
    fill(&log, 7).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    log.append(entry("job.acme.late.submitted", "a")).await.unwrap();
    log.purge(stream::LOG, &Filter::domain(Domain::Job), 3).await.unwrap();
    let records = all(&log, stream::LOG).await;
    let (old, young) = (records[4].stored_at, records[5].stored_at);
    assert!(old < young);
    let after = |time: lowland_events::Time| time.plus_ms(3_600_000);
    assert_eq!(first_young(&*log, after(young), age).await.unwrap(), 8);
    assert_eq!(first_young(&*log, after(young).plus_ms(1), age).await.unwrap(), 9);
    assert_eq!(first_young(&*log, old, age).await.unwrap(), 3);
}
