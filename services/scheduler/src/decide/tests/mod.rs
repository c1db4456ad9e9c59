//! Given these events, when this, then these events.

use lowland_events::{
    Domain, Event, EventId, Filter, Money, Time,
    codec::BodyError,
    id::RegionId,
    instance::Ready,
    job::{self, Problem, ProblemCode, Verdict},
    meter::Usage,
    request::Posted,
};

use super::*;
use crate::{
    config::WAITING_BYTES_MAX,
    given::{Given, instance, key, output, ready, submitted},
    state::{ATTEMPTS_BARREN_MAX, ATTEMPTS_MAX, START_MS},
};

mod ends;
mod losses;
mod places;
mod requests;
mod sequences;

const NOTHING: [&str; 0] = [];

fn posted() -> Posted {
    Posted { model: "smol".into(), prompt: Some("Hi".into()), ..Posted::default() }
}

fn in_region(name: &str, ready: Ready) -> Ready {
    Ready { region: RegionId::new(name).unwrap(), ..ready }
}
