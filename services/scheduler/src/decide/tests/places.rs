//! Where waiting jobs go.

use super::*;

#[test]
fn a_job_waits_until_it_is_paid_for() {
    assert_eq!(Given::a_worker().submitted("a/j").when(), NOTHING);
    assert_eq!(Given::a_worker().held("a/j").when(), ["job.a.j.assigned.w1: w1-p1-m attempt 1"]);
}

#[test]
fn a_job_waits_while_there_is_no_place() {
    assert_eq!(Given::nothing().held("a/j").when(), NOTHING);
    assert_eq!(Given::a_worker().assigned("a/i", "w1-p1-m").held("a/j").when(), NOTHING);
    assert_eq!(Given::a_worker().held("a/j").stopped("w1-p1-m").when(), NOTHING);
}

#[test]
fn slots_are_never_exceeded_within_a_round() {
    let two = Ready { slots: 2, ..ready("w1", "w1-p1") };
    let given = Given::nothing().ready("w1-p1-m", two).held("a/1").held("a/2").held("a/3");
    assert_eq!(
        given.when(),
        ["job.a.1.assigned.w1: w1-p1-m attempt 1", "job.a.2.assigned.w1: w1-p1-m attempt 1"]
    );
}

#[test]
fn a_slot_is_free_again_when_its_job_ends() {
    let given = Given::a_worker().assigned("a/i", "w1-p1-m").held("a/j").started("a/i");
    let given = given.completed("a/i", output(3));
    assert_eq!(given.when(), ["job.a.j.assigned.w1: w1-p1-m attempt 1"]);
}

#[test]
fn the_cheapest_place_is_taken_then_the_emptiest() {
    let cheap = Ready { ask: Money(5), ..ready("w2", "w2-p1") };
    let given = Given::a_worker().ready("w2-p1-m", cheap.clone()).held("a/j");
    assert_eq!(given.when(), ["job.a.j.assigned.w2: w2-p1-m attempt 1"]);
    let roomy = Ready { slots: 3, ..ready("w9", "w9-p1") };
    let given = Given::a_worker().ready("w9-p1-m", roomy).held("a/j");
    assert_eq!(given.when(), ["job.a.j.assigned.w9: w9-p1-m attempt 1"]);
}

#[test]
fn only_allowed_regions_are_considered_and_a_busy_one_holds_up_nobody() {
    let given = Given::a_worker().ready("w2-p1-m", in_region("eu", ready("w2", "w2-p1")));
    let only = |regions: &[&str]| job::Submitted {
        regions: regions.iter().map(|name| RegionId::new(name).unwrap()).collect(),
        ..submitted(Time(0).plus_ms(60_000))
    };
    let given = given.job("a/1", only(&["eu"])).held("a/1").job("a/2", only(&["eu"])).held("a/2");
    let given = given.job("a/3", only(&["us", "local"])).held("a/3");
    assert_eq!(
        given.when(),
        ["job.a.1.assigned.w2: w2-p1-m attempt 1", "job.a.3.assigned.w1: w1-p1-m attempt 1"]
    );
}

#[test]
fn a_place_that_was_not_heard_lately_gets_nothing() {
    let given = Given::a_worker().pass(1000, &["w1-p1"]).held("a/j");
    assert_eq!(given.when().len(), 1);
    let given = given.pass(1001, &["w1-p1"]);
    assert_eq!(given.when(), NOTHING, "not lost yet, but no place either");
}

#[test]
fn the_reasons_are_given() {
    let given = Given::a_worker()
        .ready("w2-p1-m", Ready { ask: Money(1), ..in_region("eu", ready("w2", "w2-p1")) })
        .ready("w3-p1-m", Ready { ask: Money(2), ..ready("w3", "w3-p1") })
        .ready("w4-p1-m", Ready { ask: Money(99), ..ready("w4", "w4-p1") })
        .assigned("a/i", "w3-p1-m");
    let local = job::Submitted {
        regions: vec![RegionId::new("local").unwrap()],
        ..submitted(given.now.plus_ms(60_000))
    };
    let mut given = given.job("a/j", local).held("a/j");
    given.facts.positions = vec![job::Position { stream: "LOG".into(), sequence: 7 }];
    let round = given.round();
    let Event::Job(job::Event::Assigned(assigned)) =
        &round.decided[0].decision.drafts().next().unwrap().event
    else {
        panic!("an assignment")
    };
    let verdicts: Vec<_> =
        assigned.considered.iter().map(|c| (c.worker.as_str(), c.verdict, c.free_slots)).collect();
    assert_eq!(
        verdicts,
        [
            ("w1", Verdict::Chosen, 1),
            ("w2", Verdict::RegionNotAllowed, 1),
            ("w3", Verdict::NoFreeSlot, 0),
            ("w4", Verdict::Eligible, 1)
        ]
    );
    assert_eq!((assigned.lease_ms, assigned.price_version.as_str()), (2000, "p1"));
    assert_eq!(assigned.decided_on, given.facts.positions);
    assert_eq!(assigned.job, *given.state.job(&key("a/j")).unwrap().submitted);
}

#[test]
fn many_candidates_are_counted_but_not_all_listed() {
    let mut given = Given::nothing();
    for n in 10..40 {
        given = given.ready(&format!("w{n}-p-m"), ready(&format!("w{n}"), &format!("w{n}-p")));
    }
    let given = given.held("a/j");
    let round = given.round();
    let Event::Job(job::Event::Assigned(assigned)) =
        &round.decided[0].decision.drafts().next().unwrap().event
    else {
        panic!("an assignment")
    };
    assert_eq!((assigned.considered.len(), assigned.considered_more), (16, 14));
}

#[test]
fn a_flood_of_one_account_does_not_hold_up_another() {
    let mut given = Given::a_worker();
    for n in 0..50 {
        given = given.held(&format!("flood/j{n:02}"));
    }
    let mut given = given.assigned("flood/j00", "w1-p1-m").held("quiet/j");
    let mut order = Vec::new();
    for running in ["flood/j00", "", ""] {
        let name = if running.is_empty() { order.last().cloned().unwrap() } else { running.to_owned() };
        given = given.completed(&name, output(100));
        given.settle();
        let next = given.state.jobs().find(|(_, job)| job.phase.is_with_worker()).unwrap().0.to_string();
        order.push(next);
    }
    let place = order.iter().position(|name| name == "quiet/j");
    assert!(place.is_some_and(|place| place <= 1), "served {order:?}");
}
