//! Given these instances and jobs, when this event comes, then these commands.

use lowland_events::{
    EventId, Meta, Subject, Time,
    id::{AccountId, JobId, ModelId, WorkerId},
    instance::Lost,
    job::{Assigned, Submitted, Task},
    meter::Usage,
};

use super::*;

fn instance(name: &str) -> InstanceId {
    InstanceId::new(name).unwrap()
}

fn key(job: &str) -> Key {
    (AccountId::new("acme").unwrap(), JobId::new(job).unwrap())
}

fn stored(subject: Subject, event: impl Into<Event>) -> Stored {
    let meta = Meta {
        id: EventId::derived("cause", "kind", 0),
        time: Time(1),
        source: "test".into(),
        correlation: None,
        causation: None,
        traceparent: None,
    };
    Stored { stream: "LOG".into(), sequence: 9, stored_at: Time(1), subject, meta, event: event.into() }
}

fn assigned(job: &str, to: &str, attempt: u32) -> Stored {
    let worker = WorkerId::new("w1").unwrap();
    let (account, id) = key(job);
    let submitted = Submitted {
        model: ModelId::new("m").unwrap(),
        task: Task::Completion { prompt: "a".into() },
        sampling: None,
        regions: Vec::new(),
        deadline: Time(1),
        bounds: Usage::default(),
        request_sequence: 1,
    };
    let body = Assigned {
        worker: worker.clone(),
        instance: instance(to),
        attempt,
        lease_ms: 1,
        job: submitted,
        price_version: String::new(),
        considered: Vec::new(),
        considered_more: 0,
        decided_on: Vec::new(),
    };
    stored(Subject::job(&account, &id, "assigned").to_worker(&worker), body)
}

fn cancelled(job: &str, on: &str, attempt: u32) -> Stored {
    let (account, id) = key(job);
    let body = CancelRequested { instance: instance(on), attempt, reason: "no more".into() };
    stored(Subject::job(&account, &id, "cancel_requested"), body)
}

fn lost(of: &str, silent_ms: u64) -> Stored {
    let subject = Subject::instance(&ModelId::new("m").unwrap(), &instance(of), "lost");
    stored(subject, Lost { silent_ms, reason: "silent".into() })
}

fn begun(command: &Command) -> Option<(&Key, u32)> {
    match command {
        Command::Begin(of) => Some((&of.key, of.attempt())),
        _ => None,
    }
}

fn two() -> Roster {
    let mut roster = Roster::default();
    roster.add(instance("a"));
    roster.add(instance("b"));
    roster
}

#[test]
fn an_assignment_begins_once_and_only_here() {
    let mut roster = two();
    let commands = roster.take(&assigned("j1", "a", 1));
    assert_eq!(commands.iter().filter_map(begun).collect::<Vec<_>>(), [(&key("j1"), 1)]);
    assert_eq!(roster.take(&assigned("j1", "a", 1)), []);
    assert_eq!(roster.take(&assigned("j2", "elsewhere", 1)), []);
    assert_eq!(roster.jobs(), 1);
}

#[test]
fn a_later_attempt_takes_the_place_of_an_earlier_one() {
    let mut roster = two();
    roster.take(&assigned("j1", "a", 1));
    let commands = roster.take(&assigned("j1", "b", 2));
    assert_eq!(commands[0], Command::Tell(key("j1"), Order::Leave));
    assert_eq!(begun(&commands[1]), Some((&key("j1"), 2)));
    assert_eq!(roster.take(&assigned("j1", "a", 1)), [], "an earlier one never comes back");
    roster.ended(&key("j1"), 1);
    assert_eq!(roster.jobs(), 1, "the end of the earlier attempt is not that of the later one");
    roster.ended(&key("j1"), 2);
    assert_eq!(roster.jobs(), 0);
}

#[test]
fn a_cancel_request_reaches_the_attempt_that_it_names() {
    let mut roster = two();
    roster.take(&assigned("j1", "a", 2));
    for stray in [cancelled("j1", "a", 1), cancelled("j1", "b", 2), cancelled("j2", "a", 2)] {
        assert_eq!(roster.take(&stray), []);
    }
    let order = Order::End { sequence: 9, reason: "no more".into() };
    assert_eq!(roster.take(&cancelled("j1", "a", 2)), [Command::Tell(key("j1"), order)]);
}

#[test]
fn a_lost_instance_leaves_its_jobs_and_comes_back_under_another_name() {
    let mut roster = two();
    roster.take(&assigned("j1", "a", 1));
    roster.take(&assigned("j2", "b", 1));
    assert_eq!(roster.take(&lost("elsewhere", 2500)), []);
    let commands = roster.take(&lost("a", 2500));
    assert_eq!(commands, [Command::Tell(key("j1"), Order::Leave), Command::Announce(instance("a"))]);
    assert_eq!(roster.take(&assigned("j3", "a", 1)), [], "the old name takes no jobs");
    assert_eq!(roster.instances().collect::<Vec<_>>(), [&instance("b")]);
}

#[test]
fn leaving_overrules_ending_overrules_stopping() {
    let end = Order::End { sequence: 1, reason: String::new() };
    let orders = [Order::Proceed, Order::Stop, end, Order::Leave];
    for (i, a) in orders.iter().enumerate() {
        for (j, b) in orders.iter().enumerate() {
            assert_eq!(a.overrules(b), i > j);
        }
    }
}

#[test]
fn who_is_lost_while_being_heard_yields_to_the_other_process() {
    let mut roster = two();
    assert_eq!(roster.take(&lost("a", 400)), [Command::Yield(instance("a"))]);
    assert!(roster.take(&assigned("j1", "a", 1)).is_empty(), "it takes no more jobs");
}
