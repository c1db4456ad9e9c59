//! A state that was set aside is taken up again, and is the one that a fold from the beginning gives.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lowland_events::{
    Domain, Draft, Event, Filter, Stored, Subject, Time,
    id::{InstanceId, ServiceId},
    instance::Stopped,
    log::{SharedLog, memory::MemoryLog},
    stream,
};
use lowland_host::{Fold, Host, Keep, State, keep::EVENTS_BETWEEN_MIN};
use serde::{Deserialize, Serialize};

/// How often each reason was given, and whether any event was folded by this very state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Reasons(BTreeMap<String, u64>);

impl State for Reasons {
    fn evolve(&mut self, event: &Stored) {
        let reason = match &event.event {
            Event::Instance(lowland_events::instance::Event::Stopped(stopped)) => stopped.reason.clone(),
            Event::Unknown(unknown) => format!("unreadable {}", unknown.name),
            _ => return,
        };
        *self.0.entry(reason).or_default() += 1;
    }
}

impl Keep for Reasons {
    const LOGIC_VERSION: u32 = 1;

    fn filters() -> Vec<Filter> {
        vec![Filter::domain(Domain::Instance)]
    }
}

/// The same state, folded by newer logic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Newer(Reasons);

impl State for Newer {
    fn evolve(&mut self, event: &Stored) {
        self.0.evolve(event);
    }
}

impl Keep for Newer {
    const LOGIC_VERSION: u32 = 2;

    fn filters() -> Vec<Filter> {
        vec![Filter::domain(Domain::Instance)]
    }
}

fn entry(n: u64) -> lowland_events::log::Entry {
    let (model, instance) = ("m".parse().unwrap(), InstanceId::new(format!("i{n}")).unwrap());
    let subject = Subject::instance(&model, &instance, "stopped");
    let reason = ["tired", "bored"][usize::from(n.is_multiple_of(3))].to_owned();
    Draft::new(subject, Stopped { reason }, &format!("test/{n}"), "test", Time(0)).entry()
}

async fn filled(events: u64) -> SharedLog {
    let log: SharedLog = Arc::new(MemoryLog::new());
    log.ensure(&stream::log()).await.unwrap();
    log.ensure(&stream::snapshots()).await.unwrap();
    for n in 0..events {
        log.append(entry(n)).await.unwrap();
    }
    log
}

fn filters() -> [Filter; 1] {
    [Filter::domain(Domain::Instance)]
}

async fn resumed<S: Keep>(log: &SharedLog, service: &ServiceId) -> Fold<S> {
    Fold::resume(log, service, stream::LOG, &filters()).await.unwrap()
}

async fn snapshot_position(log: &SharedLog, service: &ServiceId) -> Option<u64> {
    use lowland_events::snapshot::{Found, find};
    match find(&**log, service, stream::LOG, Reasons::LOGIC_VERSION).await.unwrap() {
        Found::Usable(snapshot) => Some(snapshot.position),
        Found::Nothing | Found::Unusable(_) => None,
    }
}

#[tokio::test]
async fn a_state_is_taken_up_where_it_was_left() {
    let (log, service) = (filled(EVENTS_BETWEEN_MIN).await, ServiceId::new("teller").unwrap());
    let mut first: Fold<Reasons> = resumed(&log, &service).await;
    first.keep_when_due(&Host::over(log.clone(), "teller"));
    for _ in 0..500 {
        if snapshot_position(&log, &service).await.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(snapshot_position(&log, &service).await, Some(EVENTS_BETWEEN_MIN));

    log.purge(stream::LOG, &filters()[0], EVENTS_BETWEEN_MIN).await.unwrap();
    log.append(entry(EVENTS_BETWEEN_MIN)).await.unwrap();
    let again: Fold<Reasons> = resumed(&log, &service).await;
    assert_eq!(again.position(), EVENTS_BETWEEN_MIN + 1);
    assert_eq!(
        again.state().0.values().sum::<u64>(),
        EVENTS_BETWEEN_MIN + 1,
        "none is missing or counted twice"
    );

    let newer: Fold<Newer> = resumed(&log, &service).await;
    assert_eq!(
        newer.state().0.0.values().sum::<u64>(),
        2,
        "newer logic folds what is there from the beginning"
    );
}

#[tokio::test]
async fn nothing_is_kept_before_it_is_worth_it() {
    let (log, service) = (filled(20).await, ServiceId::new("teller").unwrap());
    let mut fold: Fold<Reasons> = resumed(&log, &service).await;
    fold.keep_when_due(&Host::over(log.clone(), "teller"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(snapshot_position(&log, &service).await, None);
}

#[tokio::test]
async fn a_snapshot_of_another_log_is_not_used() {
    let (log, service) = (filled(3).await, ServiceId::new("teller").unwrap());
    let strange = lowland_events::snapshot::Snapshot::of(
        service.clone(),
        stream::LOG,
        1000,
        Reasons::LOGIC_VERSION,
        &Reasons(BTreeMap::from([("invented".to_owned(), 1000)])),
    );
    lowland_events::snapshot::keep(&*log, &strange).await.unwrap();
    let fold: Fold<Reasons> = resumed(&log, &service).await;
    assert_eq!(fold.state().0.values().sum::<u64>(), 3);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_passed_over_in_silence() {
    let log = filled(2).await;
    let unreadable = lowland_events::log::Entry { payload: "\u{1}noise".into(), ..entry(7) };
    log.append(unreadable).await.unwrap();
    let stray = lowland_events::log::Entry { subject: "lowland.job.not-ours".into(), ..entry(8) };
    log.append(stray).await.unwrap();
    let all = [Filter::domain(Domain::Instance), Filter::domain(Domain::Job)];
    let fold: Fold<Reasons> = Fold::open(&log, stream::LOG, &all).await.unwrap();
    assert_eq!(fold.state().0.get("unreadable stopped"), Some(&1), "its aggregate has moved on");
    assert_eq!(fold.state().0.values().sum::<u64>(), 3, "a subject that is not ours is nobody's");
    assert_eq!(fold.position(), 4);
}
