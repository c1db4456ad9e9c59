//! The gateway alone, for trying a client against it: over a log in memory, with a backend that says back what it was
//! told, a word at a time. `cargo run -p lowland-gateway --example echo` prints where it listens; the key is `sk-echo`.
//! With `LOWLAND_NATS_URL` in the environment it does the same over that server.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lowland_events::{
    Domain, Draft, Event, Filter, Money, Stored, Subject, Time,
    id::{InstanceId, ModelId, RegionId, WorkerId},
    instance::{Ability, Ready},
    job::{Cancelled, Completed, Finish, Output, Problem, ProblemCode, Rejected, Submitted, Task},
    log::{
        SharedLog, Start,
        jetstream::{Connection, Credentials, JetStreamLog},
        memory::MemoryLog,
    },
    meter::{Meter, Usage},
    request::{self, Posted},
    stream,
    token::Published,
};
use lowland_gateway::{config::Config, keys::Keys, serve_on};
use lowland_host::{Host, clock};
use tokio::{net::TcpListener, sync::watch};

/// SHA-256 of `sk-echo`.
const KEYS: &str = "[[key]]
sha256 = \"cdd58d27e962b1da8d683d49fc800c09f57993453db73a21a6673ab5799fe674\"
account = \"echo\"
name = \"echo\"
";
/// Pause between two words.
const WORD: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let log: SharedLog = match std::env::var("LOWLAND_NATS_URL") {
        Ok(url) => Arc::new(JetStreamLog::connect(&connection(url)).await?),
        Err(_) => Arc::new(MemoryLog::new()),
    };
    for spec in stream::all() {
        log.ensure(&spec).await?;
    }
    offer(&log, "echo", Ability::Generate).await;
    offer(&log, "echo-embed", Ability::Embed).await;
    tokio::spawn(answer_all(log.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/v1", listener.local_addr()?);
    let (_sender, keys) = watch::channel(Keys::parse(KEYS)?);
    serve_on(
        listener,
        Host::over(log, "gateway"),
        Config::new(([127, 0, 0, 1], 0).into(), PathBuf::new()),
        keys,
    )
    .await;
    Ok(())
}

fn connection(url: String) -> Connection {
    Connection { url, credentials: Credentials::None, name: "echo".to_owned(), inbox_prefix: None }
}

async fn offer(log: &SharedLog, model: &str, ability: Ability) {
    let id = |text: &str| InstanceId::new(text).expect("a valid id");
    let ready = Ready {
        worker: WorkerId::new("w1").expect("a valid id"),
        process: id("p1"),
        region: RegionId::new("local").expect("a valid id"),
        ability,
        slots: 4,
        context_tokens: 2048,
        ask: Money(1),
        provider: "cpu".into(),
    };
    append(log, Subject::instance(&ModelId::new(model).expect("a valid id"), &id("i1"), "ready"), ready)
        .await;
}

async fn append(log: &SharedLog, subject: Subject, event: impl Into<Event>) {
    let cause = format!("{}", clock::now().0);
    let entry = Draft::new(subject, event, &cause, "echo/1", clock::now()).entry();
    log.append(entry).await.expect("the log in memory takes everything");
}

/// Answers every job; jobs that were asked to end are left where they are.
async fn answer_all(log: SharedLog) {
    let filters = [Filter::domain(Domain::Request)];
    let mut requests =
        log.follow(stream::REQUESTS, &filters, Start::At(0)).await.expect("the stream is there");
    let mut open = std::collections::BTreeMap::new();
    while let Ok(record) = requests.next().await {
        let Ok(stored) = Stored::try_from(&record) else { continue };
        let key = stored.subject.aggregate().to_owned();
        match stored.event {
            Event::Request(request::Event::Posted(posted)) => {
                let job = Job { log: log.clone(), subject: stored.subject };
                open.insert(key, tokio::spawn(job.answer(posted)));
            }
            Event::Request(request::Event::CancelRequested(_)) => {
                if let Some(task) = open.remove(&key) {
                    task.abort();
                    let job = Job { log: log.clone(), subject: stored.subject };
                    println!("cancelled {key}");
                    let usage = Usage::default();
                    job.happens("cancelled", Cancelled { reason: "the caller's wish".into(), usage }).await;
                }
            }
            _ => {}
        }
    }
}

struct Job {
    log: SharedLog,
    subject: Subject,
}

impl Job {
    async fn happens(&self, name: &str, event: impl Into<Event>) {
        let account = self.subject.account_id().expect("a job's account");
        let job = self.subject.job_id().expect("a job's id");
        append(&self.log, Subject::job(&account, &job, name), event).await;
    }

    async fn answer(self, posted: Posted) {
        if let Some(problem) = problem(&posted) {
            return self.happens("rejected", Rejected { problem }).await;
        }
        let task = match (posted.messages, posted.prompt, posted.input) {
            (Some(messages), _, _) => Task::Chat { messages },
            (_, Some(prompt), _) => Task::Completion { prompt },
            (_, _, input) => Task::Embedding { input: input.map(Into::into).unwrap_or_default() },
        };
        self.submit(&posted.model, task.clone()).await;
        match task {
            Task::Chat { messages } => {
                self.write(messages.last().map_or("", |m| &m.content), posted.max_tokens).await;
            }
            Task::Completion { prompt } => self.write(&prompt, posted.max_tokens).await,
            Task::Embedding { input } => self.embed(&input).await,
        }
    }

    async fn submit(&self, model: &str, task: Task) {
        let submitted = Submitted {
            model: ModelId::new(model).expect("the model was checked"),
            task,
            sampling: None,
            regions: Vec::new(),
            deadline: Time(i64::MAX),
            bounds: Usage::default(),
            request_sequence: 1,
        };
        self.happens("submitted", submitted).await;
    }

    async fn write(&self, text: &str, most: Option<u32>) {
        let account = self.subject.account_id().expect("a job's account");
        let job = self.subject.job_id().expect("a job's id");
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        let kept = words.len().min(most.unwrap_or(u32::MAX) as usize);
        let usage = |written: usize| {
            Usage::of([(Meter::InputTokens, words.len() as u64), (Meter::OutputTokens, written as u64)])
        };
        for (first, word) in (0_u32..).zip(&words[..kept]) {
            tokio::time::sleep(WORD).await;
            let usage = usage(first as usize + 1);
            let text = (*word).to_owned();
            let published =
                Published { attempt: 1, first, tokens: vec![first], text, logprobs: Vec::new(), usage };
            append(&self.log, Subject::token(&account, &job, 1), published).await;
        }
        let finish = if kept < words.len() { Finish::Length } else { Finish::Stop };
        let tokens = (0..u32::try_from(kept).unwrap_or(u32::MAX)).collect();
        let output = Output { text: words[..kept].concat(), tokens, ..Output::default() };
        self.complete(finish, output, usage(kept)).await;
    }

    async fn embed(&self, input: &[String]) {
        #[expect(clippy::cast_precision_loss, reason = "lengths of short texts")]
        let vector = |text: &String| {
            [text.len() as f32, 0.5].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()
        };
        let vectors = input.iter().map(|text| vector(text).into()).collect();
        let usage = Usage::of([(Meter::EmbeddingTokens, input.len() as u64)]);
        self.complete(Finish::Stop, Output { vectors, ..Output::default() }, usage).await;
    }

    async fn complete(&self, finish: Finish, output: Output, usage: Usage) {
        let instance = InstanceId::new("i1").expect("a valid id");
        self.happens("completed", Completed { instance, attempt: 1, finish, output, usage }).await;
    }
}

/// What admission would say, as far as an echo can.
fn problem(posted: &Posted) -> Option<Problem> {
    let problem = |code, field: &str, message: &str| {
        Some(Problem { code, message: message.to_owned(), field: Some(field.to_owned()) })
    };
    if !posted.model.starts_with("echo") {
        return problem(ProblemCode::UnknownModel, "model", "there are only `echo` and `echo-embed`");
    }
    if posted.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return problem(ProblemCode::InvalidRequest, "temperature", "`temperature` is to be from 0 to 2");
    }
    let long = |text: &String| text.len() > 10_000;
    if posted.messages.iter().flatten().any(|message| long(&message.content)) {
        return problem(
            ProblemCode::ContextLengthExceeded,
            "messages",
            "an echo is at most 10000 bytes long",
        );
    }
    None
}
