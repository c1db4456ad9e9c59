//! Instances that are there no longer: their process has fallen silent, or their worker has started anew.

use lowland_events::{
    Subject,
    id::{InstanceId, ModelId},
    instance::Lost,
};

use super::Round;
use crate::{facts::View, liveness::LEASE_MS};

pub(super) fn instances(view: &View<'_>, round: &mut Round) {
    for process in view.state.fleet().superseded() {
        lose(view, round, process, "its worker has started anew");
    }
    for process in view.facts.liveness.silent(view.now) {
        if !view.state.fleet().superseded().contains(process) {
            lose(view, round, process, &format!("it was silent for longer than its lease of {LEASE_MS} ms"));
        }
    }
}

fn lose(view: &View<'_>, round: &mut Round, process: &InstanceId, reason: &str) {
    let silent_ms = view.facts.liveness.silence_ms(process, view.now);
    for (id, instance) in view.state.fleet().of_process(process) {
        if round.is_full() {
            return;
        }
        let subject = lost_subject(&instance.model, id);
        let lost = Lost { silent_ms, reason: reason.to_owned() };
        round.decided.push(view.on_instance(instance, subject, lost, reason));
    }
}

fn lost_subject(model: &ModelId, instance: &InstanceId) -> Subject {
    Subject::instance(model, instance, "lost")
}
