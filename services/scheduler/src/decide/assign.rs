//! Waiting jobs meet free slots: who goes next is the queue's choice, where it goes the placement's.

use lowland_events::{
    id::ModelId,
    job::{Assigned, Verdict},
};

use super::{Decided, Round};
use crate::{
    facts::View,
    key::JobKey,
    liveness::LEASE_MS,
    placement::{Choice, Places},
    queue::Queue,
    state::Job,
};

pub(super) fn assignments(view: &View<'_>, round: &mut Round) {
    for (model, queue) in view.state.queues() {
        assign_model(view, round, model, queue);
    }
}

fn assign_model(view: &View<'_>, round: &mut Round, model: &ModelId, queue: &Queue) {
    let mut places = Places::of(view, model);
    let mut draw = queue.draw(places.free_slots());
    while !round.is_full() {
        let Some((account, job)) = draw.next(|regions| places.admits(regions)) else { return };
        let key = JobKey { account: account.clone(), job: job.clone() };
        let Some(job) = view.state.job(&key).filter(|_| round.is_open_to(&key)) else { continue };
        if let Some(choice) = places.choose(job) {
            draw.charge(job.bounds());
            round.push(&key, assigned(view, &key, job, choice));
        }
    }
}

fn assigned(view: &View<'_>, key: &JobKey, job: &Job, choice: Choice) -> Decided {
    let why = why(&choice);
    let subject = key.subject("assigned").to_worker(&choice.worker);
    let event = Assigned {
        worker: choice.worker,
        instance: choice.instance,
        attempt: job.attempt + 1,
        lease_ms: LEASE_MS,
        job: (*job.submitted).clone(),
        price_version: job.price_version.clone().unwrap_or_default(),
        considered: choice.considered,
        considered_more: choice.considered_more,
        decided_on: view.facts.positions.clone(),
    };
    view.on_job(job, subject, event, why)
}

fn why(choice: &Choice) -> String {
    let eligible =
        choice.considered.iter().filter(|candidate| candidate.verdict == Verdict::Eligible).count();
    format!(
        "{} is the cheapest place with a free slot; {eligible} others could have taken it",
        choice.instance
    )
}
