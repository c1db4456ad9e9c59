//! Appends that wait at the same time go to the log as one batch.
//!
//! A batch costs the server the same whether it holds two messages or a hundred: with `sync_interval: always` four
//! flushes to disk and some seventy calls on files that are made and removed, where a message by itself costs one flush
//! (measured on nats-server 2.15.1). So under load, what several tasks of a process want to append is put together; each
//! still is stored whole or not at all, still guards its aggregates, and hears of its own outcome alone. A batch that is
//! refused is split until the one that is to blame is by itself. While little is under way, nothing is put together,
//! since a single append is answered sooner.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{
    StreamExt,
    future::{BoxFuture, join_all},
};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{line::Line, publish};
use crate::{
    log::{AppendError, Appended, Entry},
    stream,
    subject::Filter,
};

/// Batches of one process under way at once; the server takes 50 a stream.
const BATCHES_AT_ONCE: usize = 16;
/// What a batch costs, in messages that are appended by themselves.
const BATCH_COST: usize = 8;
/// Appends by themselves under way at once before others wait to be put together, in messages.
const ALONE_COST_MAX: usize = BATCH_COST;
/// Messages put together at most; the server takes 1000.
const GROUP_MESSAGES_MAX: usize = 500;
/// Bytes of bodies put together at most. What is larger goes by itself.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Appends that may wait to be put together; more wait to wait.
const WAITING_MAX: usize = 4096;

type Outcome = Result<Appended, AppendError>;

/// An append: its messages are stored together or not at all.
struct Unit {
    entries: Vec<Entry>,
    answer: oneshot::Sender<Outcome>,
}

/// Puts appends together. Clones share the queue.
#[derive(Clone)]
pub(super) struct Grouping {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Unit>,
}

struct Shared {
    line: Arc<Line>,
    /// What one stream that takes batches stores.
    filters: Vec<Filter>,
    batches: Semaphore,
    /// Cost of the appends that are under way by themselves.
    alone: AtomicUsize,
    /// Appends in the queue, or put together and not answered.
    grouped: AtomicUsize,
}

impl Grouping {
    /// Groups what goes to the stream of jobs, accounts and instances. Needs a runtime.
    pub(super) fn over(line: Arc<Line>) -> Self {
        let shared = Arc::new(Shared {
            line,
            filters: stream::log().subjects,
            batches: Semaphore::new(BATCHES_AT_ONCE),
            alone: AtomicUsize::new(0),
            grouped: AtomicUsize::new(0),
        });
        let (queue, units) = mpsc::channel(WAITING_MAX);
        tokio::spawn(work(shared.clone(), units));
        Self { shared, queue }
    }

    /// Appends one unit: by itself while little is under way, else with others.
    pub(super) async fn append(&self, entries: Vec<Entry>) -> Outcome {
        if !self.shared.may_group(&entries) || self.shared.is_quiet(cost(&entries)) {
            return self.shared.alone(entries).await;
        }
        self.enqueue(entries).await
    }

    /// Appends many units, each with an outcome of its own.
    pub(super) async fn append_all(&self, units: Vec<Vec<Entry>>) -> Vec<Outcome> {
        let total: usize = units.iter().map(|entries| cost(entries)).sum();
        let quiet = self.shared.is_quiet(total) || units.len() == 1;
        let appends = units.into_iter().map(|entries| async {
            if quiet || !self.shared.may_group(&entries) {
                return self.shared.alone(entries).await;
            }
            self.enqueue(entries).await
        });
        join_all(appends).await
    }

    async fn enqueue(&self, entries: Vec<Entry>) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let _counted = Counted::new(&self.shared.grouped, 1);
        let gone = || AppendError::Unanswered("the runtime is shutting down".to_owned());
        self.queue.send(Unit { entries, answer }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

impl Shared {
    fn may_group(&self, entries: &[Entry]) -> bool {
        let ours = |entry: &Entry| self.filters.iter().any(|filter| filter.matches(&entry.subject));
        !entries.is_empty()
            && entries.len() <= GROUP_MESSAGES_MAX
            && bytes(entries) <= GROUP_BYTES_MAX
            && entries.iter().all(ours)
    }

    /// Whether an append of this cost is answered sooner by itself.
    fn is_quiet(&self, cost: usize) -> bool {
        self.grouped.load(Ordering::Relaxed) == 0
            && self.alone.load(Ordering::Relaxed) + cost <= ALONE_COST_MAX
    }

    async fn alone(&self, mut entries: Vec<Entry>) -> Outcome {
        let _counted = Counted::new(&self.alone, cost(&entries));
        if entries.len() != 1 {
            let _permit = self.batches.acquire().await.expect("the semaphore is never closed");
            return publish::batch(&self.line, entries).await;
        }
        publish::one(&self.line, entries.remove(0)).await
    }
}

/// Counts something for as long as it lasts.
struct Counted<'a>(&'a AtomicUsize, usize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize, amount: usize) -> Self {
        counter.fetch_add(amount, Ordering::Relaxed);
        Self(counter, amount)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// What it costs the server by itself, in single messages.
fn cost(entries: &[Entry]) -> usize {
    if entries.len() > 1 { BATCH_COST } else { 1 }
}

fn bytes(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.payload.len()).sum()
}

/// Takes what waits, as much as goes together, and appends it; what comes meanwhile goes together next.
async fn work(shared: Arc<Shared>, mut units: mpsc::Receiver<Unit>) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(unit) = units.recv().await else { return };
            waiting.push_back(unit);
        }
        while let Ok(unit) = units.try_recv() {
            waiting.push_back(unit);
            if waiting.len() >= WAITING_MAX {
                break;
            }
        }
        settle(&shared, together(&mut waiting)).await;
    }
}

/// The first of those that wait, and what may go with them: no aggregate twice, since whatever was decided second did
/// not know of the first, nor more than the bounds allow. Their order stays.
fn together(waiting: &mut VecDeque<Unit>) -> Vec<Unit> {
    let (mut group, mut aggregates) = (Vec::new(), BTreeSet::new());
    let (mut messages, mut size) = (0, 0);
    while let Some(unit) = waiting.front() {
        let own: BTreeSet<String> = unit.entries.iter().map(|entry| aggregate(&entry.subject)).collect();
        messages += unit.entries.len();
        size += bytes(&unit.entries);
        let fits = messages <= GROUP_MESSAGES_MAX && size <= GROUP_BYTES_MAX && own.is_disjoint(&aggregates);
        if !(group.is_empty() || fits) {
            break;
        }
        aggregates.extend(own);
        group.extend(waiting.pop_front());
    }
    group
}

/// What a subject's messages are guarded by: its first four tokens.
fn aggregate(subject: &str) -> String {
    subject.splitn(5, '.').take(4).collect::<Vec<_>>().join(".")
}

/// Appends a group and tells each unit its outcome.
fn settle(shared: &Shared, mut group: Vec<Unit>) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let total: usize = group.iter().map(|unit| cost(&unit.entries)).sum();
        if group.len() == 1 || total <= BATCH_COST {
            return each_alone(shared, group).await;
        }
        let entries: Vec<Entry> = group.iter().flat_map(|unit| unit.entries.clone()).collect();
        let outcome = {
            let _permit = shared.batches.acquire().await.expect("the semaphore is never closed");
            publish::group(&shared.line, &entries).await
        };
        match outcome {
            Ok(appended) => tell_stored(group, appended),
            Err(AppendError::Conflict { .. } | AppendError::Refused(_)) => {
                let rest = group.split_off(group.len() / 2);
                settle(shared, group).await;
                settle(shared, rest).await;
            }
            Err(error) => group.into_iter().for_each(|unit| drop(unit.answer.send(Err(error.clone())))),
        }
    })
}

async fn each_alone(shared: &Shared, group: Vec<Unit>) {
    let appends = group.into_iter().map(|unit| async {
        let outcome = shared.alone(unit.entries).await;
        let _ = unit.answer.send(outcome);
    });
    futures::stream::iter(appends).buffered(BATCH_COST).collect::<Vec<()>>().await;
}

/// A batch's messages stand next to each other: each unit's last one is as far before the end as what follows it.
fn tell_stored(group: Vec<Unit>, appended: Appended) {
    let mut sequence = appended.sequence;
    for unit in group.into_iter().rev() {
        let before = sequence.saturating_sub(unit.entries.len() as u64);
        let _ = unit.answer.send(Ok(Appended { sequence, repeated: appended.repeated }));
        sequence = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{EventId, Headers};

    fn unit(subjects: &[&str], bytes: usize) -> (Unit, oneshot::Receiver<Outcome>) {
        let entry = |subject: &&str| Entry {
            subject: format!("lowland.{subject}"),
            id: EventId::derived(subject, "test", 0),
            headers: Headers::default(),
            payload: vec![0; bytes].into(),
            expect: None,
        };
        let (answer, outcome) = oneshot::channel();
        (Unit { entries: subjects.iter().map(entry).collect(), answer }, outcome)
    }

    fn groups(units: Vec<Unit>) -> Vec<usize> {
        let mut waiting = units.into();
        std::iter::from_fn(|| Some(together(&mut waiting).len()).filter(|len| *len > 0)).collect()
    }

    #[test]
    fn an_aggregate_is_in_a_group_once() {
        let units = [
            &["job.a.1.submitted"][..],
            &["job.a.2.rejected", "account.a.a.hold_placed"],
            &["job.a.11.submitted"],
            &["job.a.1.assigned.w1"],
            &["account.a.a.charged"],
        ];
        assert_eq!(groups(units.iter().map(|subjects| unit(subjects, 1).0).collect()), [3, 2]);
    }

    #[test]
    fn groups_are_bounded() {
        let jobs: Vec<String> =
            (0..GROUP_MESSAGES_MAX * 2 + 1).map(|n| format!("job.a.{n}.started")).collect();
        let units = jobs.iter().map(|job| unit(&[job.as_str()], 1).0).collect();
        assert_eq!(groups(units), [GROUP_MESSAGES_MAX, GROUP_MESSAGES_MAX, 1]);
        let half = GROUP_BYTES_MAX / 2 + 1;
        let units = ["job.a.1.started", "job.a.2.started", "job.a.3.started"].map(|job| unit(&[job], half).0);
        assert_eq!(groups(units.into()), [1, 1, 1]);
    }

    #[test]
    fn each_unit_hears_its_own_sequence() {
        let units = [
            unit(&["job.a.1.started"], 1),
            unit(&["account.a.a.charged", "account.a.a.hold_placed"], 1),
            unit(&["job.a.3.started"], 1),
        ];
        let (units, answers): (Vec<_>, Vec<_>) = units.into_iter().unzip();
        tell_stored(units, Appended { sequence: 14, repeated: false });
        let sequences: Vec<u64> =
            answers.into_iter().map(|mut answer| answer.try_recv().unwrap().unwrap().sequence).collect();
        assert_eq!(sequences, [11, 13, 14]);
    }
}
