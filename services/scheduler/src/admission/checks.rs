//! The fields of a request: what each may hold. Each check gives the value that is to be used, or what is wrong.

use lowland_events::{
    id::RegionId,
    job::{Message, Problem, ProblemCode, Sampling, Task},
    request::Posted,
};

use super::problem;

/// Most text in a request, in bytes: an assignment carries it on, with more beside it, in a message of at most 1 MiB.
pub const TEXT_BYTES_MAX: usize = 512 << 10;
/// What a message or text of a list costs besides its own bytes, where it is carried on, in bytes.
const ITEM_BYTES: usize = 32;
/// Most messages in a conversation.
pub const MESSAGES_MAX: usize = 2048;
/// Longest role, in bytes.
pub const ROLE_BYTES_MAX: usize = 64;
/// Most texts to turn into vectors at once.
pub const INPUTS_MAX: usize = 2048;
/// Most stop texts.
pub const STOPS_MAX: usize = 16;
/// Longest stop text, in bytes.
pub const STOP_BYTES_MAX: usize = 1024;
/// Most alternatives a token.
pub const LOGPROBS_MAX: u8 = 20;
/// Most allowed regions.
pub const REGIONS_MAX: usize = 16;
/// Longest time to the deadline, in milliseconds.
pub const DEADLINE_MS_MAX: u64 = 24 * 3600 * 1000;
/// Time to the deadline if the request names none, in milliseconds.
pub const DEADLINE_MS_DEFAULT: u64 = 10 * 60 * 1000;

fn invalid(field: &str, message: impl Into<String>) -> Problem {
    problem(ProblemCode::InvalidRequest, Some(field), message)
}

/// What is to be done: exactly one of three fields says so.
pub(super) fn task(posted: &Posted) -> Result<Task, Problem> {
    match (&posted.messages, &posted.prompt, &posted.input) {
        (Some(messages), None, None) => chat(messages),
        (None, Some(prompt), None) if prompt.is_empty() => {
            Err(invalid("prompt", "it is empty; give a text to continue"))
        }
        (None, Some(prompt), None) => Ok(Task::Completion { prompt: prompt.clone() }),
        (None, None, Some(input)) => embedding(input.clone().into()),
        (None, None, None) => Err(problem(
            ProblemCode::InvalidRequest,
            None,
            "nothing to do; give `messages` (a conversation), `prompt` (a text) or `input` (texts for embeddings)",
        )),
        _ => {
            let message = "more than one of `messages`, `prompt` and `input` is given; give exactly one";
            Err(problem(ProblemCode::InvalidRequest, None, message))
        }
    }
}

fn chat(messages: &[Message]) -> Result<Task, Problem> {
    if messages.is_empty() {
        return Err(invalid("messages", "it is empty; give at least one message"));
    }
    if messages.len() > MESSAGES_MAX {
        let message = format!("{} messages; at most {MESSAGES_MAX} are allowed", messages.len());
        return Err(problem(ProblemCode::TooLong, Some("messages"), message));
    }
    for (i, message) in messages.iter().enumerate() {
        if message.role.is_empty() || message.role.len() > ROLE_BYTES_MAX {
            let message =
                format!("a role has 1 to {ROLE_BYTES_MAX} bytes, such as `system`, `user`, `assistant`");
            return Err(invalid(&format!("messages[{i}].role"), message));
        }
    }
    Ok(Task::Chat { messages: messages.to_vec() })
}

fn embedding(input: Vec<String>) -> Result<Task, Problem> {
    if input.is_empty() {
        return Err(invalid("input", "it is empty; give at least one text"));
    }
    if input.len() > INPUTS_MAX {
        let message = format!("{} texts; at most {INPUTS_MAX} are allowed", input.len());
        return Err(problem(ProblemCode::TooLong, Some("input"), message));
    }
    if let Some(i) = input.iter().position(String::is_empty) {
        return Err(invalid(&format!("input[{i}]"), "it is empty; every text needs at least one character"));
    }
    Ok(Task::Embedding { input })
}

/// The text of a request, all of it, must fit into the messages that carry it on.
pub(super) fn size(posted: &Posted, task: &Task, most: usize) -> Result<(), Problem> {
    let (field, bytes) = match task {
        Task::Chat { messages } => {
            ("messages", messages.iter().map(|m| m.role.len() + m.content.len() + ITEM_BYTES).sum())
        }
        Task::Completion { prompt } => ("prompt", prompt.len()),
        Task::Embedding { input } => ("input", input.iter().map(|text| text.len() + ITEM_BYTES).sum()),
    };
    let stops: usize = posted.stop.clone().map(Vec::from).iter().flatten().map(String::len).sum();
    let bytes: usize = bytes;
    if bytes + stops <= most {
        return Ok(());
    }
    let message = format!("{} bytes of text; at most {most} are allowed", bytes + stops);
    Err(problem(ProblemCode::TooLong, Some(field), message))
}

/// How tokens are chosen; nothing for embeddings, where no token is chosen.
pub(super) fn sampling(
    posted: &Posted,
    task: &Task,
    seed: impl FnOnce() -> u64,
) -> Result<Option<Sampling>, Problem> {
    if matches!(task, Task::Embedding { .. }) {
        return no_sampling(posted).map(|()| None);
    }
    let range = |field, value, default, (least, most), text| ranged(field, value, default, least, most, text);
    let penalty = (-2.0, 2.0);
    Ok(Some(Sampling {
        max_tokens: max_tokens(posted)?,
        temperature: range("temperature", posted.temperature, 1.0, (0.0, 2.0), "0 to 2")?,
        top_p: range("top_p", posted.top_p, 1.0, (f32::MIN_POSITIVE, 1.0), "above 0, up to 1")?,
        top_k: posted.top_k.unwrap_or(0),
        min_p: range("min_p", posted.min_p, 0.0, (0.0, 1.0), "0 to 1")?,
        repetition_penalty: range(
            "repetition_penalty",
            posted.repetition_penalty,
            1.0,
            (f32::MIN_POSITIVE, 2.0),
            "above 0, up to 2",
        )?,
        presence_penalty: range("presence_penalty", posted.presence_penalty, 0.0, penalty, "-2 to 2")?,
        frequency_penalty: range("frequency_penalty", posted.frequency_penalty, 0.0, penalty, "-2 to 2")?,
        seed: posted.seed.unwrap_or_else(seed),
        stop: stop(posted)?,
        logprobs: logprobs(posted)?,
    }))
}

/// A field that cannot matter is more likely a mistake than a wish.
fn no_sampling(posted: &Posted) -> Result<(), Problem> {
    let given = [
        ("max_tokens", posted.max_tokens.is_some()),
        ("temperature", posted.temperature.is_some()),
        ("top_p", posted.top_p.is_some()),
        ("top_k", posted.top_k.is_some()),
        ("min_p", posted.min_p.is_some()),
        ("repetition_penalty", posted.repetition_penalty.is_some()),
        ("presence_penalty", posted.presence_penalty.is_some()),
        ("frequency_penalty", posted.frequency_penalty.is_some()),
        ("seed", posted.seed.is_some()),
        ("stop", posted.stop.is_some()),
        ("logprobs", posted.logprobs.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((field, _)) => Err(invalid(field, "it does not apply to embeddings; leave it out")),
        None => Ok(()),
    }
}

/// A number within a range; what is no number at all is not within it.
fn ranged(
    field: &str,
    value: Option<f32>,
    default: f32,
    least: f32,
    most: f32,
    text: &str,
) -> Result<f32, Problem> {
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(invalid(field, format!("{value} is out of range: {text} is allowed")))
}

fn max_tokens(posted: &Posted) -> Result<Option<u32>, Problem> {
    match posted.max_tokens {
        Some(0) => Err(invalid("max_tokens", "0 is out of range: 1 or more is allowed")),
        given => Ok(given),
    }
}

fn stop(posted: &Posted) -> Result<Vec<String>, Problem> {
    let stops: Vec<String> = posted.stop.clone().map(Into::into).unwrap_or_default();
    if stops.len() > STOPS_MAX {
        return Err(invalid("stop", format!("{} stop texts; at most {STOPS_MAX} are allowed", stops.len())));
    }
    match stops.iter().position(|stop| stop.is_empty() || stop.len() > STOP_BYTES_MAX) {
        Some(i) => {
            Err(invalid(&format!("stop[{i}]"), format!("a stop text has 1 to {STOP_BYTES_MAX} bytes")))
        }
        None => Ok(stops),
    }
}

fn logprobs(posted: &Posted) -> Result<Option<u8>, Problem> {
    match posted.logprobs {
        Some(n) if n > LOGPROBS_MAX => {
            Err(invalid("logprobs", format!("{n} is out of range: 0 to {LOGPROBS_MAX} is allowed")))
        }
        given => Ok(given),
    }
}

/// Milliseconds to the deadline.
pub(super) fn deadline_ms(posted: &Posted) -> Result<u64, Problem> {
    let deadline_ms = posted.deadline_ms.unwrap_or(DEADLINE_MS_DEFAULT);
    if (1..=DEADLINE_MS_MAX).contains(&deadline_ms) {
        return Ok(deadline_ms);
    }
    Err(invalid(
        "deadline_ms",
        format!("{deadline_ms} is out of range: 1 to {DEADLINE_MS_MAX} (24 hours) is allowed"),
    ))
}

/// The allowed regions, in order, each once.
pub(super) fn regions(posted: &Posted) -> Result<Vec<RegionId>, Problem> {
    if posted.regions.len() > REGIONS_MAX {
        let message = format!("{} regions; at most {REGIONS_MAX} are allowed", posted.regions.len());
        return Err(invalid("regions", message));
    }
    let read = |(i, text): (usize, &String)| {
        RegionId::new(text).map_err(|error| invalid(&format!("regions[{i}]"), error.to_string()))
    };
    let mut regions: Vec<RegionId> = posted.regions.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    regions.sort();
    regions.dedup();
    Ok(regions)
}
