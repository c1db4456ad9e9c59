//! The services' part, played by hand: it writes the events that the scheduler, billing and a worker would.

use lowland_events::{
    Domain, Draft, Event, Filter, Money, Stored, Subject, Time,
    id::{AccountId, InstanceId, JobId, ModelId, RegionId, WorkerId},
    instance::{Ability, Ready},
    job::{
        Assigned, Completed, Finish, Held, Output, Problem, ProblemCode, Rejected, Started, Submitted, Task,
        TokenLogprob,
    },
    log::{Follow, SharedLog, Start},
    meter::{Meter, Usage},
    request::{self, Posted},
    stream,
    token::Published,
};

use crate::world::soon;

/// The services' part.
pub(crate) struct Backend {
    log: SharedLog,
    requests: Box<dyn Follow>,
}

impl Backend {
    pub(crate) async fn new(log: SharedLog) -> Self {
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

    /// A job that was posted without the gateway.
    pub(crate) async fn post_over_the_bus(&mut self, account: &str, job: &str) -> Job {
        let (account, job) = (AccountId::new(account).unwrap(), JobId::new(job).unwrap());
        let posted = Posted { model: "m".into(), prompt: Some("a".into()), ..Posted::default() };
        append(&self.log, Subject::request(&account, &job, "posted"), posted).await;
        self.job().await
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

    /// Accepted, with a deadline that has passed.
    pub(crate) async fn submit_late(&self) {
        self.happens("submitted", Submitted { deadline: Time(0), ..self.accepted() }).await;
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

    /// Publishes more of the text as one token.
    pub(crate) async fn write_as_one(&mut self, text: &str) {
        let first = u32::try_from(self.output.tokens.len()).unwrap();
        self.output.tokens.push(7);
        self.output.text.push_str(text);
        let (text, logprobs) = (text.to_owned(), Vec::new());
        self.publish(Published { attempt: 1, first, tokens: vec![7], text, logprobs, usage: self.usage() })
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
