//! Snapshots: kept whole, replaced whole, used only if they are what they say.

use std::collections::BTreeMap;

use lowland_events::{
    Time,
    id::ServiceId,
    log::SharedLog,
    snapshot::{Found, Kept, PART_BYTES, Snapshot, find, keep},
    stream::{self, LOG, SNAPSHOTS},
};

use crate::fixture::{Fixture, all, sequences, with_streams};

const LOGIC: u32 = 3;
type State = BTreeMap<String, (u64, Time)>;

fn service() -> ServiceId {
    ServiceId::new("scheduler").unwrap()
}

fn state(jobs: u64) -> State {
    (0..jobs).map(|n| (format!("job {n}"), (n, Time(1_790_000_000_000_000)))).collect()
}

fn snapshot(position: u64, state: &State) -> Snapshot {
    Snapshot::of(service(), LOG, position, LOGIC, state)
}

async fn found(log: &SharedLog) -> Found {
    find(&**log, &service(), LOG, LOGIC).await.unwrap()
}

async fn usable(log: &SharedLog) -> Snapshot {
    match found(log).await {
        Found::Usable(snapshot) => snapshot,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn the_newest_snapshot_is_found(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::snapshots()]).await;
    assert_eq!(found(&log).await, Found::Nothing);
    for position in [10, 20, 30] {
        let kept = keep(&*log, &snapshot(position, &state(position))).await.unwrap();
        assert_eq!(kept, Kept::Newest);
        assert_eq!(usable(&log).await.decode::<State>().unwrap(), state(position));
    }
    assert_eq!(usable(&log).await, snapshot(30, &state(30)));
    assert_eq!(all(&log, SNAPSHOTS).await.len(), 2, "one part and its manifest, of the newest alone");
}

pub(crate) async fn a_snapshot_of_other_logic_is_not_used(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::snapshots()]).await;
    keep(&*log, &snapshot(10, &state(1))).await.unwrap();
    let other = find(&*log, &service(), LOG, LOGIC + 1).await.unwrap();
    let Found::Unusable(why) = other else { panic!("{other:?}") };
    assert!(why.contains("version 3") && why.contains("version 4"), "{why}");
    let newer = Snapshot { logic_version: LOGIC + 1, ..snapshot(9, &state(2)) };
    assert_eq!(keep(&*log, &newer).await.unwrap(), Kept::Newest, "positions of other logic do not count");
}

pub(crate) async fn a_snapshot_that_was_damaged_is_not_used(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::snapshots()]).await;
    keep(&*log, &snapshot(10, &state(5))).await.unwrap();
    let part = all(&log, SNAPSHOTS).await.remove(0);
    let mut damaged = crate::fixture::entry("job.acme.j1.submitted", "damage");
    damaged.subject = part.subject;
    log.append(damaged).await.unwrap();
    assert!(matches!(found(&log).await, Found::Unusable(_)));
    assert_eq!(keep(&*log, &snapshot(11, &state(6))).await.unwrap(), Kept::Newest);
    assert_eq!(usable(&log).await.decode::<State>().unwrap(), state(6));
}

pub(crate) async fn a_large_state_is_kept_in_parts(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::snapshots()]).await;
    let large = state(150_000);
    let taken = snapshot(10, &large);
    assert!(taken.state.len() > 4 * PART_BYTES);
    keep(&*log, &taken).await.unwrap();
    assert!(all(&log, SNAPSHOTS).await.len() > 5);
    assert_eq!(usable(&log).await.decode::<State>().unwrap(), large);
    keep(&*log, &snapshot(20, &state(3))).await.unwrap();
    assert_eq!(usable(&log).await.decode::<State>().unwrap(), state(3), "parts left over do not count");
}

pub(crate) async fn an_older_snapshot_does_not_replace_a_newer(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::snapshots()]).await;
    keep(&*log, &snapshot(20, &state(2))).await.unwrap();
    assert_eq!(keep(&*log, &snapshot(10, &state(1))).await.unwrap(), Kept::Outdated);
    assert_eq!(keep(&*log, &snapshot(20, &state(2))).await.unwrap(), Kept::Outdated);
    assert_eq!(usable(&log).await.position, 20);
    let rivals = [snapshot(30, &state(3)), snapshot(31, &state(4))];
    let outcomes = futures::join!(keep(&*log, &rivals[0]), keep(&*log, &rivals[1]));
    assert!(outcomes.0.is_ok() && outcomes.1.is_ok());
    assert!(usable(&log).await.position >= 30);
}

pub(crate) async fn folds_are_kept_apart(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::snapshots()]).await;
    let billing = ServiceId::new("billing").unwrap();
    keep(&*log, &snapshot(10, &state(1))).await.unwrap();
    keep(&*log, &Snapshot { service: billing.clone(), ..snapshot(20, &state(2)) }).await.unwrap();
    keep(&*log, &Snapshot { stream: "REQUESTS".to_owned(), ..snapshot(30, &state(3)) }).await.unwrap();
    assert_eq!(usable(&log).await.position, 10);
    let Found::Usable(other) = find(&*log, &billing, LOG, LOGIC).await.unwrap() else { panic!("not found") };
    assert_eq!(other.position, 20);
    assert_eq!(sequences(&all(&log, SNAPSHOTS).await).len(), 6);
}
