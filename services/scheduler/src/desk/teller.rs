//! What the desk tells to traces. Nothing waits for it: spans are queued, and the chain of a job whose beginning this process
//! has not seen is read by a task of its own.

use std::sync::Arc;

use lowland_events::{
    Event, Filter, Stored, TraceContext,
    envelope::header,
    job,
    log::{Record, SharedLog},
    stream,
};
use lowland_host::{Host, Tracer, trace::Span};
use tokio::sync::Semaphore;

use crate::{incoming::Incoming, key::JobKey, trace::Story};

/// Chains read from the log at once; the jobs of further ones are not told.
const CHAINS_AT_ONCE: usize = 16;
/// Events of a job that are read to tell it.
const CHAIN_EVENTS_MAX: usize = 512;

/// The desk's teller; absent where spans go nowhere.
pub(super) struct Teller {
    tracer: Tracer,
    log: SharedLog,
    source: String,
    story: Story,
    chains: Arc<Semaphore>,
}

impl Teller {
    pub(super) fn of(host: &Host) -> Option<Self> {
        host.tracer.is_on().then(|| Self {
            tracer: host.tracer.clone(),
            log: host.log.clone(),
            source: host.source(),
            story: Story::new(&host.source()),
            chains: Arc::new(Semaphore::new(CHAINS_AT_ONCE)),
        })
    }

    /// A request arrived.
    pub(super) fn asked(&mut self, incoming: &Incoming) {
        self.story.asked(incoming);
    }

    /// A request needs no more attention.
    pub(super) fn settled(&mut self, incoming: &Incoming) {
        self.story.settled(incoming.id);
    }

    /// An event was folded.
    pub(super) fn note(&mut self, event: &Stored) {
        let told = self.story.take(event);
        told.spans.into_iter().for_each(|span| self.tracer.tell(span));
        if let Some(key) = told.unknown {
            self.read(key);
        }
    }

    fn read(&self, key: JobKey) {
        let Ok(permit) = Arc::clone(&self.chains).try_acquire_owned() else { return };
        let (log, tracer, source) = (self.log.clone(), self.tracer.clone(), self.source.clone());
        tokio::spawn(async move {
            let _permit = permit;
            for span in chain(&log, &key, &source).await.unwrap_or_default() {
                tracer.tell(span);
            }
        });
    }
}

/// The spans of a job, from its whole chain; nothing if the log does not give it.
async fn chain(log: &SharedLog, key: &JobKey, source: &str) -> Option<Vec<Span>> {
    let filter = Filter::aggregate(lowland_events::Domain::Job, key.account.as_str(), key.job.as_str());
    let records = log.read(stream::LOG, &[filter], 0, CHAIN_EVENTS_MAX).await.ok()?;
    let events: Vec<Stored> = records.iter().filter_map(|record| Stored::try_from(record).ok()).collect();
    let mut story = Story::new(source);
    let first = events.first()?;
    if let Some(request) = request(log, first).await {
        let parent: Option<TraceContext> =
            request.headers.value(header::TRACEPARENT).and_then(|text| text.parse().ok());
        story.asked_at(first.meta.causation?, request.stored_at, parent);
    }
    Some(events.iter().flat_map(|event| story.take(event).spans).collect())
}

/// The request that a job came from, while the stream still has it.
async fn request(log: &SharedLog, first: &Stored) -> Option<Record> {
    let Event::Job(job::Event::Submitted(submitted)) = &first.event else { return None };
    let (account, job) = (first.subject.account_id()?, first.subject.job_id()?);
    let filter = Filter::from(&lowland_events::Subject::request(&account, &job, "posted"));
    let records = log.read(stream::REQUESTS, &[filter], submitted.request_sequence, 1).await.ok()?;
    records.into_iter().find(|record| record.sequence == submitted.request_sequence)
}
