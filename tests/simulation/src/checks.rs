//! What must hold once everything has come to rest: the audit of the log, nothing left over in any service, and every
//! service's state the one that a replay of the log gives.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lowland_events::{
    Event, Stored, Subject,
    log::{Log as _, SharedLog},
    request,
    snapshot::{encode, state_hash},
    stream,
};
use lowland_gateway::models::Models;
use lowland_host::{Fold, Keep};
use lowland_tests::audit::{self, Audit, Prices};

use crate::{
    caller::Callers,
    place::{Place, Role},
    world::{Places, World, within},
};

/// Longest simulated time, once it is calm, until every caller knows how its job ended.
const HEARD_WITHIN: Duration = Duration::from_secs(120);
/// Time for which what went wrong before may still have its effects: a process that stands still, an append that is late.
const ECHOES: Duration = Duration::from_secs(12);
/// Time for which nothing may happen once everything is done.
const STILL_FOR: Duration = Duration::from_secs(10);
/// Longest simulated time until every service is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Waits for everything to end, and checks the log that is left.
pub(crate) async fn check(world: &World, places: &Places, callers: &Callers) -> Audit {
    let log: SharedLog = std::sync::Arc::new(world.store.memory.clone());
    let prices = Prices::read(include_str!("prices.toml"));
    let heard = within(HEARD_WITHIN, || callers.waiting() == 0).await;
    let audit = audit::finished(&log, prices).await;
    if !heard {
        world.trace.violation(format!("{} callers never hear how their jobs ended", callers.waiting()));
    }
    for key in callers.acknowledged() {
        if !audit.jobs.contains_key(&(key.account.to_string(), key.job.to_string())) {
            world.trace.violation(format!("{}/{} was acknowledged and is lost", key.account, key.job));
        }
    }
    tokio::time::sleep(ECHOES).await;
    stillness(world).await;
    answers(world).await;
    for place in &places.0 {
        at_rest(world, &log, place).await;
    }
    audit
}

/// Of the requests of one id, one becomes the job (or is what it was rejected for); every other one is answered.
async fn answers(world: &World) {
    let records = world.store.memory.read(stream::REQUESTS, &[], 1, usize::MAX).await;
    let (mut posted, mut answered) = (BTreeMap::<_, BTreeSet<u64>>::new(), BTreeSet::new());
    for record in records.expect("the log can be read") {
        let Ok(subject) = record.subject.parse::<Subject>() else { continue };
        if subject.event() == "posted" {
            let key = (subject.scope().to_owned(), subject.aggregate().to_owned());
            posted.entry(key).or_default().insert(record.sequence);
        }
        if let Ok(Stored { event: Event::Request(request::Event::Rejected(rejected)), .. }) =
            Stored::try_from(&record)
        {
            answered.insert(rejected.request_sequence);
        }
    }
    for (key, sequences) in posted {
        let silent: Vec<_> = sequences.difference(&answered).collect();
        if silent.len() != 1 {
            world
                .trace
                .violation(format!("{key:?}: of requests {sequences:?} one is the job's, not {silent:?}"));
        }
    }
}

/// Nothing may be decided any more once nothing is left to decide.
async fn stillness(world: &World) {
    let last = async || world.store.memory.extent(stream::LOG).await.expect("the stream is there").last;
    let before = last().await;
    tokio::time::sleep(STILL_FOR).await;
    let after = last().await;
    if before != after {
        world.trace.violation(format!("everything was done, and the log goes on from {before} to {after}"));
    }
}

/// The service works, has nothing left over, and knows exactly what the log says.
async fn at_rest(world: &World, log: &SharedLog, place: &Place) {
    let ready = || place.here().is_some_and(|here| here.host.health.problem().is_none());
    if !within(READY_WITHIN, ready).await {
        let why = place.here().map(|here| here.host.health.problem());
        return world.trace.violation(format!("{:?} is not ready: {why:?}", place.role));
    }
    let Some(here) = place.here() else { return };
    let sample = here.host.figures.sample(0);
    for name in left_over(&place.role) {
        let series: Vec<_> = sample.gauges.iter().filter(|(key, _)| key.starts_with(name)).collect();
        if series.is_empty() || series.iter().any(|(_, value)| **value != 0) {
            world.trace.violation(format!("{:?} tells {name} = {series:?} when all is done", place.role));
        }
    }
    match place.role {
        Role::Scheduler => same::<lowland_scheduler::state::State>(world, log, place).await,
        Role::Billing => same::<lowland_billing::State>(world, log, place).await,
        Role::Gateway => same::<Models>(world, log, place).await,
        Role::Worker { .. } => {}
    }
}

/// What is zero in a service that has nothing left over.
fn left_over(role: &Role) -> &'static [&'static str] {
    match role {
        Role::Scheduler => &["lowland_scheduler_jobs_open", "lowland_scheduler_requests_pending"],
        Role::Billing => &[
            "lowland_billing_events_misfit",
            "lowland_billing_accounts_due",
            "lowland_billing_topups_pending",
        ],
        Role::Worker { .. } => &["vllm:num_requests_running"],
        Role::Gateway => &[],
    }
}

/// The state that the service has is the one that folding the log from its beginning gives.
async fn same<S: Keep>(world: &World, log: &SharedLog, place: &Place) {
    let Some(here) = place.here() else { return };
    let seen = match here.host.inspection.look().await {
        Ok(seen) => seen,
        Err(error) => {
            return world.trace.violation(format!("{:?} does not tell its state: {error}", place.role));
        }
    };
    let fold = Fold::<S>::open(log, stream::LOG, &S::filters()).await.expect("the log can be read");
    let replayed = state_hash(&encode(fold.state()));
    if (seen.position, &seen.hash) != (fold.position(), &replayed) {
        world.trace.violation(format!(
            "{:?} has state {} at {}, a replay gives {replayed} at {}",
            place.role,
            seen.hash,
            seen.position,
            fold.position()
        ));
    }
}
