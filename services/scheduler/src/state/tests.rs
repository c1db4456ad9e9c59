//! The fold: indexes that follow from the jobs, snapshots that lose nothing, events that do not fit.

use lowland_events::{job, meter::Usage};
use proptest::prelude::*;

use crate::{
    given::{Given, key, output, ready},
    lifecycle::Phase,
    state::State,
};

/// A state in which every index has something.
fn busy() -> Given {
    let mut given =
        Given::a_worker().ready("w2-p1-m", ready("w2", "w2-p1")).submitted("a/new").held("a/held");
    given = given.assigned("a/run", "w1-p1-m").started("a/run").assigned("b/orphan", "w2-p1-m");
    given = given.stopped("w2-p1-m").assigned("b/told", "w1-p1-m").cancel_requested("b/told", "bored");
    given = given.assigned("b/broken", "w1-p1-m").attempt_failed("b/broken", false);
    given.assigned("c/done", "w1-p1-m").completed("c/done", output(9))
}

#[test]
fn what_is_due_stands_in_the_indexes() {
    let state = busy().state;
    let names = |keys: &std::collections::BTreeSet<crate::key::JobKey>| {
        keys.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(&state.due().orphans), ["b/orphan"]);
    assert_eq!(names(&state.due().endings), ["b/broken"]);
    assert_eq!(state.due().answers.len(), 1);
    assert_eq!(state.due().deadlines.len(), 5);
    assert_eq!(state.ended().len(), 1);
    assert_eq!(state.waiting(&key("a/x").account).jobs, 2);
    assert_eq!(state.queues().count(), 1);
}

#[test]
fn a_snapshot_loses_nothing() {
    let state = busy().state;
    let bytes = rmp_serde::to_vec_named(&state).unwrap();
    assert_eq!(rmp_serde::from_slice::<State>(&bytes).unwrap(), state);
}

#[test]
fn nothing_is_left_of_jobs_that_ended_but_their_ids() {
    let mut given = Given::a_worker();
    for n in 0..50 {
        let name = format!("a/{n}");
        given = given.assigned(&name, "w1-p1-m").started(&name).completed(&name, output(1));
    }
    assert_eq!(given.state.ended().len(), 50);
    assert_eq!(Parts::of(&given.state), Parts::of(&Given::a_worker().state));
}

/// What a state holds besides ended jobs' ids.
#[derive(Debug, PartialEq)]
struct Parts {
    jobs: usize,
    queues: usize,
    due: usize,
    waiting: usize,
    taken: usize,
}

impl Parts {
    fn of(state: &State) -> Self {
        let due = state.due();
        Self {
            jobs: state.jobs.len(),
            queues: state.queues.len(),
            due: due.answers.len() + due.deadlines.len() + due.endings.len() + due.orphans.len(),
            waiting: state.waiting.len(),
            taken: state.fleet().instance(&crate::given::instance("w1-p1-m")).unwrap().jobs.len(),
        }
    }
}

#[test]
fn an_ended_job_stays_ended() {
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").completed("a/j", Usage::default());
    let given = given.submitted("a/j");
    assert_eq!((given.state.job(&key("a/j")), given.state.ignored()), (None, 1));
}

#[test]
fn an_event_before_its_time_changes_nothing_but_the_sequence() {
    let given = Given::a_worker().submitted("a/j");
    let given = given.job("a/j", job::Cancelled { reason: "x".into(), usage: Usage::default() });
    assert_eq!(given.state.job(&key("a/j")), None);
    let completed = Given::a_worker().job(
        "a/k",
        job::Rejected {
            problem: job::Problem { code: job::ProblemCode::NoPrice, message: String::new(), field: None },
        },
    );
    assert_eq!(completed.state.ended().len(), 1);
    let held_late = Given::a_worker().assigned("a/j", "w1-p1-m").held("a/j");
    let job = held_late.state.job(&key("a/j")).unwrap();
    assert_eq!((job.phase, job.last), (Phase::Assigned, 4), "and the job's sequence is its own events'");
}

#[test]
fn what_earlier_builds_told_twice_holds_once() {
    let given = Given::nothing().held("a/j");
    let hold_id = given.state.job(&key("a/j")).unwrap().last_id;
    let given = given.job("a/j", job::Held { amount: lowland_events::Money(5), price_version: "p1".into() });
    let job = given.state.job(&key("a/j")).unwrap();
    assert_eq!((job.phase, job.last, given.state.ignored()), (Phase::Held, 3, 0));
    assert_ne!(job.last_id, hold_id, "what follows, follows from the later of the two");
    let unpaid = Given::nothing().submitted("a/k");
    let told = job::Held { amount: lowland_events::Money(5), price_version: "p1".into() };
    assert_eq!(unpaid.job("a/k", told).state.job(&key("a/k")).unwrap().phase, Phase::Held);
}

proptest! {
    /// Whatever comes, the indexes are those that the jobs call for: a state that is rebuilt from the jobs' own phases
    /// has the same counts.
    #[test]
    fn indexes_follow_from_the_jobs(steps in proptest::collection::vec((0_u8..9, 0_u8..4), 0..80)) {
        let mut given = Given::a_worker().ready("w2-p1-m", ready("w2", "w2-p1"));
        for (step, n) in steps {
            let name = format!("a/{n}");
            let has_attempt = given.state.job(&key(&name)).is_some_and(|job| job.attempt > 0);
            given = match step {
                0 => given.submitted(&name),
                1 if given.state.job(&key(&name)).is_some() => given.held(&name),
                2 if given.state.job(&key(&name)).is_some() => given.assigned(&name, "w1-p1-m"),
                3 if given.state.job(&key(&name)).is_some() => given.assigned(&name, "w2-p1-m"),
                4 if has_attempt => given.started(&name),
                5 if has_attempt => given.attempt_failed(&name, n % 2 == 0),
                6 if has_attempt => given.cancel_requested(&name, "bored"),
                7 if has_attempt => given.completed(&name, output(1)),
                8 if n == 0 => given.stopped("w2-p1-m"),
                _ => given,
            };
            let state = &given.state;
            let count = |test: &dyn Fn(&crate::state::Job) -> bool| state.jobs().filter(|(_, job)| test(job)).count();
            let there = |job: &crate::state::Job| {
                job.instance.as_ref().is_some_and(|id| state.fleet().instance(id).is_some())
            };
            let due = state.due();
            prop_assert_eq!(due.answers.len(), count(&|job| job.phase == Phase::CancelRequested));
            prop_assert_eq!(due.deadlines.len(), count(&|job| job.phase != Phase::CancelRequested));
            prop_assert_eq!(due.starts.len(), count(&|job| job.phase == Phase::Assigned));
            prop_assert_eq!(due.orphans.len(), count(&|job| job.phase.is_with_worker() && !there(job)));
            prop_assert_eq!(
                due.endings.len(),
                count(&|job| job.phase == Phase::AttemptFailed && !job.wants_place())
            );
            let drawn = |queue: &crate::queue::Queue| {
                let mut draw = queue.draw(usize::MAX);
                std::iter::from_fn(|| draw.next(|_| true)).count()
            };
            let in_line: usize = state.queues().map(|(_, queue)| drawn(queue)).sum();
            prop_assert_eq!(in_line, count(&crate::state::Job::wants_place));
            let waiting = count(&|job| !job.phase.is_with_worker()) as u64;
            prop_assert_eq!(state.waiting(&key("a/x").account), crate::state::Waiting { jobs: waiting, bytes: 2 * waiting });
            let taken: usize = ["w1-p1-m", "w2-p1-m"]
                .iter()
                .filter_map(|id| state.fleet().instance(&crate::given::instance(id)))
                .map(|instance| instance.jobs.len())
                .sum();
            prop_assert_eq!(taken, count(&|job| job.phase.is_with_worker() && there(job)));
        }
    }
}
