//! Drives a job's [`Publication`]: performs its steps on the log, one at a time, and no faster than is of use.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use lowland_events::{
    Event, Stored,
    log::{AppendError, Error, Record},
    stream,
    token::{self, Published},
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    bus::{Bus, RETRY_WAIT},
    job::{Assignment, Standing},
    publication::{Answer, Last, Publication, Step, Transcript},
};

/// Least time from one append of a job's tokens to the next: what comes meanwhile goes together. Below what a reader can
/// see, above what an append costs.
const WINDOW: Duration = Duration::from_millis(5);
/// Records read at once.
const PAGE_RECORDS: usize = 256;

/// A publication and the step that is under way.
pub(crate) struct Publisher {
    pub(crate) publication: Publication,
    line: Arc<Line>,
    step: Option<BoxFuture<'static, Answer>>,
    next_at: Instant,
}

/// What steps are performed on.
struct Line {
    bus: Bus,
    of: Arc<Assignment>,
}

impl Publisher {
    pub(crate) fn new(bus: Bus, of: Arc<Assignment>) -> Self {
        let publication = Publication::new(of.attempt());
        Self { publication, line: Arc::new(Line { bus, of }), step: None, next_at: Instant::now() }
    }

    /// Does one step; waits for as long as there is none to do. Cancel-safe.
    pub(crate) async fn drive(&mut self) {
        if self.step.is_none() {
            // A timer fires on the next full millisecond, even one that is due already: the first token would wait for it.
            if self.next_at > Instant::now() {
                sleep_until(self.next_at).await;
            }
            self.step = self.begin();
        }
        match &mut self.step {
            Some(step) => {
                let answer = step.await;
                self.step = None;
                self.publication.take(answer);
            }
            None => std::future::pending().await,
        }
    }

    /// Publishes what there is, or learns that it is no longer to be published.
    pub(crate) async fn flush(&mut self) {
        while self.step.is_some() || !self.publication.is_settled() {
            self.next_at = Instant::now();
            self.drive().await;
        }
    }

    /// Waits until it is known what is stored.
    pub(crate) async fn resolve(&mut self) {
        while self.step.is_some() || self.publication.is_uncertain() {
            self.drive().await;
        }
    }

    fn begin(&mut self) -> Option<BoxFuture<'static, Answer>> {
        let step = self.publication.next_step()?;
        self.next_at = Instant::now() + WINDOW;
        Some(Arc::clone(&self.line).perform(step).boxed())
    }
}

impl Line {
    async fn perform(self: Arc<Self>, step: Step) -> Answer {
        let answer = match step {
            Step::Gather => self.gather().await.map(Answer::Gathered),
            Step::Append { ordinal, after, record } => return self.append(ordinal, after, record).await,
            Step::ReadLast { ordinal } => self.last(ordinal).await.map(Answer::Last),
            Step::Confirm => return self.confirm().await,
        };
        match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "reading tokens");
                sleep(RETRY_WAIT).await;
                Answer::Unanswered
            }
        }
    }

    async fn append(&self, ordinal: u32, after: u64, record: Published) -> Answer {
        let draft = self.of.tokens(record, ordinal, &self.bus.source, self.bus.clock.now());
        match self.bus.log.append(draft.entry_after(after)).await {
            Ok(appended) => Answer::Stored(appended.sequence),
            Err(AppendError::Conflict { .. }) => Answer::Conflict,
            Err(AppendError::NoStream(_)) => {
                self.ensure().await;
                Answer::Unanswered
            }
            Err(error) => {
                tracing::warn!(%error, "publishing tokens");
                sleep(RETRY_WAIT).await;
                Answer::Unanswered
            }
        }
    }

    /// Every token record of the job, put together.
    async fn gather(&self) -> Result<Transcript, Error> {
        let mut transcript = Transcript::default();
        loop {
            let from = transcript.tip + 1;
            let page =
                self.bus.log.read(stream::TOKENS, &[self.of.tokens_filter()], from, PAGE_RECORDS).await;
            let page = match page {
                Err(Error::NoStream(_)) => {
                    self.ensure().await;
                    return Ok(transcript);
                }
                page => page?,
            };
            if page.is_empty() {
                return Ok(transcript);
            }
            for record in &page {
                match published(record) {
                    Some(tokens) => transcript.take(tokens, record.sequence),
                    None => transcript.tip = record.sequence,
                }
            }
        }
    }

    async fn last(&self, ordinal: u32) -> Result<Option<Last>, Error> {
        let last = match self.bus.log.last(stream::TOKENS, &self.of.tokens_filter()).await {
            Err(Error::NoStream(_)) => {
                self.ensure().await;
                None
            }
            last => last?,
        };
        Ok(last.map(|record| Last {
            sequence: record.sequence,
            attempt: published(&record).map_or(0, |tokens| tokens.attempt),
            same: Stored::try_from(&record).is_ok_and(|stored| stored.meta.id == self.of.tokens_id(ordinal)),
        }))
    }

    async fn confirm(&self) -> Answer {
        match self.bus.standing(&self.of).await {
            Some(standing) => Answer::Standing(standing != Standing::Gone),
            None => {
                sleep(RETRY_WAIT).await;
                Answer::Unanswered
            }
        }
    }

    /// Makes the stream again: it lives in the server's memory, and goes with it.
    async fn ensure(&self) {
        if let Err(error) = self.bus.log.ensure(&stream::tokens()).await {
            tracing::warn!(%error, "making the stream of tokens");
            sleep(RETRY_WAIT).await;
        }
    }
}

fn published(record: &Record) -> Option<Published> {
    match Stored::try_from(record).ok()?.event {
        Event::Token(token::Event::Published(published)) => Some(published),
        _ => None,
    }
}
