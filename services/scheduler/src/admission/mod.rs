//! From what was asked to a job, or to what is wrong with it: what, where, and what would be right.

mod bounds;
mod checks;

use lowland_events::{
    codec::BodyError,
    id::{ModelId, RegionId},
    instance::Ability,
    job::{Problem, ProblemCode, Submitted, Task},
    request::Posted,
};
use sha2::{Digest, Sha256};

use crate::{
    config::Config,
    incoming::Incoming,
    key::JobKey,
    state::{Fleet, Model},
};

pub use bounds::{TEMPLATE_TOKENS, TOKENS_PER_INPUT, TOKENS_PER_MESSAGE};
pub use checks::*;

/// Longest message about a problem, in bytes: some quote the request.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Most models or regions that a message lists.
const LISTED_MAX: usize = 32;

/// The job that `posted` asks for, or what is wrong with it.
pub fn admit(
    fleet: &Fleet,
    config: &Config,
    incoming: &Incoming,
    posted: &Posted,
) -> Result<Submitted, Problem> {
    let task = checks::task(posted)?;
    checks::size(posted, &task, config.text_bytes_max)?;
    let sampling = checks::sampling(posted, &task, || seed(&incoming.key))?;
    let deadline_ms = checks::deadline_ms(posted)?;
    let regions = checks::regions(posted)?;
    let (id, model) = known_model(fleet, &posted.model)?;
    right_task(&posted.model, model, &task)?;
    some_region(&posted.model, model, &regions)?;
    Ok(Submitted {
        bounds: bounds::bounds(&task, sampling.as_ref(), model.context_tokens),
        model: id,
        task,
        sampling,
        regions,
        deadline: incoming.stored_at.plus_ms(deadline_ms),
        request_sequence: incoming.sequence,
    })
}

/// What is wrong with a body that cannot be read.
#[must_use]
pub fn unreadable(error: &BodyError) -> Problem {
    let field = Some(error.field.clone()).filter(|field| !field.is_empty());
    problem(ProblemCode::InvalidRequest, field.as_deref(), error.problem.clone())
}

/// A problem at `field`, its message cut to a bearable length.
pub(crate) fn problem(code: ProblemCode, field: Option<&str>, message: impl Into<String>) -> Problem {
    let mut message: String = message.into();
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push_str(" ...");
    }
    let field = field.map(|field| field.chars().take(MESSAGE_BYTES_MAX).collect());
    Problem { code, message, field }
}

/// A seed for a job that names none: the same for the same job, however often it is decided.
fn seed(key: &JobKey) -> u64 {
    let digest = Sha256::digest(key.to_string());
    u64::from_be_bytes(std::array::from_fn(|i| digest[i]))
}

fn known_model<'a>(fleet: &'a Fleet, name: &str) -> Result<(ModelId, &'a Model), Problem> {
    let id = ModelId::new(name).ok();
    id.and_then(|id| fleet.model(&id).map(|model| (id, model))).ok_or_else(|| {
        let offered: Vec<&str> = fleet.models().map(|(id, _)| id.as_str()).collect();
        let name: String = name.chars().take(64).collect();
        let message =
            format!("model {name:?} is not known; {}", on_offer(&offered, "no worker has offered any yet"));
        problem(ProblemCode::UnknownModel, Some("model"), message)
    })
}

fn right_task(name: &str, model: &Model, task: &Task) -> Result<(), Problem> {
    let (given, message) = match (model.ability, task) {
        (Ability::Generate, Task::Chat { .. } | Task::Completion { .. })
        | (Ability::Embed, Task::Embedding { .. }) => {
            return Ok(());
        }
        (Ability::Generate, Task::Embedding { .. }) => (
            "input",
            format!("model {name:?} writes text; give `messages` or `prompt`, or a model for embeddings"),
        ),
        (Ability::Embed, Task::Chat { .. }) => ("messages", embeds(name)),
        (Ability::Embed, Task::Completion { .. }) => ("prompt", embeds(name)),
    };
    Err(problem(ProblemCode::WrongTask, Some(given), message))
}

fn embeds(name: &str) -> String {
    format!("model {name:?} turns texts into vectors; give `input`, or a model that writes text")
}

fn some_region(name: &str, model: &Model, regions: &[RegionId]) -> Result<(), Problem> {
    if regions.is_empty() || regions.iter().any(|region| model.regions.contains(region)) {
        return Ok(());
    }
    let offered: Vec<&str> = model.regions.iter().map(RegionId::as_str).collect();
    let message =
        format!("no allowed region has ever had model {name:?}; {}", on_offer(&offered, "nor has any other"));
    Err(problem(ProblemCode::NoPlace, Some("regions"), message))
}

fn on_offer(offered: &[&str], none: &str) -> String {
    match offered.len() {
        0 => none.to_owned(),
        count if count > LISTED_MAX => {
            format!("on offer: {} and {} more", offered[..LISTED_MAX].join(", "), count - LISTED_MAX)
        }
        _ => format!("on offer: {}", offered.join(", ")),
    }
}

#[cfg(test)]
mod tests;
