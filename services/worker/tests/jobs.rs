//! Jobs on one worker, from assignment to end.

mod stage;

use lowland_events::{
    job::{self, Finish, ProblemCode, Sampling, Task},
    log::memory::Faults,
    meter::{Meter, Usage},
};
use stage::{Stage, chat, echo, embedder, sampling, words};

fn usage(input: u64, output: u64) -> Usage {
    Usage::of([(Meter::InputTokens, input), (Meter::OutputTokens, output)])
}

fn attempt_failed(event: job::Event) -> job::AttemptFailed {
    match event {
        job::Event::AttemptFailed(failed) => failed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_runs_and_its_usage_is_exact() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(0)]).await;
    let sequence = stage.assign(&worker, "j1", chat("Grüße, world"), 1).await;
    let completed = stage.completed("j1").await;
    assert_eq!(completed.output.text, "Grüße, world");
    assert_eq!(completed.output.tokens, "Grüße, world".chars().map(u32::from).collect::<Vec<_>>());
    assert_eq!((completed.finish, completed.attempt), (Finish::Stop, 1));
    assert_eq!(completed.usage, usage(12, 12));
    worker.idle().await;
    assert_eq!(stage.chain("j1").await, ["assigned", "started", "completed"]);
    assert_eq!(stage.read("j1").await.text, "Grüße, world");
    assert_eq!(stage.records("j1").await.last().unwrap().1.usage, usage(12, 12));
    for event in &stage.job("j1").await[1..] {
        let cause = stage.job("j1").await[0].meta.id;
        assert_eq!(event.meta.causation, Some(cause));
        assert!(event.meta.traceparent.is_some() && event.meta.source.starts_with("worker/"), "{event:?}");
        assert!(event.sequence > sequence);
    }
}

#[tokio::test]
async fn a_quick_job_costs_few_appends() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(0)]).await;
    for n in 0..20 {
        stage.assign(&worker, &format!("j{n}"), chat(&words(50)), 1).await;
    }
    for n in 0..20 {
        let job = format!("j{n}");
        stage.completed(&job).await;
        assert_eq!(stage.job(&job).await.len(), 3);
        assert!(stage.records(&job).await.len() <= 2, "{:?}", stage.records(&job).await);
    }
}

#[tokio::test]
async fn no_job_waits_for_another() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(20)]).await;
    stage.assign(&worker, "long", chat(&words(200)), 1).await;
    stage.wait_for_tokens("long", 1).await;
    let short: Vec<String> = (0..20).map(|n| format!("short{n}")).collect();
    for job in &short {
        stage.assign(&worker, job, chat("ok"), 1).await;
    }
    for job in &short {
        assert_eq!(stage.completed(job).await.output.text, "ok");
    }
    stage.ask_to_end(&worker, "long", 1, "it was still at it").await;
    stage.wait("long", "cancelled").await;
}

#[tokio::test]
async fn stop_texts_and_limits_end_a_text() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(0)]).await;
    let limited = Sampling { max_tokens: Some(3), logprobs: Some(1), ..sampling() };
    stage.assign_with(&worker, "limited", chat("abcdef"), Some(limited), 1).await;
    let limited = stage.completed("limited").await;
    assert_eq!((limited.output.text.as_str(), limited.finish), ("abc", Finish::Length));
    assert_eq!(limited.output.logprobs.len(), 3);
    assert_eq!(limited.output.logprobs[1].text, "b");
    assert_eq!(limited.output.logprobs[2].top, [(u32::from('c'), "c".to_owned(), 0.0)]);
    let stopped = Sampling { stop: vec!["de".into()], ..sampling() };
    let completion = Task::Completion { prompt: "abcdef".into() };
    stage.assign_with(&worker, "stopped", completion, Some(stopped), 1).await;
    let stopped = stage.completed("stopped").await;
    assert_eq!((stopped.output.text.as_str(), stopped.finish), ("abc", Finish::Stop));
}

#[tokio::test]
async fn texts_become_vectors() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![embedder()]).await;
    let task = Task::Embedding { input: vec!["aaa".into(), "b".into()] };
    stage.assign_with(&worker, "j1", task, None, 1).await;
    let completed = stage.completed("j1").await;
    assert_eq!(completed.usage, Usage::of([(Meter::EmbeddingTokens, 4)]));
    let floats = |bytes: &[u8]| {
        bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect::<Vec<_>>()
    };
    let vectors: Vec<_> = completed.output.vectors.iter().map(|bytes| floats(bytes)).collect();
    assert_eq!(vectors[0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(vectors[1], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert!(stage.records("j1").await.is_empty());
}

#[tokio::test]
async fn an_output_that_no_event_can_hold_is_a_clear_failure() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![embedder()]).await;
    let task = Task::Embedding { input: vec!["a".into(); 40_000] };
    stage.assign_with(&worker, "j1", task, None, 1).await;
    let failed = attempt_failed(stage.wait("j1", "attempt_failed").await);
    assert_eq!((failed.problem.code, failed.retry), (ProblemCode::TooLong, false));
    assert!(failed.problem.message.contains("fewer inputs"), "{failed:?}");
    assert_eq!(stage.chain("j1").await, ["assigned", "started", "attempt_failed"]);
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_not_tried_again() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(0)]).await;
    stage.assign(&worker, "j1", chat(&"x".repeat(5000)), 1).await;
    let failed = attempt_failed(stage.wait("j1", "attempt_failed").await);
    assert_eq!((failed.problem.code, failed.retry), (ProblemCode::ContextLengthExceeded, false));
    assert!(failed.problem.message.contains("5000") && failed.problem.message.contains("4096"), "{failed:?}");
    let task = Task::Embedding { input: vec!["a".into()] };
    stage.assign_with(&worker, "j2", task, None, 1).await;
    assert_eq!(attempt_failed(stage.wait("j2", "attempt_failed").await).problem.code, ProblemCode::WrongTask);
    stage.assign_with(&worker, "j3", chat("a"), None, 1).await;
    let failed = attempt_failed(stage.wait("j3", "attempt_failed").await);
    assert_eq!(
        (failed.problem.code, failed.problem.field.as_deref()),
        (ProblemCode::InvalidRequest, Some("sampling"))
    );
}

#[tokio::test]
async fn a_cancelled_job_stops_at_once_and_counts_what_was_delivered() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(5)]).await;
    stage.assign(&worker, "j1", chat(&words(400)), 1).await;
    stage.wait_for_tokens("j1", 10).await;
    stage.ask_to_end(&worker, "j1", 1, "the client went away").await;
    let job::Event::Cancelled(cancelled) = stage.wait("j1", "cancelled").await else {
        panic!("another event")
    };
    worker.idle().await;
    assert_eq!(cancelled.reason, "the client went away");
    let (_, last) = stage.records("j1").await.pop().unwrap();
    assert_eq!(cancelled.usage, last.usage);
    let delivered = stage.read("j1").await;
    assert_eq!(cancelled.usage.output_tokens(), delivered.tokens.len() as u64);
    assert!(words(400).starts_with(&delivered.text) && delivered.text.len() < words(400).len());
    assert_eq!(stage.chain("j1").await, ["assigned", "started", "cancel_requested", "cancelled"]);
}

#[tokio::test]
async fn a_job_past_its_deadline_is_expired() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(5)]).await;
    stage.assign(&worker, "j1", chat(&words(400)), 1).await;
    stage.wait_for_tokens("j1", 3).await;
    stage.ask_to_end(&worker, "j1", 1, "deadline").await;
    let job::Event::Expired(expired) = stage.wait("j1", "expired").await else { panic!("another event") };
    worker.idle().await;
    assert_eq!(expired.deadline.0, 77);
    assert_eq!(expired.usage, stage.records("j1").await.pop().unwrap().1.usage);
}

#[tokio::test]
async fn a_job_cancelled_before_it_began_uses_nothing() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(0)]).await;
    worker.gate.shut();
    stage.assign(&worker, "j1", chat("hello"), 1).await;
    stage.ask_to_end(&worker, "j1", 1, "no more").await;
    worker.gate.open();
    let job::Event::Cancelled(cancelled) = stage.wait("j1", "cancelled").await else {
        panic!("another event")
    };
    assert_eq!(cancelled.usage, Usage::default());
    worker.idle().await;
    assert_eq!(stage.chain("j1").await, ["assigned", "cancel_requested", "cancelled"]);
    assert!(stage.records("j1").await.is_empty());
}

#[tokio::test]
async fn lost_acknowledgements_double_nothing() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(1)]).await;
    for job in ["j1", "j2", "j3"] {
        stage.memory().inject(Faults { acks_lost: 4, ..Faults::default() });
        stage.assign(&worker, job, chat(&words(20)), 1).await;
        stage.wait_for_tokens(job, 5).await;
        stage.memory().inject(Faults { acks_lost: 2, ..Faults::default() });
        assert_eq!(stage.completed(job).await.output.text, words(20));
        worker.idle().await;
        assert_eq!(stage.chain(job).await, ["assigned", "started", "completed"]);
        assert_eq!(stage.read(job).await.text, words(20));
        let firsts: Vec<u32> = stage.records(job).await.iter().map(|(_, record)| record.first).collect();
        assert!(firsts.is_sorted_by(|a, b| a < b), "{firsts:?}");
    }
}
