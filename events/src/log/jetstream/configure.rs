//! Streams brought to what `stream.rs` declares. An operator's own settings (replicas, placement) are left alone.

use serde_json::{Map, Value, json};

use super::{
    api::{self, ApiFailure, code},
    line::Line,
};
use crate::{
    log::Error,
    stream::{Storage, StreamSpec},
};

/// Rounds of look, create, update: several services may do so at once.
const ROUNDS_MAX: usize = 5;

/// Creates the stream, or brings it to this configuration.
pub(super) async fn ensure(line: &Line, spec: &StreamSpec) -> Result<(), Error> {
    let mut refused = None;
    for _ in 0..ROUNDS_MAX {
        let outcome = match api::info(line, spec.name).await {
            Ok(info) => {
                let differences = differences(&info.config, spec);
                if differences.is_empty() {
                    return Ok(());
                }
                update(line, spec, info.config, &differences).await
            }
            Err(failure) if failure.said(code::NO_STREAM) => create(line, spec).await,
            Err(failure) => return Err(failure.about(spec.name)),
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(failure) if failure.said(code::NAME_TAKEN) || failure.said(code::NO_STREAM) => {
                refused = Some(failure.about(spec.name));
            }
            Err(failure) => return Err(clash(spec, failure)),
        }
    }
    Err(refused.expect("at least one round was made"))
}

async fn create(line: &Line, spec: &StreamSpec) -> Result<(), ApiFailure> {
    let mut config = wanted(spec);
    config.insert("name".to_owned(), json!(spec.name));
    config.insert("num_replicas".to_owned(), json!(1));
    api::ask::<Value>(line, &format!("STREAM.CREATE.{}", spec.name), &config).await.map(drop)
}

async fn update(
    line: &Line,
    spec: &StreamSpec,
    mut config: Map<String, Value>,
    differences: &[String],
) -> Result<(), ApiFailure> {
    tracing::info!(stream = spec.name, ?differences, "bringing the stream to its declaration");
    if spec.republish.is_none() {
        config.remove("republish");
    }
    config.extend(wanted(spec));
    let updated = api::ask::<Value>(line, &format!("STREAM.UPDATE.{}", spec.name), &config).await;
    updated.map(drop).map_err(|failure| match failure {
        ApiFailure::Said(mut error) => {
            error.description = format!("{}; it differs in {}", error.description, differences.join(", "));
            ApiFailure::Said(error)
        }
        unheard @ ApiFailure::Unheard(_) => unheard,
    })
}

/// A configuration that cannot be had is a clash; anything else is what it is.
fn clash(spec: &StreamSpec, failure: ApiFailure) -> Error {
    match failure {
        ApiFailure::Said(error)
            if matches!(error.err_code, code::INVALID_CONFIG | code::SUBJECTS_TAKEN)
                || error.description.contains("can not") =>
        {
            Error::Clash { stream: spec.name.to_owned(), detail: error.to_string() }
        }
        other => other.about(spec.name),
    }
}

/// The configuration that is wanted, as the server spells it.
fn wanted(spec: &StreamSpec) -> Map<String, Value> {
    let nanoseconds = |age: std::time::Duration| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    set("description", json!(spec.description));
    set("subjects", spec.subjects.iter().map(|filter| json!(filter.as_str())).collect());
    set("storage", json!(if spec.storage == Storage::File { "file" } else { "memory" }));
    set("retention", json!("limits"));
    set("discard", json!("old"));
    set("max_age", json!(spec.max_age.map_or(0, nanoseconds)));
    set("max_bytes", json!(spec.max_bytes.unwrap_or(-1)));
    set("max_msgs", json!(-1));
    set("max_msgs_per_subject", json!(spec.max_per_subject.unwrap_or(-1)));
    set("duplicate_window", json!(nanoseconds(spec.duplicate_window)));
    set("allow_direct", json!(true));
    set("allow_atomic", json!(spec.atomic));
    if let Some((source, destination)) = &spec.republish {
        set("republish", json!({ "src": source, "dest": destination }));
    }
    config
}

/// What in `have` is not as declared, one text a field.
fn differences(have: &Map<String, Value>, spec: &StreamSpec) -> Vec<String> {
    let mut wanted = wanted(spec);
    wanted.entry("republish").or_insert(Value::Null);
    wanted
        .into_iter()
        .filter_map(|(key, wanted)| {
            let have = have.get(&key).cloned().unwrap_or(Value::Null);
            let same = have == wanted || (have.is_null() && is_default(&wanted));
            (!same).then(|| format!("{key} ({have} instead of {wanted})"))
        })
        .collect()
}

/// The server leaves out what is at its default.
fn is_default(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false)) || value == &json!(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream;

    #[test]
    fn a_stream_as_declared_does_not_differ() {
        for spec in stream::all() {
            let mut config = wanted(&spec);
            assert_eq!(differences(&config, &spec), Vec::<String>::new());
            config.insert("num_replicas".to_owned(), json!(3));
            assert_eq!(differences(&config, &spec), Vec::<String>::new(), "an operator's own setting");
        }
    }

    #[test]
    fn defaults_that_the_server_leaves_out_are_no_difference() {
        let spec = stream::requests();
        let mut config = wanted(&spec);
        config.remove("allow_atomic");
        assert_eq!(differences(&config, &spec), Vec::<String>::new());
        assert_eq!(differences(&config, &stream::StreamSpec { atomic: true, ..spec }).len(), 1);
    }

    #[test]
    fn differences_are_named() {
        let spec = stream::log();
        let mut config = wanted(&spec);
        config.insert("storage".to_owned(), json!("memory"));
        let differences = differences(&config, &spec);
        assert_eq!(differences, ["storage (\"memory\" instead of \"file\")"]);
    }

    #[test]
    fn a_republish_that_is_not_wanted_differs() {
        let with = stream::log();
        let without = stream::StreamSpec { republish: None, ..stream::log() };
        assert_eq!(differences(&wanted(&with), &without).len(), 1);
    }
}
