//! Storing what was decided: each decision whole or not at all, many at once.

use lowland_events::{
    Draft,
    log::{AppendError, Entry, SharedLog},
};

/// Events that are stored together or not at all, each guarded by its aggregate's last sequence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    events: Vec<(Draft, Option<u64>)>,
}

impl Decision {
    /// A decision of one event, made when its aggregate's last sequence was `last` (0: the aggregate is new).
    #[must_use]
    pub fn one(draft: Draft, last: u64) -> Self {
        Self { events: vec![(draft, Some(last))] }
    }

    /// Adds a further event of an aggregate that this decision already guards.
    #[must_use]
    pub fn then(mut self, draft: Draft) -> Self {
        self.events.push((draft, None));
        self
    }

    /// The events, for tests and simulations.
    pub fn drafts(&self) -> impl Iterator<Item = &Draft> {
        self.events.iter().map(|(draft, _)| draft)
    }

    /// What to append.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.events
            .iter()
            .map(|(draft, last)| last.map_or_else(|| draft.entry(), |last| draft.entry_after(last)))
            .collect()
    }
}

/// What became of a round of decisions.
#[derive(Debug, Default)]
pub struct Committed {
    /// Highest sequence stored (now or earlier, for repetitions).
    pub sequence: u64,
    /// For each decision, whether it stands in the log; a conflict means: read on and decide again.
    pub stored: Vec<bool>,
}

/// Appends every decision. Conflicts are part of the result; an error means that some may not be stored, and that all
/// may be decided and committed again without harm.
pub async fn commit(log: &SharedLog, decisions: &[Decision]) -> Result<Committed, AppendError> {
    let units = decisions.iter().map(Decision::entries).filter(|entries| !entries.is_empty()).collect();
    let mut results = log.append_all(units).await.into_iter();
    let mut committed = Committed::default();
    for decision in decisions {
        let result = if decision.events.is_empty() { None } else { results.next() };
        match result {
            None => committed.stored.push(true),
            Some(Ok(appended)) => {
                committed.sequence = committed.sequence.max(appended.sequence);
                committed.stored.push(true);
            }
            Some(Err(AppendError::Conflict { detail })) => {
                tracing::debug!(detail, "a decision came too late");
                committed.stored.push(false);
            }
            Some(Err(error)) => return Err(error),
        }
    }
    Ok(committed)
}
