//! What goes wrong under a seed. Each seed enables a random subset of the kinds of faults, each with a strength of its own
//! (swarm testing): where everything fails all the time, the rare combinations that need something else to work never
//! come.

use std::time::Duration;

use crate::chance::Chance;

/// What goes wrong, how often, how strongly, and how much there is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Time in which things go wrong.
    pub(crate) rough: Duration,
    pub(crate) network: Network,
    pub(crate) deliveries: Deliveries,
    pub(crate) follows: Follows,
    pub(crate) processes: Processes,
    pub(crate) engine: Engines,
    pub(crate) cast: Cast,
    pub(crate) jobs: u64,
}

/// What becomes of a request to the log, and of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// Longest way of a request or of an answer, in milliseconds.
    pub(crate) delay_ms: u64,
    /// After this time without an answer the client gives up, in milliseconds.
    pub(crate) patience_ms: u64,
    /// A request never arrives.
    pub(crate) lost: f64,
    /// A request is served, and its answer is lost.
    pub(crate) unanswered: f64,
    /// A request arrives after its sender has given up.
    pub(crate) late: f64,
    /// A request arrives twice, the second time later.
    pub(crate) doubled: f64,
    /// The process dies just before or just after an append is stored.
    pub(crate) deadly: f64,
}

/// What becomes of a durable consumer's deliveries.
#[derive(Debug, Clone)]
pub(crate) struct Deliveries {
    pub(crate) lost: f64,
    pub(crate) doubled: f64,
    /// Held back, so that others overtake it.
    pub(crate) held_back: f64,
}

/// What becomes of followers.
#[derive(Debug, Clone)]
pub(crate) struct Follows {
    /// Longest lag of a record, in milliseconds.
    pub(crate) lag_ms: u64,
    /// A reading fails once and goes on afterwards.
    pub(crate) broken: f64,
}

/// Time from one to the next, on average, in milliseconds; 0 for never.
#[derive(Debug, Clone)]
pub(crate) struct Processes {
    pub(crate) crash_ms: u64,
    pub(crate) stop_ms: u64,
    pub(crate) freeze_ms: u64,
    pub(crate) cut_ms: u64,
    /// The server restarts: memory streams go.
    pub(crate) bus_ms: u64,
    /// Clocks jump.
    pub(crate) jump_ms: u64,
    /// Most that a clock is off, in milliseconds.
    pub(crate) skew_ms: u64,
    /// Events from one snapshot to the next.
    pub(crate) keep_after: u64,
}

/// How engines behave.
#[derive(Debug, Clone)]
pub(crate) struct Engines {
    /// Longest time for a token, in milliseconds.
    pub(crate) step_ms: u64,
    /// A job fails, for good or to be tried again.
    pub(crate) fails: f64,
    /// A job is dropped without a word.
    pub(crate) forgets: f64,
    /// The engine dies of a job.
    pub(crate) dies: f64,
    /// Each attempt draws other tokens, so that one text comes of it only if attempts go on from each other's. Never
    /// where the bus may lose its memory: for that case an equal seed has to draw equal tokens.
    pub(crate) unlike: bool,
}

/// Who there is.
#[derive(Debug, Clone)]
pub(crate) struct Cast {
    pub(crate) schedulers: u64,
    pub(crate) billings: u64,
    pub(crate) gateways: u64,
    pub(crate) workers: u64,
    pub(crate) accounts: u64,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let chance = &Chance::of(seed, "plan");
        let processes = Processes::of(chance);
        Self {
            rough: chance.ms(5_000..=30_000),
            network: Network::of(chance),
            deliveries: Deliveries {
                lost: sometimes(chance, 0.2),
                doubled: sometimes(chance, 0.3),
                held_back: sometimes(chance, 0.4),
            },
            follows: Follows {
                lag_ms: if chance.hits(0.5) { chance.one_of(&[5, 50, 500, 3000]) } else { 0 },
                broken: sometimes(chance, 0.1),
            },
            engine: Engines {
                step_ms: chance.one_of(&[1, 20, 100, 600]),
                fails: sometimes(chance, 0.2),
                forgets: sometimes(chance, 0.1),
                dies: sometimes(chance, 0.1),
                unlike: processes.bus_ms == 0 && chance.hits(0.7),
            },
            processes,
            cast: Cast {
                schedulers: chance.one_of(&[1, 1, 2]),
                billings: chance.one_of(&[1, 1, 2]),
                gateways: chance.one_of(&[1, 1, 2]),
                workers: chance.number(1..=4),
                accounts: chance.number(1..=3),
            },
            jobs: chance.number(4..=24),
        }
    }
}

impl Network {
    fn of(chance: &Chance) -> Self {
        Self {
            delay_ms: chance.one_of(&[0, 1, 5, 30, 200]),
            patience_ms: chance.one_of(&[100, 500, 2000]),
            lost: sometimes(chance, 0.1),
            unanswered: sometimes(chance, 0.15),
            late: sometimes(chance, 0.1),
            doubled: sometimes(chance, 0.2),
            deadly: sometimes(chance, 0.02),
        }
    }

    /// Nothing goes wrong.
    pub(crate) const CALM: Self = Self {
        delay_ms: 1,
        patience_ms: 2000,
        lost: 0.0,
        unanswered: 0.0,
        late: 0.0,
        doubled: 0.0,
        deadly: 0.0,
    };
}

impl Deliveries {
    /// Nothing goes wrong.
    pub(crate) const CALM: Self = Self { lost: 0.0, doubled: 0.0, held_back: 0.0 };
}

impl Follows {
    /// Nothing goes wrong.
    pub(crate) const CALM: Self = Self { lag_ms: 0, broken: 0.0 };
}

impl Processes {
    fn of(chance: &Chance) -> Self {
        let every = |from, to| if chance.hits(0.5) { chance.number(from..=to) } else { 0 };
        Self {
            crash_ms: every(700, 8000),
            stop_ms: every(2000, 15_000),
            freeze_ms: every(2000, 15_000),
            cut_ms: every(2000, 15_000),
            bus_ms: every(2000, 15_000),
            jump_ms: every(2000, 15_000),
            skew_ms: every(1, 3000),
            keep_after: chance.one_of(&[5, 20, 60, 10_000]),
        }
    }
}

/// A probability up to `most`, for half of all seeds; else none.
fn sometimes(chance: &Chance, most: f64) -> f64 {
    if chance.hits(0.5) { most * chance.number(1..=100) as f64 / 100.0 } else { 0.0 }
}
