//! Posting: what a caller wants becomes a record of the requests stream, and nothing else ever leaves the gateway.

use std::time::Duration;

use axum::http::StatusCode;
use lowland_events::{
    Domain, Draft, Event, Filter, Stored, Subject, Time, TraceContext,
    log::{self, AppendError, Appended, Entry, Record, SharedLog},
    request::{self, CancelRequested, Posted},
    stream::REQUESTS,
};
use lowland_host::{
    Clock, Host, Tracer,
    trace::{Kind, Span},
};

use crate::{error::ApiError, http::trace, hub::Key};

/// Time for which a cancellation is tried, in milliseconds.
pub const CANCEL_WITHIN_MS: u64 = 60_000;
/// Pause before an append that was not answered is repeated, in milliseconds.
const POST_AGAIN_MS: u64 = 200;
/// Times that others may write to the same job while it is posted.
const POST_CONFLICTS_MAX: usize = 8;

/// What became of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// The request is new.
    New,
    /// The job's id had been posted before.
    Before,
}

/// Posts requests. Clones share the log.
#[derive(Clone)]
pub struct Desk {
    log: SharedLog,
    source: String,
    clock: Clock,
    within: Duration,
    tracer: Tracer,
}

/// A post under way: the span that the job's trace goes on from.
struct Sending {
    /// What the record says: the post's own place, or, if nothing is told, that which it was asked for in.
    context: Option<TraceContext>,
    parent: Option<TraceContext>,
    began: Time,
}

impl Sending {
    fn begin(desk: &Desk, parent: Option<TraceContext>) -> Self {
        let own = |parent: TraceContext| {
            if desk.tracer.wants(parent) { parent.with_span(trace::span_id()) } else { parent }
        };
        Self { context: parent.map(own), parent, began: desk.clock.now() }
    }

    fn end(self, desk: &Desk, key: &Key, draft: &Draft, error: Option<&AppendError>) {
        let Some(context) = self.context.filter(|context| desk.tracer.wants(*context)) else { return };
        let failure = error.map(|error| match error {
            AppendError::Conflict { .. } => "posted_before",
            _ => "not_stored",
        });
        let span =
            Span::new(context, format!("send {REQUESTS}"), Kind::Producer, self.began, desk.clock.now())
                .below(self.parent)
                .with("messaging.system", "nats")
                .with("messaging.operation.type", "send")
                .with("messaging.operation.name", "publish")
                .with("messaging.destination.name", REQUESTS)
                .with("messaging.message.id", draft.meta.id.to_string())
                .with("lowland.id.account", key.account.to_string())
                .with("lowland.id.job", key.job.to_string())
                .failed_if(failure);
        desk.tracer.tell(span);
    }
}

impl Desk {
    /// A desk that writes in the name of `host`; the log must have taken a request `within` that time.
    #[must_use]
    pub fn new(host: &Host, within: Duration) -> Self {
        let (log, clock, tracer) = (host.log.clone(), host.clock.clone(), host.tracer.clone());
        Self { log, source: host.source(), clock, within, tracer }
    }

    /// Posts `posted` as the job `key`. With `once`, only if nothing was ever posted under that id.
    pub async fn post(
        &self,
        key: &Key,
        posted: Posted,
        once: bool,
        trace: Option<TraceContext>,
    ) -> Result<Placed, ApiError> {
        let event = Event::from(request::Event::Posted(posted));
        let sending = Sending::begin(self, trace);
        let draft = self.draft(key, event).traced(sending.context.map(|context| context.to_string()));
        let answer = self.place(key, &draft, once).await;
        sending.end(self, key, &draft, answer.as_ref().err());
        match answer {
            Ok(appended) if appended.repeated => Ok(Placed::Before),
            Ok(_) => Ok(Placed::New),
            Err(AppendError::Conflict { .. }) => Ok(Placed::Before),
            Err(error) => {
                tracing::warn!(%error, job = %key.job, "a request could not be posted");
                Err(ApiError::log_unavailable(&error.to_string()))
            }
        }
    }

    /// Appends a post; with `once`, it conflicts with every other post under its id, and with nothing else.
    async fn place(&self, key: &Key, draft: &Draft, once: bool) -> Result<Appended, AppendError> {
        let mut entry = if once { draft.entry_after(0) } else { draft.entry() };
        for _ in 0..POST_CONFLICTS_MAX {
            let conflict = match self.append(&entry, self.within).await {
                Err(conflict @ AppendError::Conflict { .. }) => conflict,
                answered => return answered,
            };
            let last = self.last_but_posted(key).await;
            let last = last.map_err(|error| AppendError::Unanswered(error.to_string()))?;
            entry = draft.entry_after(last.ok_or(conflict)?);
        }
        Err(AppendError::Unanswered("others write to the same job all the time".into()))
    }

    /// Sequence of the last request under the id of `key`, if none of them posts a job: what came first may be a
    /// cancellation, for instance of an earlier try that the log never took.
    async fn last_but_posted(&self, key: &Key) -> Result<Option<u64>, ApiError> {
        let all = Filter::aggregate(Domain::Request, key.account.as_str(), key.job.as_str());
        // In this order: whatever is posted in between moves the last sequence on.
        let last = self.ask(self.log.last(REQUESTS, &all)).await?.flatten();
        let posted = self.first_posted(key).await?;
        Ok(posted.is_none().then(|| last.map_or(0, |last| last.sequence)))
    }

    /// Asks for the job's end. Tries for a while: nobody waits for it, but the caller pays for what is still computed.
    pub async fn cancel(&self, key: &Key, reason: &str) -> Result<(), AppendError> {
        let requested = request::Event::CancelRequested(CancelRequested { reason: Some(reason.to_owned()) });
        self.append(&self.draft(key, requested.into()).entry(), Duration::from_millis(CANCEL_WITHIN_MS))
            .await
            .map(drop)
    }

    /// What was first posted under the id of `key`, if that is still known.
    pub async fn posted(&self, key: &Key) -> Result<Option<Posted>, ApiError> {
        let first = self.first_posted(key).await?;
        let event = first.and_then(|record| Stored::try_from(&record).ok()).map(|stored| stored.event);
        Ok(match event {
            Some(Event::Request(request::Event::Posted(posted))) => Some(posted),
            _ => None,
        })
    }

    async fn first_posted(&self, key: &Key) -> Result<Option<Record>, ApiError> {
        let filters = [Filter::from(&Subject::request(&key.account, &key.job, "posted"))];
        let records = self.ask(self.log.read(REQUESTS, &filters, 0, 1)).await?;
        Ok(records.and_then(|records| records.into_iter().next()))
    }

    /// The log's answer, if it comes in time; nothing, if the stream is not there.
    async fn ask<T>(
        &self,
        asked: impl Future<Output = Result<T, log::Error>>,
    ) -> Result<Option<T>, ApiError> {
        match tokio::time::timeout(self.within, asked).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(log::Error::NoStream(_))) => Ok(None),
            Ok(Err(error)) => Err(ApiError::log_unavailable(&error.to_string())),
            Err(_) => Err(ApiError::log_unavailable("no answer in time")),
        }
    }

    /// The id of each event follows from its job, so a repetition is recognised as such.
    fn draft(&self, key: &Key, event: Event) -> Draft {
        let subject = Subject::request(&key.account, &key.job, event.name());
        let cause = format!("{}/{}/{}", Domain::Request, key.account, key.job);
        Draft::new(subject, event, &cause, &self.source, self.clock.now())
    }

    /// Appends, again while the log doesn't answer, for at most `within`.
    async fn append(&self, entry: &Entry, within: Duration) -> Result<Appended, AppendError> {
        let mut last = AppendError::Unanswered("no answer in time".into());
        let tries = async {
            loop {
                match self.log.append(entry.clone()).await {
                    Err(AppendError::Unanswered(detail)) => last = AppendError::Unanswered(detail),
                    answered => return answered,
                }
                tokio::time::sleep(Duration::from_millis(POST_AGAIN_MS)).await;
            }
        };
        let answered = tokio::time::timeout(within, tries).await;
        answered.unwrap_or(Err(last))
    }
}

/// 422: the id that an `Idempotency-Key` gives was used for something else.
#[must_use]
pub fn used_otherwise() -> ApiError {
    let message = "this Idempotency-Key was used before with another body; a key stands for one request";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message)
}
