//! Given these events, these spans are told.

use lowland_events::{
    Subject,
    id::{InstanceId, ModelId, WorkerId},
    job::{self, Finish, Output, Problem, ProblemCode, Task},
};

use super::*;
use crate::given::{hold, key};

const OURS: &str = "scheduler/one";

fn request() -> EventId {
    EventId::of_record("REQUESTS", 1)
}

fn context() -> TraceContext {
    TraceContext::of_event(request()).span(request(), "job").sampled(true)
}

fn caller() -> TraceContext {
    context().with_span([9; 8])
}

/// An event of the job `a/j` that was stored at `at` milliseconds.
fn event(at: i64, source: &str, event: impl Into<Event>) -> Stored {
    let event: Event = event.into();
    let subject: Subject = key("a/j").subject(event.name());
    let cause =
        if event.name() == "submitted" { request() } else { EventId::of_record("LOG", at as u64 - 1) };
    let draft = lowland_events::Draft::new(subject, event, &cause.to_string(), source, Time(0))
        .traced(Some(context().to_string()));
    Stored {
        stream: "LOG".into(),
        sequence: at as u64,
        stored_at: Time(at * 1000),
        subject: draft.subject,
        meta: draft.meta,
        event: draft.event,
    }
}

fn submitted() -> Submitted {
    Submitted {
        model: ModelId::new("m").unwrap(),
        task: Task::Completion { prompt: "secret".into() },
        sampling: None,
        regions: Vec::new(),
        deadline: Time(i64::MAX),
        bounds: Usage::default(),
        request_sequence: 1,
    }
}

fn assigned(attempt: u32) -> Assigned {
    Assigned {
        worker: WorkerId::new("w1").unwrap(),
        instance: InstanceId::new("i1").unwrap(),
        attempt,
        lease_ms: 2000,
        job: submitted(),
        price_version: "1".into(),
        considered: Vec::new(),
        considered_more: 3,
        decided_on: Vec::new(),
    }
}

fn failed() -> job::AttemptFailed {
    let problem = Problem { code: ProblemCode::WorkerLost, message: "secret".into(), field: None };
    job::AttemptFailed { instance: InstanceId::new("i1").unwrap(), attempt: 1, problem, retry: true }
}

fn completed() -> job::Completed {
    let instance = InstanceId::new("i1").unwrap();
    job::Completed {
        instance,
        attempt: 2,
        finish: Finish::Stop,
        output: Output::default(),
        usage: Usage::default(),
    }
}

/// The job's hold, stored at `at` milliseconds.
fn held(at: i64) -> Stored {
    let JobKey { account, job } = key("a/j");
    Stored { subject: Subject::account(&account, "hold_placed"), ..event(at, "billing/one", hold(&job)) }
}

/// `name start..end < parent` of each span, times in milliseconds.
fn told(story: &mut Story, events: &[Stored]) -> Vec<String> {
    let spans = events.iter().flat_map(|event| story.take(event).spans);
    spans.map(|span| line(&span)).collect()
}

fn line(span: &Span) -> String {
    let parent = match span.parent() {
        None => "nothing",
        Some(parent) if parent == context() => "job",
        Some(parent) if parent == caller() => "caller",
        Some(_) => "another",
    };
    let (start, end) = span.times();
    let failure = span.attribute("error.type").map(|kind| format!(" {kind}")).unwrap_or_default();
    assert!(!format!("{span:?}").contains("secret"), "{span:?}");
    format!("{} {}..{} < {parent}{failure}", span.name(), start.0 / 1000, end.0 / 1000)
}

fn asked() -> Story {
    let mut story = Story::new(OURS);
    story.asked_at(request(), Time(5000), Some(caller()));
    story
}

#[test]
fn a_job_that_lost_a_worker_is_told_whole() {
    let events = [
        event(10, OURS, submitted()),
        held(20),
        event(30, OURS, assigned(1)),
        event(40, OURS, failed()),
        event(50, OURS, assigned(2)),
        event(60, "worker/one", completed()),
    ];
    assert_eq!(
        told(&mut asked(), &events),
        [
            "admit 5..10 < job",
            "place 20..30 < job",
            "text_completion m 30..40 < job worker_lost",
            "place 40..50 < job",
            "job 5..60 < caller",
        ]
    );
}

#[test]
fn an_attempts_id_is_the_one_that_its_worker_would_tell_it_under() {
    let mut story = asked();
    let given = event(30, OURS, assigned(1));
    for before in [event(10, OURS, submitted()), given.clone()] {
        story.take(&before);
    }
    let spans = story.take(&event(40, OURS, failed())).spans;
    assert_eq!(spans[0].context(), context().span(given.meta.id, ATTEMPT_SPAN));
}

#[test]
fn what_others_decided_they_tell() {
    let events = [
        event(10, "scheduler/two", submitted()),
        held(20),
        event(30, "scheduler/two", assigned(1)),
        event(40, "worker/one", failed()),
        event(60, "worker/one", completed()),
    ];
    assert_eq!(told(&mut asked(), &events), ["job 5..60 < caller"]);
}

#[test]
fn a_job_that_ends_while_it_waits_has_waited() {
    let expired = job::Expired { deadline: Time(50), usage: Usage::default() };
    let events = [event(10, OURS, submitted()), held(20), event(50, OURS, expired)];
    assert_eq!(
        told(&mut asked(), &events),
        ["admit 5..10 < job", "place 20..50 < job expired", "job 5..50 < caller expired"]
    );
}

#[test]
fn a_request_that_is_refused_at_once_is_told() {
    let problem = Problem { code: ProblemCode::UnknownModel, message: "secret".into(), field: None };
    let mut rejected = event(10, OURS, job::Rejected { problem });
    rejected.meta.causation = Some(request());
    assert_eq!(
        told(&mut asked(), &[rejected]),
        ["admit 5..10 < job unknown_model", "job 5..10 < caller unknown_model"]
    );
}

#[test]
fn a_job_whose_beginning_was_not_seen_is_to_be_read() {
    let told = Story::new(OURS).take(&event(60, "worker/one", completed()));
    assert_eq!((told.spans, told.unknown), (Vec::new(), Some(key("a/j"))));
}

#[test]
fn what_is_not_recorded_is_not_followed() {
    let mut story = asked();
    let mut first = event(10, OURS, submitted());
    first.meta.traceparent = Some(context().sampled(false).to_string());
    assert_eq!(told(&mut story, &[first]), [""; 0]);
    assert!(story.lives.is_empty());
}
