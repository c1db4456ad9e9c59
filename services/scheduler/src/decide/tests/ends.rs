//! Deadlines and cancels.

use super::*;

#[test]
fn a_deadline_ends_a_job_that_nobody_has() {
    for given in [Given::nothing().submitted("a/j"), Given::nothing().held("a/j")] {
        let given = given.pass(59_999, &[]);
        assert_eq!(given.when(), NOTHING);
        assert_eq!(given.pass(1, &[]).when(), ["job.a.j.expired: used 0"]);
    }
}

#[test]
fn a_deadline_tells_the_worker_that_has_the_job() {
    let mut given = Given::a_worker().assigned("a/j", "w1-p1-m").started("a/j").pass(60_000, &[]);
    assert_eq!(given.settle(), ["job.a.j.cancel_requested.w1: attempt 1 deadline"]);
    let given = given.pass(9999, &[]);
    assert_eq!(given.when(), NOTHING, "it has time to answer");
    let given = given.pass(1, &[]).delivered("a/j", output(7));
    assert_eq!(given.when(), ["job.a.j.expired: used 7"]);
}

#[test]
fn what_was_delivered_is_asked_for_before_a_job_that_began_is_ended() {
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").started("a/j").attempt_failed("a/j", false);
    assert_eq!(given.when(), NOTHING);
    assert_eq!(given.round().wanted.into_iter().collect::<Vec<_>>(), [key("a/j")]);
    let given = given.delivered("a/j", output(5));
    let round = given.round();
    let Event::Job(job::Event::Failed(failed)) = &round.decided[0].decision.drafts().next().unwrap().event
    else {
        panic!("a failure")
    };
    assert_eq!(failed.usage, output(5));
}

#[test]
fn a_cancel_ends_a_job_that_nobody_has() {
    let mut given = Given::nothing().held("a/j").cancelled(9, "a/j", "bored");
    assert_eq!(given.settle(), ["job.a.j.cancelled: bored used 0"]);
    assert_eq!(given.requests, [], "it is settled");
}

#[test]
fn a_cancel_tells_the_worker_that_has_the_job() {
    let mut given = Given::a_worker().assigned("a/j", "w1-p1-m").cancelled(9, "a/j", "bored");
    assert_eq!(given.settle(), ["job.a.j.cancel_requested.w1: attempt 1 bored"]);
    assert_eq!(given.requests, [], "it is settled");
}

#[test]
fn a_cancelled_job_whose_worker_is_lost_or_fails_is_not_tried_again() {
    let mut given = Given::a_worker().assigned("a/j", "w1-p1-m").cancel_requested("a/j", "bored");
    given = given.pass(3000, &["w1-p1"]);
    assert_eq!(given.settle()[1..], ["job.a.j.cancelled: bored used 0"]);
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").cancel_requested("a/j", "bored");
    assert_eq!(given.attempt_failed("a/j", true).when(), ["job.a.j.cancelled: bored used 0"]);
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").cancel_requested("a/j", "deadline");
    assert_eq!(given.attempt_failed("a/j", true).when(), ["job.a.j.expired: used 0"]);
}

#[test]
fn a_callers_reason_is_not_taken_for_the_deadline() {
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").cancelled(9, "a/j", "deadline");
    assert_eq!(given.when(), ["job.a.j.cancel_requested.w1: attempt 1 the caller says: deadline"]);
}

#[test]
fn a_cancel_that_comes_too_late_changes_nothing() {
    let mut given = Given::a_worker().assigned("a/j", "w1-p1-m").completed("a/j", Usage::default());
    given = given.cancelled(9, "a/j", "bored");
    assert_eq!(given.settle(), NOTHING);
    assert_eq!(given.requests, []);
}

#[test]
fn a_cancel_of_nothing_is_put_off_and_then_answered() {
    let mut given = Given::nothing().cancelled(9, "a/j", "bored");
    assert_eq!((given.when().len(), given.round().later), (0, vec![9]));
    given.requests[0].delivered = CANCEL_DELIVERIES_MAX;
    assert_eq!(
        given.when(),
        [
            "request.a.j.rejected: InvalidRequest: no job of id j is known; it has to be posted before it can be cancelled"
        ]
    );
}

#[test]
fn a_cancel_right_behind_its_post_waits_for_it() {
    let mut given = Given::a_worker().posted(1, "a/j", posted()).cancelled(2, "a/j", "bored");
    assert_eq!(given.settle(), ["job.a.j.submitted", "job.a.j.cancelled: bored used 0"]);
}
