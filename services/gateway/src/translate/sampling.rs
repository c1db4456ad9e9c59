//! The parameters that chat and plain completions share.

use lowland_events::request::{OneOrMany, Posted};
use serde_json::Value;

use super::{
    Aliases, Stream,
    fields::{Fields, missing, unsupported, wrong_type},
};
use crate::error::ApiError;

/// Reads what says how tokens are chosen and where the job may run.
pub(super) fn read(fields: &mut Fields, posted: &mut Posted) -> Result<(), ApiError> {
    posted.temperature = fields.number("temperature")?;
    posted.top_p = fields.number("top_p")?;
    posted.top_k = fields.whole("top_k", "a whole number from 0")?;
    posted.min_p = fields.number("min_p")?;
    posted.repetition_penalty = fields.number("repetition_penalty")?;
    posted.presence_penalty = fields.number("presence_penalty")?;
    posted.frequency_penalty = fields.number("frequency_penalty")?;
    posted.seed = seed(fields)?;
    posted.stop = fields.texts("stop")?.filter(|stop| *stop != OneOrMany::Many(Vec::new()));
    place_and_time(fields, posted)
}

/// Reads the fields that any kind of job may have.
pub(super) fn place_and_time(fields: &mut Fields, posted: &mut Posted) -> Result<(), ApiError> {
    posted.regions = match fields.take("regions") {
        None => Vec::new(),
        Some(Value::Array(items)) => items
            .into_iter()
            .enumerate()
            .map(|(i, item)| match item {
                Value::String(region) => Ok(region),
                other => Err(wrong_type(&format!("regions[{i}]"), "a string", &other)),
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(wrong_type("regions", "an array of strings", &other)),
    };
    posted.deadline_ms = fields.whole("deadline_ms", "a number of milliseconds from 1")?;
    Ok(())
}

/// OpenAI's seeds are signed; ours are the same 64 bits.
fn seed(fields: &mut Fields) -> Result<Option<u64>, ApiError> {
    let seed = fields.whole::<i128>("seed", "an integer of 64 bits")?;
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the same 64 bits are meant")]
    Ok(seed.map(|seed| seed as u64))
}

/// Reads `max_tokens` by the first of `names` that is given; two that differ are refused.
pub(super) fn max_tokens(
    fields: &mut Fields,
    names: &[&'static str],
    aliases: &mut Aliases,
) -> Result<Option<u32>, ApiError> {
    let mut found: Option<(u32, &str)> = None;
    for name in names {
        let Some(tokens) = fields.whole(name, "a whole number from 1")? else { continue };
        match found {
            Some((other, earlier)) if other != tokens => {
                let message = format!("'{earlier}' and '{name}' differ; give one of them");
                return Err(ApiError::parameter("invalid_value", *name, message));
            }
            Some(_) => {}
            None => {
                aliases.note("max_tokens", name);
                found = Some((tokens, name));
            }
        }
    }
    Ok(found.map(|(tokens, _)| tokens))
}

/// Reads `stream` and `stream_options`.
pub(super) fn stream(fields: &mut Fields) -> Result<Option<Stream>, ApiError> {
    let wanted = fields.flag("stream")?.unwrap_or(false);
    let options = match fields.take("stream_options") {
        None => None,
        Some(Value::Object(options)) => Some(options),
        Some(other) => return Err(wrong_type("stream_options", "an object", &other)),
    };
    if !wanted {
        return match options {
            None => Ok(None),
            Some(_) => {
                let message = "'stream_options' is only allowed when 'stream' is true";
                Err(ApiError::parameter("invalid_value", "stream_options", message))
            }
        };
    }
    let include_usage = match options.as_ref().and_then(|options| options.get("include_usage")) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(include)) => *include,
        Some(other) => return Err(wrong_type("stream_options.include_usage", "true or false", other)),
    };
    Ok(Some(Stream { include_usage }))
}

/// Refuses more than one choice and biases on tokens.
pub(super) fn refuse_choices(fields: &mut Fields) -> Result<(), ApiError> {
    if fields.whole::<u32>("n", "1")?.is_some_and(|n| n != 1) {
        return Err(unsupported("n", "one choice a request; send several requests for several choices"));
    }
    let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    fields.refuse_unless("logit_bias", empty, "tokens can't be biased one by one")
}

/// The model's name.
pub(super) fn model(fields: &mut Fields) -> Result<String, ApiError> {
    let model = fields.required_text("model")?;
    if model.is_empty() { Err(missing("model")) } else { Ok(model) }
}
