//! What every test needs: a log, a gateway on a free port, a client, and the services' part to be played by hand.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::StreamExt;
use lowland_events::{
    Domain, Draft, Event, Filter, Money, Stored, Subject, Time,
    id::{AccountId, InstanceId, JobId, ModelId, RegionId, WorkerId},
    instance::{Ability, Ready},
    job::{
        Assigned, Completed, Finish, Held, Output, Problem, ProblemCode, Rejected, Started, Submitted, Task,
        TokenLogprob,
    },
    log::{Follow, Log, SharedLog, Start, memory::MemoryLog},
    meter::{Meter, Usage},
    request::{self, Posted},
    stream,
    token::Published,
};
use lowland_gateway::{config::Config, keys::Keys, serve_on};
use lowland_host::Host;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// The key of account `acme`.
pub(crate) const KEY: &str = "sk-acme";
/// The key of account `other`.
pub(crate) const OTHER_KEY: &str = "sk-other";

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("this was to happen soon")
}

/// A log and a gateway.
pub(crate) struct World {
    pub(crate) log: MemoryLog,
    pub(crate) backend: Backend,
    gateway: Running,
    config: Config,
}

struct Running {
    url: String,
    host: Host,
    task: JoinHandle<()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let log = MemoryLog::new();
        for spec in stream::all() {
            log.ensure(&spec).await.unwrap();
        }
        let mut config = Config::new("127.0.0.1:0".parse().unwrap(), PathBuf::new());
        change(&mut config);
        let backend = Backend::new(Arc::new(log.clone())).await;
        let gateway = Running::start(Arc::new(log.clone()), config.clone()).await;
        Self { log, backend, gateway, config }
    }

    /// Another gateway takes the place of this one.
    pub(crate) async fn restart_gateway(&mut self) {
        let next = Running::start(Arc::new(self.log.clone()), self.config.clone()).await;
        let before = std::mem::replace(&mut self.gateway, next);
        before.host.stop.cancel();
        soon(before.task).await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        reqwest::Client::new().get(self.url(path)).bearer_auth(KEY)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        reqwest::Client::new().post(self.url(path)).bearer_auth(KEY).json(body)
    }

    pub(crate) fn chat(&self, body: &Value) -> reqwest::RequestBuilder {
        self.post("/v1/chat/completions", body)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.gateway.host.stop.cancel();
    }
}

impl Running {
    async fn start(log: SharedLog, config: Config) -> Self {
        let listener = TcpListener::bind(config.listen).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let host = Host::over(log, "gateway");
        let (_, keys) = watch::channel(keys());
        let task = tokio::spawn(serve_on(listener, host.clone(), config, keys));
        soon(async {
            while host.health.problem().is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Self { url, host, task }
    }
}

fn keys() -> Keys {
    let entry = |(key, account): (&str, &str)| {
        let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[key]]\nsha256 = \"{digest}\"\naccount = \"{account}\"\nname = \"test\"\n")
    };
    Keys::parse(&[(KEY, "acme"), (OTHER_KEY, "other")].map(entry).concat()).unwrap()
}

/// A small conversation.
pub(crate) fn ask(more: Value) -> Value {
    let mut body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The services' part.
pub(crate) struct Backend {
    log: SharedLog,
    requests: Box<dyn Follow>,
}

impl Backend {
    async fn new(log: SharedLog) -> Self {
        let filters = [Filter::domain(Domain::Request)];
        let requests = log.follow(stream::REQUESTS, &filters, Start::At(0)).await.unwrap();
        Self { log, requests }
    }

    async fn request(&mut self) -> Stored {
        Stored::try_from(&soon(self.requests.next()).await.unwrap()).unwrap()
    }

    /// The next request, which is to be a job.
    pub(crate) async fn job(&mut self) -> Job {
        let stored = self.request().await;
        let Event::Request(request::Event::Posted(posted)) = stored.event else {
            panic!("a job was expected, not {:?}", stored.event);
        };
        Job {
            log: self.log.clone(),
            account: stored.subject.account_id().unwrap(),
            id: stored.subject.job_id().unwrap(),
            posted,
            traceparent: stored.meta.traceparent,
            output: Output::default(),
        }
    }

    /// The next request, which is to be a cancellation: of which job.
    pub(crate) async fn cancellation(&mut self) -> JobId {
        let stored = self.request().await;
        assert!(
            matches!(stored.event, Event::Request(request::Event::CancelRequested(_))),
            "a cancellation was expected, not {:?}",
            stored.event
        );
        stored.subject.job_id().unwrap()
    }

    /// A worker has loaded model `name`.
    pub(crate) async fn offer(&self, name: &str, ability: Ability) {
        let ready = Ready {
            worker: WorkerId::new("w1").unwrap(),
            process: InstanceId::new("p1").unwrap(),
            region: RegionId::new("local").unwrap(),
            ability,
            slots: 4,
            context_tokens: 2048,
            ask: Money(1),
            provider: "cpu".into(),
        };
        let instance = InstanceId::new(format!("i-{name}")).unwrap();
        let subject = Subject::instance(&ModelId::new(name).unwrap(), &instance, "ready");
        append(&self.log, subject, ready).await;
    }
}

async fn append(log: &SharedLog, subject: Subject, event: impl Into<Event>) {
    let extents = log.extent(stream::TOKENS).await.map_or(0, |extent| extent.last);
    let cause = format!("{subject}/{extents}");
    log.append(Draft::new(subject, event, &cause, "test/1", Time(1_700_000_000_000_000)).entry())
        .await
        .unwrap();
}

/// A job, seen from the side that does it.
pub(crate) struct Job {
    log: SharedLog,
    pub(crate) account: AccountId,
    pub(crate) id: JobId,
    pub(crate) posted: Posted,
    pub(crate) traceparent: Option<String>,
    output: Output,
}

impl Job {
    pub(crate) async fn happens(&self, name: &str, event: impl Into<Event>) {
        append(&self.log, Subject::job(&self.account, &self.id, name), event).await;
    }

    fn instance() -> InstanceId {
        InstanceId::new("i1").unwrap()
    }

    fn accepted(&self) -> Submitted {
        let posted = self.posted.clone();
        let task = match (posted.messages, posted.prompt, posted.input) {
            (Some(messages), None, None) => Task::Chat { messages },
            (None, Some(prompt), None) => Task::Completion { prompt },
            (None, None, Some(input)) => Task::Embedding { input: input.into() },
            _ => panic!("one kind of task"),
        };
        Submitted {
            model: ModelId::new(&posted.model).unwrap(),
            task,
            sampling: None,
            regions: Vec::new(),
            deadline: Time(1_800_000_000_000_000),
            bounds: Usage::default(),
            request_sequence: 1,
        }
    }

    pub(crate) async fn submit(&self) {
        self.happens("submitted", self.accepted()).await;
    }

    /// Everything up to the moment at which a worker begins.
    pub(crate) async fn start(&self) {
        self.submit().await;
        self.happens("held", Held { amount: Money(10), price_version: "v1".into() }).await;
        let assigned = Assigned {
            worker: WorkerId::new("w1").unwrap(),
            instance: Self::instance(),
            attempt: 1,
            lease_ms: 2000,
            job: self.accepted(),
            price_version: "v1".into(),
            considered: Vec::new(),
            considered_more: 0,
            decided_on: Vec::new(),
        };
        self.happens("assigned", assigned).await;
        let started = Started { instance: Self::instance(), attempt: 1, resumed_tokens: 0 };
        self.happens("started", started).await;
    }

    /// Publishes more of the text, one token a character.
    pub(crate) async fn write(&mut self, text: &str) {
        let first = u32::try_from(self.output.tokens.len()).unwrap();
        let tokens: Vec<u32> = text.chars().map(u32::from).collect();
        let logprobs = if self.posted.logprobs.is_some() { logprobs(text) } else { Vec::new() };
        self.output.tokens.extend(&tokens);
        self.output.text.push_str(text);
        self.output.logprobs.extend(logprobs.clone());
        self.publish(Published {
            attempt: 1,
            first,
            tokens,
            text: text.into(),
            logprobs,
            usage: self.usage(),
        })
        .await;
    }

    /// Publishes the whole text so far, as a worker does that finds its stream gone.
    pub(crate) async fn publish_anew(&self) {
        self.log.ensure(&stream::tokens()).await.unwrap();
        let Output { text, tokens, logprobs, .. } = self.output.clone();
        self.publish(Published { attempt: 1, first: 0, tokens, text, logprobs, usage: self.usage() }).await;
    }

    async fn publish(&self, published: Published) {
        append(&self.log, Subject::token(&self.account, &self.id, published.attempt), published).await;
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of([
            (Meter::InputTokens, 5),
            (Meter::CachedTokens, 2),
            (Meter::OutputTokens, self.output.tokens.len() as u64),
        ])
    }

    pub(crate) async fn complete(&self, finish: Finish) {
        let (output, usage) = (self.output.clone(), self.usage());
        let completed = Completed { instance: Self::instance(), attempt: 1, finish, output, usage };
        self.happens("completed", completed).await;
    }

    pub(crate) async fn complete_with(&self, vectors: &[Vec<f32>], tokens: u64) {
        let bytes = |vector: &Vec<f32>| {
            serde_bytes::ByteBuf::from(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
        };
        let output = Output { vectors: vectors.iter().map(bytes).collect(), ..Output::default() };
        let usage = Usage::of([(Meter::EmbeddingTokens, tokens)]);
        let finish = Finish::Stop;
        self.happens(
            "completed",
            Completed { instance: Self::instance(), attempt: 1, finish, output, usage },
        )
        .await;
    }

    pub(crate) async fn reject(&self, code: ProblemCode, field: Option<&str>) {
        self.happens("rejected", Rejected { problem: problem(code, field) }).await;
    }
}

pub(crate) fn problem(code: ProblemCode, field: Option<&str>) -> Problem {
    Problem { code, message: format!("{code:?} it is"), field: field.map(str::to_owned) }
}

fn logprobs(text: &str) -> Vec<TokenLogprob> {
    let token = |c: char| TokenLogprob {
        token: u32::from(c),
        text: c.to_string(),
        logprob: -0.5,
        top: vec![(u32::from(c), c.to_string(), -0.5)],
    };
    text.chars().map(token).collect()
}

/// An event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SentEvent {
    pub(crate) id: String,
    pub(crate) data: String,
}

impl SentEvent {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }

    /// The piece of text in it.
    pub(crate) fn text(&self) -> String {
        let chunk = self.json();
        let choice = &chunk["choices"][0];
        choice["delta"]["content"].as_str().or(choice["text"].as_str()).unwrap_or_default().to_owned()
    }
}

/// A stream of events, as a client reads it.
pub(crate) struct Events {
    bytes: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    rest: String,
    pub(crate) comments: usize,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Events {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = soon(request.send()).await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let headers = response.headers().clone();
        Self { bytes: response.bytes_stream().boxed(), rest: String::new(), comments: 0, headers }
    }

    /// The next event; nothing at the end. Comments are counted.
    pub(crate) async fn next(&mut self) -> Option<SentEvent> {
        loop {
            while let Some(end) = self.rest.find("\n\n") {
                let block: String = self.rest.drain(..end + 2).collect();
                match parse(&block) {
                    Some(event) => return Some(event),
                    None => self.comments += 1,
                }
            }
            let part = soon(self.bytes.next()).await?.unwrap();
            self.rest.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// Waits for a comment.
    pub(crate) async fn comment(&mut self) {
        while !self.rest.starts_with(':') {
            let part = soon(self.bytes.next()).await.unwrap().unwrap();
            self.rest.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// Everything until the end.
    pub(crate) async fn all(mut self) -> Vec<SentEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(block: &str) -> Option<SentEvent> {
    let field =
        |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned());
    Some(SentEvent { id: field("id:").unwrap_or_default(), data: field("data:")? })
}

/// The text in all of them.
pub(crate) fn text(events: &[SentEvent]) -> String {
    events.iter().filter(|event| event.data != "[DONE]").map(SentEvent::text).collect()
}
