//! What callers ask for: jobs that are right, wrong, too dear, too late, no longer wanted, asked for twice; and money.

use lowland_events::{
    Money,
    id::{AccountId, JobId},
    job::Message,
    request::{OneOrMany, Posted},
};

use crate::{
    chance::Chance,
    world::{POET, REGIONS, VECTORS, WRITER},
};

/// A caller's wish.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) account: AccountId,
    pub(crate) job: JobId,
    pub(crate) posted: Posted,
    /// When it is posted, in milliseconds from the beginning.
    pub(crate) after_ms: u64,
    pub(crate) manner: Manner,
    /// When the caller wants it no longer, in milliseconds from posting.
    pub(crate) cancel_after_ms: Option<u64>,
}

/// How it is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As gateways do, and its text is read as it comes.
    Read,
    /// So, and at most once under its id.
    ReadOnce,
    /// Published by hand, with nobody who reads.
    Bare,
    /// Noise.
    Noise,
    /// Twice: two requests of one id.
    Twice,
}

/// Money that is to be added.
#[derive(Debug, Clone)]
pub(crate) struct Topup {
    pub(crate) account: AccountId,
    pub(crate) id: JobId,
    pub(crate) amount: Money,
    /// When it is first asked for, in milliseconds from the beginning.
    pub(crate) after_ms: u64,
    /// How often it is asked for.
    pub(crate) times: u64,
}

impl Topup {
    /// The top-ups of the `number`th account: one at the beginning, perhaps others later.
    pub(crate) fn draw(chance: &Chance, number: u64, rough_ms: u64) -> Vec<Self> {
        let one = |topup: u64| Self {
            account: account(number),
            id: JobId::new(format!("t{topup}")).expect("a letter and a number are an id"),
            amount: Money(chance.number(50..=1500).into()),
            after_ms: if topup == 0 { 0 } else { chance.number(0..=rough_ms) },
            times: chance.one_of(&[1, 1, 2, 3]),
        };
        (0..chance.number(1..=3)).map(one).collect()
    }
}

/// The account's name.
fn account(number: u64) -> AccountId {
    AccountId::new(format!("a{number}")).expect("a letter and a number are an id")
}

impl Wish {
    /// The `number`th wish of a run with so many accounts that lasts so long.
    pub(crate) fn draw(chance: &Chance, number: u64, accounts: u64, rough_ms: u64) -> Self {
        use Manner::{Bare, Noise, Read, ReadOnce, Twice};
        let manner = chance.one_of(&[Read, Read, Read, ReadOnce, Bare, Noise, Twice]);
        Self {
            account: account(chance.number(1..=accounts)),
            job: JobId::new(format!("j{number}")).expect("a letter and a number are an id"),
            posted: posted(chance),
            after_ms: chance.number(0..=rough_ms),
            manner,
            cancel_after_ms: chance.hits(0.2).then(|| chance.number(0..=6000)),
        }
    }
}

fn posted(chance: &Chance) -> Posted {
    let some_text = |most| "x".repeat(usize::try_from(chance.number(1..=most)).expect("a few"));
    let mut posted = match chance.number(0..=9) {
        0..=3 => Posted { prompt: Some(some_text(60)), ..Posted::default() },
        4..=7 => {
            let message = |role: &str| Message { role: role.to_owned(), content: some_text(40) };
            Posted { messages: Some(vec![message("system"), message("user")]), ..Posted::default() }
        }
        _ => Posted { input: Some(OneOrMany::Many(vec![some_text(30), some_text(30)])), ..Posted::default() },
    };
    let embeds = posted.input.is_some();
    posted.model = if embeds { VECTORS } else { chance.one_of(&[WRITER, WRITER, WRITER, POET]) }.to_owned();
    if !embeds {
        posted.max_tokens = chance.hits(0.8).then(|| u32::try_from(chance.number(1..=90)).expect("a few"));
        posted.seed = chance.hits(0.5).then(|| chance.number(0..=9));
    }
    posted.deadline_ms = chance.hits(0.25).then(|| chance.number(50..=15_000));
    if chance.hits(0.1) {
        posted.regions = vec![chance.one_of(&REGIONS).to_owned()];
    }
    match chance.number(0..=29) {
        0 => posted.model = "unheard-of".to_owned(),
        1 => posted.model = if embeds { WRITER } else { VECTORS }.to_owned(),
        2 => posted.temperature = Some(-1.0),
        3 => posted.regions = vec!["nowhere".to_owned()],
        4 => posted.prompt = Some("x".repeat(600)),
        _ => {}
    }
    posted
}
