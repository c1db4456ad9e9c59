//! What the desk does to the log: it reads what decisions need, stores them, answers requests and acknowledges them.

use futures::{StreamExt, TryStreamExt, future::join_all, stream as streams};
use lowland_events::{
    Draft, Event, EventId, Filter, Stored, Time, TraceContext,
    id::ModelId,
    job,
    log::{Acknowledge, Error as LogError, Record, SharedLog},
    meter::Usage,
    stream, token,
};
use lowland_host::{Decision, commit};

use super::{Desk, Unsettled};
use crate::{
    decide::{Decided, Round},
    key::JobKey,
};

/// Reads from the log and acknowledgements under way at once.
const AT_ONCE: usize = 64;
/// Delay after which a cancel request for a job that never appeared is delivered again, in milliseconds.
const LATER_MS: u64 = 1000;

impl Desk {
    /// Reads what was delivered of the jobs that are to be ended.
    pub(super) async fn look_up(&mut self, round: &Round) -> Result<(), LogError> {
        let log = &self.host.log;
        let reads = round.wanted.iter().cloned().map(|key| {
            let log = log.clone();
            async move { Ok::<_, LogError>((delivered(&log, &key).await?, key)) }
        });
        let usages: Vec<(Usage, JobKey)> = streams::iter(reads).buffered(AT_ONCE).try_collect().await?;
        self.tray.facts.delivered.extend(usages.into_iter().map(|(usage, key)| (key, usage)));
        Ok(())
    }

    pub(super) async fn store(
        &mut self,
        decided: Vec<Decided>,
        clock: &impl Fn() -> Time,
    ) -> Result<(), Unsettled> {
        let (decisions, whys): (Vec<Decision>, Vec<String>) =
            decided.into_iter().map(|decided| (decided.decision, decided.why)).unzip();
        let queued: Vec<_> = decisions.iter().map(|decision| self.queued(decision)).collect();
        let committed = commit(&self.host.log, &decisions).await?;
        self.reach(committed.sequence, clock).await?;
        for (((decision, why), stored), queued) in
            decisions.iter().zip(whys).zip(committed.stored).zip(queued)
        {
            if stored {
                decision.drafts().for_each(|draft| self.tell(draft, &why));
                queued.into_iter().for_each(|(model, ms)| self.counted.queued(&model, ms));
            } else {
                self.counted.late();
                self.catch_up(decision, clock).await?;
            }
        }
        Ok(())
    }

    /// For how long a job has waited that is given out for the first time, in milliseconds, before the state knows it.
    fn queued(&self, decision: &Decision) -> Option<(ModelId, u64)> {
        decision.drafts().find_map(|draft| match &draft.event {
            Event::Job(job::Event::Assigned(assigned)) if assigned.attempt == 1 => {
                let accepted_at = self.fold.state().job(&JobKey::of(&draft.subject)?)?.assigned_at;
                Some((assigned.job.model.clone(), draft.meta.time.ms_since(accepted_at)))
            }
            _ => None,
        })
    }

    /// Takes in what the log holds of the aggregates that a refused decision was about: either the state learns why, or
    /// the facts say what the state cannot know.
    async fn catch_up(&mut self, decision: &Decision, clock: &impl Fn() -> Time) -> Result<(), LogError> {
        for draft in decision.drafts() {
            let filter = draft.subject.aggregate_filter();
            let Some(last) = self.host.log.last(stream::LOG, &filter).await? else { continue };
            self.reach(last.sequence, clock).await?;
            let begins = matches!(draft.event.name(), "submitted" | "rejected");
            match JobKey::of(&draft.subject).filter(|_| begins) {
                Some(key) => self.remember(key, &filter).await?,
                None => drop(self.tray.facts.moved.insert(filter, last.sequence)),
            }
        }
        Ok(())
    }

    /// A job of this id exists: if the state has forgotten it, its first event tells which request it came from.
    async fn remember(&mut self, key: JobKey, filter: &Filter) -> Result<(), LogError> {
        let first = self.host.log.read(stream::LOG, std::slice::from_ref(filter), 0, 1).await?;
        let origin = first.first().map(|record| {
            let causation = Stored::try_from(record).ok().and_then(|stored| stored.meta.causation);
            causation.unwrap_or_else(|| EventId::of_record(&record.stream, record.sequence))
        });
        self.tray.facts.used.extend(origin.map(|origin| (key, origin)));
        Ok(())
    }

    async fn reach(&mut self, sequence: u64, clock: &impl Fn() -> Time) -> Result<(), LogError> {
        for event in self.fold.reach(sequence).await? {
            self.tray.note(&event, clock());
        }
        Ok(())
    }

    pub(super) async fn answer(&mut self, replies: Vec<(u64, Decided)>) -> Result<(), Unsettled> {
        let (requests, replies): (Vec<u64>, Vec<Decided>) = replies.into_iter().unzip();
        let decisions: Vec<Decision> = replies.iter().map(|reply| reply.decision.clone()).collect();
        commit(&self.host.log, &decisions).await?;
        for reply in &replies {
            reply.decision.drafts().for_each(|draft| self.tell(draft, &reply.why));
        }
        self.acknowledge(&requests);
        Ok(())
    }

    pub(super) async fn put_off(&mut self, requests: &[u64]) {
        for pending in requests.iter().filter_map(|request| self.tray.put_away(*request)) {
            if let Err(error) = pending.ack.again(LATER_MS).await {
                tracing::warn!(%error, "a request could not be put off; it comes again by itself");
            }
        }
    }

    /// Acknowledges on the side: nothing waits for it, and one that is lost only brings its request again.
    pub(super) fn acknowledge(&mut self, requests: &[u64]) {
        let done = requests
            .iter()
            .filter_map(|request| self.tray.put_away(*request))
            .map(|pending| pending.ack)
            .collect::<Vec<_>>();
        let acks: Vec<_> = self.tray.acks.drain(..).chain(done).collect();
        if !acks.is_empty() {
            tokio::spawn(acknowledge_all(acks));
        }
    }

    /// One line a decision.
    fn tell(&self, draft: &Draft, why: &str) {
        let what = draft.event.name();
        self.counted.decided(&draft.event);
        match JobKey::of(&draft.subject) {
            Some(JobKey { account, job }) => {
                let to = draft.subject.target();
                let trace_id = draft.meta.trace().map(TraceContext::trace_id);
                tracing::debug!(what, %account, %job, trace_id, to, why, "decided");
            }
            None => tracing::debug!(what, subject = %draft.subject, why, "decided"),
        }
    }
}

/// At most as many are under way as the consumer lets be unacknowledged.
async fn acknowledge_all(acks: Vec<Box<dyn Acknowledge>>) {
    for chunk in acks.chunks(AT_ONCE) {
        for result in join_all(chunk.iter().map(|ack| ack.ack())).await {
            if let Err(error) = result {
                tracing::warn!(%error, "an acknowledgement was lost; the request comes again, harmlessly");
            }
        }
    }
}

/// What was delivered of a job, as far as the bus still knows: what it lost with its memory nobody pays for.
async fn delivered(log: &SharedLog, key: &JobKey) -> Result<Usage, LogError> {
    let last = match log.last(stream::TOKENS, &key.tokens()).await {
        Err(LogError::NoStream(_)) => None,
        other => other?,
    };
    Ok(last.as_ref().and_then(usage).unwrap_or_default())
}

/// What a token record says was used so far.
fn usage(record: &Record) -> Option<Usage> {
    match Stored::try_from(record).ok()?.event {
        Event::Token(token::Event::Published(published)) => Some(published.usage),
        _ => None,
    }
}
