//! Jobs' journeys through a whole scheduler: every event real, the log in memory, the clock paused.

mod rig;

use lowland_events::{
    Domain, Draft, Event, EventId, Filter,
    envelope::Headers,
    instance,
    job::{self, ProblemCode},
    log::{Entry, memory::Faults},
    meter::Meter,
    stream,
};
use rig::{Behaviour, Rig, key, problem};

fn assigned(event: &Event) -> &job::Assigned {
    match event {
        Event::Job(job::Event::Assigned(assigned)) => assigned,
        other => panic!("no assignment: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_survives_the_loss_of_its_worker() {
    let rig = Rig::start().await;
    let first = rig.worker("w1", 1, Behaviour::GoOn).await;
    rig.post("acme/j1").await;
    rig.reaches("acme/j1", "started").await;
    first.kill();
    rig.worker("w2", 1, Behaviour::Complete).await;
    let completed = rig.reaches("acme/j1", "completed").await;
    assert_eq!(
        rig.chain("acme/j1").await,
        ["submitted", "assigned", "started", "attempt_failed", "assigned", "started", "completed"]
    );
    let jobs = rig.events(stream::LOG, Filter::aggregate(Domain::Job, "acme", "j1")).await;
    let (one, two) = (assigned(&jobs[1].event), assigned(&jobs[4].event));
    assert_eq!((one.worker.as_str(), one.attempt), ("w1", 1));
    assert_eq!((two.worker.as_str(), two.attempt), ("w2", 2));
    assert_eq!((jobs[1].subject.target(), jobs[4].subject.target()), (Some("w1"), Some("w2")));
    assert_eq!(one.job, two.job);
    let log = two.decided_on.iter().find(|position| position.stream == stream::LOG).unwrap();
    assert_eq!(log.sequence, jobs[3].sequence, "it was decided on the failed attempt");
    assert!(two.decided_on.iter().any(|p| p.stream == stream::METRICS && p.sequence > 0));
    let lost = rig.events(stream::LOG, Filter::event(Domain::Instance, "lost")).await;
    let Event::Instance(instance::Event::Lost(lost)) = &lost[0].event else { panic!("a loss") };
    assert!(lost.silent_ms > 2000, "{lost:?}");
    let hold = rig.is_held("acme/j1").await;
    for pair in jobs.windows(2) {
        let by_scheduler = pair[1].meta.source.starts_with("scheduler/");
        let cause = if pair[0].event.name() == "submitted" { hold.meta.id } else { pair[0].meta.id };
        assert!(!by_scheduler || pair[1].meta.causation == Some(cause), "{pair:?}");
    }
    assert_eq!(completed.meta.correlation.as_deref(), Some("j1"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_starts_anew_takes_its_job_up_at_once() {
    let rig = Rig::start().await;
    let first = rig.worker("w1", 1, Behaviour::GoOn).await;
    rig.post("acme/j1").await;
    rig.reaches("acme/j1", "started").await;
    first.kill();
    let before = rig.now();
    rig.worker("w1", 1, Behaviour::Complete).await;
    let completed = rig.reaches("acme/j1", "completed").await;
    assert!(completed.stored_at.ms_since(before) < 1000, "it did not wait for the lease");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_assignment_ends_the_job() {
    let rig = Rig::start().await;
    let worker = rig.worker("w1", 1, Behaviour::Complete).await;
    worker.kill();
    rig.pass(5000).await;
    rig.post("acme/j1").await;
    rig.is_held("acme/j1").await;
    rig.cancel("acme/j1").await;
    let cancelled = rig.reaches("acme/j1", "cancelled").await;
    let Event::Job(job::Event::Cancelled(cancelled)) = cancelled.event else { panic!("a cancellation") };
    assert_eq!((cancelled.reason.as_str(), cancelled.usage.0.len()), ("bored", 0));
    assert_eq!(rig.chain("acme/j1").await, ["submitted", "cancelled"]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_assignment_is_answered_by_the_worker() {
    let rig = Rig::start().await;
    rig.worker("w1", 1, Behaviour::GoOn).await;
    rig.post("acme/j1").await;
    rig.reaches("acme/j1", "started").await;
    rig.cancel("acme/j1").await;
    let cancelled = rig.reaches("acme/j1", "cancelled").await;
    assert_eq!(cancelled.meta.source, "worker/test");
    assert_eq!(
        rig.chain("acme/j1").await,
        ["submitted", "assigned", "started", "cancel_requested", "cancelled"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_answer_a_cancel_is_passed_over() {
    let rig = Rig::start().await;
    rig.worker("w1", 1, Behaviour::Deaf).await;
    rig.post("acme/j1").await;
    rig.reaches("acme/j1", "started").await;
    rig.cancel("acme/j1").await;
    let cancelled = rig.reaches("acme/j1", "cancelled").await;
    assert!(cancelled.meta.source.starts_with("scheduler/"), "{}", cancelled.meta.source);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_waiting_jobs_and_tells_workers() {
    let rig = Rig::start().await;
    rig.worker("w1", 1, Behaviour::GoOn).await;
    let body = r#"{"model":"smol","prompt":"Hi","deadline_ms":3000}"#;
    rig.send("acme/running", "posted", body).await;
    rig.reaches("acme/running", "started").await;
    rig.send("acme/waiting", "posted", body).await;
    let waiting = rig.reaches("acme/waiting", "expired").await;
    let running = rig.reaches("acme/running", "expired").await;
    assert!(waiting.meta.source.starts_with("scheduler/"));
    assert_eq!(running.meta.source, "worker/test");
    assert_eq!(rig.chain("acme/running").await[3..], ["cancel_requested", "expired"]);
    let submitted = rig.reaches("acme/waiting", "submitted").await;
    let Event::Job(job::Event::Submitted(submitted)) = submitted.event else { panic!("a submission") };
    assert!(waiting.stored_at >= submitted.deadline);
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_is_part_of_the_end_that_the_scheduler_writes() {
    let rig = Rig::start().await;
    rig.worker("w1", 1, Behaviour::Fail).await;
    rig.post("acme/j1").await;
    let failed = rig.reaches("acme/j1", "failed").await;
    assert_eq!(problem(&failed).code, ProblemCode::ContextLengthExceeded);
    let Event::Job(job::Event::Failed(failed)) = failed.event else { panic!("a failure") };
    assert_eq!((failed.usage.quantity(Meter::InputTokens), failed.usage.output_tokens()), (2, 3));
    assert_eq!(failed.attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_told_what_is_wrong_and_wedge_nothing() {
    let rig = Rig::start().await;
    rig.worker("w1", 1, Behaviour::Complete).await;
    let noise: Vec<u8> =
        (0..1_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 0x90).collect();
    let cases: [(Vec<u8>, &str, &str); 10] = [
        (b"".into(), "", "the body is empty"),
        (noise, "", "neither a JSON object nor a MessagePack map"),
        (b"{\"model\":".into(), "model", "EOF"),
        (b"{}".into(), "", "missing field `model`"),
        (b"{\"model\":\"smol\"}".into(), "", "nothing to do; give `messages`"),
        (b"{\"model\":\"gpt\",\"prompt\":\"x\"}".into(), "model", "not known; on offer: smol"),
        (b"{\"model\":\"smol\",\"prompt\":7}".into(), "prompt", "expected a string"),
        (b"{\"model\":\"smol\",\"prompt\":\"x\",\"tempretaure\":1}".into(), "tempretaure", "unknown field"),
        (b"{\"model\":\"smol\",\"prompt\":\"x\",\"top_p\":9}".into(), "top_p", "above 0, up to 1"),
        (b"{\"model\":\"smol\",\"input\":\"x\"}".into(), "input", "writes text"),
    ];
    for (i, (body, field, says)) in cases.into_iter().enumerate() {
        let name = format!("acme/bad{i}");
        rig.send(&name, "posted", body).await;
        let rejected = rig.reaches(&name, "rejected").await;
        let problem = problem(&rejected);
        assert!(problem.message.contains(says), "{name}: {problem:?}");
        assert_eq!(problem.field.as_deref().unwrap_or_default(), field, "{problem:?}");
    }
    rig.send("acme/stop", "cancel_requested", &b"\xff\xfe noise"[..]).await;
    assert_eq!(problem(&rig.refused("acme/stop").await).code, ProblemCode::InvalidRequest);
    rig.post("acme/good").await;
    rig.reaches("acme/good", "completed").await;
}

#[tokio::test(start_paused = true)]
async fn a_used_id_is_refused_even_if_only_the_log_remembers_it() {
    let rig = Rig::start().await;
    rig.worker("w1", 1, Behaviour::Complete).await;
    rig.post("acme/j1").await;
    rig.reaches("acme/j1", "completed").await;
    let again = rig.post("acme/j1").await;
    let refused = rig.refused("acme/j1").await;
    assert_eq!(problem(&refused).code, ProblemCode::IdUsed);
    let Event::Request(lowland_events::request::Event::Rejected(body)) = &refused.event else { panic!() };
    assert_eq!(body.request_sequence, again);
    // An aggregate that the state knows nothing of: its one event is no first one.
    let stray = job::Cancelled { reason: "x".into(), usage: Default::default() };
    let draft = Draft::new(key("acme/j2").subject("cancelled"), stray, "test", "test", rig.now());
    rig.log.append(draft.entry()).await.unwrap();
    rig.post("acme/j2").await;
    assert_eq!(problem(&rig.refused("acme/j2").await).code, ProblemCode::IdUsed);
    assert_eq!(rig.chain("acme/j1").await.iter().filter(|event| *event == "submitted").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn redelivery_lost_answers_and_restarts_make_one_job_of_one_request() {
    let mut rig = Rig::start().await;
    rig.worker("w1", 4, Behaviour::Complete).await;
    let sent = ["acme/j1", "acme/j2", "acme/j3"];
    for name in sent {
        rig.post(name).await;
        rig.memory().inject(Faults { acks_lost: 5, deliveries_lost: 1 });
    }
    rig.restart_scheduler();
    for name in sent {
        rig.reaches(name, "completed").await;
        assert_eq!(rig.chain(name).await, ["submitted", "assigned", "started", "completed"], "{name}");
    }
    assert!(rig.events(stream::REQUESTS, Filter::event(Domain::Request, "rejected")).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_memory_streams_loses_nobody() {
    let rig = Rig::start().await;
    rig.worker("w1", 1, Behaviour::GoOn).await;
    rig.post("acme/j1").await;
    rig.reaches("acme/j1", "started").await;
    rig.memory().restart();
    rig.pass(10_000).await;
    let lost = Filter::event(Domain::Instance, "lost");
    assert!(rig.records(stream::LOG, lost.clone()).await.is_empty());
    assert!(rig.log.extent(stream::METRICS).await.unwrap().last > 10, "the stream is there again");
    rig.cancel("acme/j1").await;
    let cancelled = rig.reaches("acme/j1", "cancelled").await;
    assert_eq!(cancelled.meta.source, "worker/test", "it was the same worker all the time");
    let second = rig.worker("w2", 1, Behaviour::Complete).await;
    second.kill();
    rig.pass(5000).await;
    assert_eq!(rig.records(stream::LOG, lost).await.len(), 1, "who dies afterwards is noticed");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_lost_by_a_restart_of_the_scheduler() {
    let mut rig = Rig::start().await;
    rig.worker("w1", 2, Behaviour::GoOn).await;
    let dead = rig.worker("w2", 2, Behaviour::GoOn).await;
    rig.post("acme/j1").await;
    rig.reaches("acme/j1", "started").await;
    rig.kill_scheduler();
    dead.kill();
    rig.pass(30_000).await;
    rig.restart_scheduler();
    rig.pass(10_000).await;
    let lost = rig.events(stream::LOG, Filter::event(Domain::Instance, "lost")).await;
    let names: Vec<&str> = lost.iter().map(|event| event.subject.aggregate()).collect();
    assert_eq!(names, [format!("{}-m", dead.process)]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_does_not_wedge_its_job() {
    let rig = Rig::start().await;
    rig.worker("w1", 1, Behaviour::Complete).await;
    rig.post("poor/j1").await;
    rig.reaches("poor/j1", "submitted").await;
    let subject = key("poor/j1").subject("started");
    let id = EventId::derived("noise", "test", 0);
    let noise = Entry {
        subject: subject.to_string(),
        id,
        headers: Headers::default(),
        payload: (&b"\xffnoise"[..]).into(),
        expect: None,
    };
    rig.log.append(noise).await.unwrap();
    rig.pass(1000).await;
    rig.cancel("poor/j1").await;
    rig.reaches("poor/j1", "cancelled").await;
}
