//! What decisions rest on besides the state: who was heard of, and what was read from the log for them. Given to
//! `decide` as values, so that it reads nothing itself.

use std::collections::BTreeMap;

use lowland_events::{EventId, Filter, Time, job::Position, meter::Usage};

use crate::{config::Config, key::JobKey, liveness::Liveness, state::State};

/// What was learnt outside the state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Who was heard of.
    pub liveness: Liveness,
    /// What was delivered of jobs that are to be ended.
    pub delivered: BTreeMap<JobKey, Usage>,
    /// Jobs that the state no longer remembers but the log does, and the request that each came from.
    pub used: BTreeMap<JobKey, EventId>,
    /// Last sequences of aggregates that hold something which the state could not read.
    pub moved: BTreeMap<Filter, u64>,
    /// How far each stream was taken into account.
    pub positions: Vec<Position>,
}

/// All that a decision may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The state.
    pub state: &'a State,
    /// What was learnt outside it.
    pub facts: &'a Facts,
    /// The settings.
    pub config: &'a Config,
    /// Who decides.
    pub source: &'a str,
    /// The time.
    pub now: Time,
}
