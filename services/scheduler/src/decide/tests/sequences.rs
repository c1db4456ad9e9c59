//! What appends expect, and which events are refused.

use super::*;

fn expected(given: &Given) -> u64 {
    given.round().decided[0].decision.entries()[0].expect.as_ref().unwrap().last
}

#[test]
fn an_append_expects_the_last_sequence_whatever_the_last_event_was() {
    assert_eq!(expected(&Given::a_worker().held("a/j")), 2, "its hold is an event of its account");
    assert_eq!(expected(&Given::a_worker().held("a/j").unknown("a/j")), 4);
}

#[test]
fn what_the_state_cannot_read_is_a_fact() {
    let mut given = Given::a_worker().held("a/j");
    given.facts.moved.insert(Filter::aggregate(Domain::Job, "a", "j"), 17);
    assert_eq!(expected(&given), 17);
}

#[test]
fn a_decision_that_is_taken_again_has_the_same_id() {
    let given = Given::a_worker().held("a/j");
    let id = |given: &Given| given.round().decided[0].decision.drafts().next().unwrap().meta.id;
    let first = id(&given);
    assert_eq!(id(&given.pass(500, &[])), first);
}

#[test]
fn a_stale_fence_is_refused() {
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").attempt_failed("a/j", true);
    let given = given.assigned("a/j", "w1-p1-m");
    let stale = job::Started { instance: instance("w1-p1-m"), attempt: 1, resumed_tokens: 0 };
    let given = given.job("a/j", stale);
    let job = given.state.job(&key("a/j")).unwrap();
    assert_eq!((job.phase, given.state.ignored()), (crate::lifecycle::Phase::Assigned, 1));
}
