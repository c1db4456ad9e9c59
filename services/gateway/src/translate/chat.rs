//! `POST /v1/chat/completions`.

use lowland_events::request::Posted;
use serde_json::Value;

use super::{
    Aliases, Generation, TextForm, content,
    fields::{Fields, missing},
    sampling,
};
use crate::error::ApiError;

/// Reads the body of a chat completion.
pub fn chat(body: &[u8]) -> Result<Generation, ApiError> {
    let mut fields = Fields::parse(body)?;
    let mut aliases = Aliases::default();
    let model = sampling::model(&mut fields)?;
    let messages = Some(content::messages(fields.take("messages"))?);
    refuse(&mut fields)?;
    let mut posted = Posted { model, messages, ..Posted::default() };
    sampling::read(&mut fields, &mut posted)?;
    posted.max_tokens =
        sampling::max_tokens(&mut fields, &["max_completion_tokens", "max_tokens"], &mut aliases)?;
    posted.logprobs = logprobs(&mut fields, &mut aliases)?;
    let stream = sampling::stream(&mut fields)?;
    Ok(Generation { posted, form: TextForm::Chat, stream, aliases })
}

/// `logprobs` says whether, `top_logprobs` how many alternatives.
fn logprobs(fields: &mut Fields, aliases: &mut Aliases) -> Result<Option<u8>, ApiError> {
    aliases.note("logprobs", "top_logprobs");
    let wanted = fields.flag("logprobs")?.unwrap_or(false);
    let top = fields.whole::<u8>("top_logprobs", "a whole number from 0 to 20")?;
    match (wanted, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => {
            let message = "'top_logprobs' is only allowed when 'logprobs' is true";
            Err(ApiError { message: message.into(), ..missing("logprobs") })
        }
    }
}

/// Refuses what would change the answer and can't be honoured.
fn refuse(fields: &mut Fields) -> Result<(), ApiError> {
    const NO_TOOLS: &str = "tools can't be called";
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let one_of = |words: &'static [&'static str]| {
        move |value: &Value| value.as_str().is_some_and(|word| words.contains(&word))
    };
    let text_only = |value: &Value| *value == serde_json::json!(["text"]);
    let text_format = |value: &Value| value.get("type").and_then(Value::as_str) == Some("text");
    fields.refuse_unless("tools", empty, NO_TOOLS)?;
    fields.refuse_unless("functions", empty, NO_TOOLS)?;
    fields.refuse_unless("tool_choice", one_of(&["none", "auto"]), NO_TOOLS)?;
    fields.refuse_unless("function_call", one_of(&["none", "auto"]), NO_TOOLS)?;
    fields.refuse_unless("response_format", text_format, "only {\"type\":\"text\"} is written")?;
    fields.refuse_unless("modalities", text_only, "only text is written")?;
    fields.refuse_unless("audio", |_| false, "only text is written")?;
    fields.refuse_unless("web_search_options", |_| false, "nothing is searched")?;
    fields.refuse_unless(
        "reasoning_effort",
        one_of(&["none"]),
        "no model here reasons apart from its answer",
    )?;
    fields.refuse_unless(
        "verbosity",
        one_of(&["medium"]),
        "say in the prompt how long the answer should be",
    )?;
    sampling::refuse_choices(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::Stream;
    use lowland_events::request::OneOrMany;
    use serde_json::json;

    fn with(more: Value) -> Result<Generation, ApiError> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        chat(body.to_string().as_bytes())
    }

    #[test]
    fn every_parameter_is_carried() {
        let asked = with(json!({
            "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1,
            "presence_penalty": 0.25, "frequency_penalty": -0.25, "seed": -1, "stop": ["a", "b"],
            "max_completion_tokens": 7, "logprobs": true, "top_logprobs": 3, "regions": ["eu"],
            "deadline_ms": 5000, "stream": true, "stream_options": {"include_usage": true},
            "n": 1, "user": "u", "metadata": {}, "store": true, "tools": [], "something_new": {"a": 1},
            "response_format": {"type": "text"},
        }))
        .unwrap();
        let posted = &asked.posted;
        assert_eq!((posted.temperature, posted.top_p, posted.top_k), (Some(0.5), Some(0.9), Some(40)));
        assert_eq!((posted.min_p, posted.repetition_penalty), (Some(0.05), Some(1.1)));
        assert_eq!((posted.presence_penalty, posted.frequency_penalty), (Some(0.25), Some(-0.25)));
        assert_eq!((posted.seed, posted.max_tokens, posted.logprobs), (Some(u64::MAX), Some(7), Some(3)));
        assert_eq!(posted.stop, Some(OneOrMany::Many(vec!["a".into(), "b".into()])));
        assert_eq!((posted.regions.as_slice(), posted.deadline_ms), (&["eu".to_owned()][..], Some(5000)));
        assert_eq!(asked.stream, Some(Stream { include_usage: true }));
        assert_eq!(asked.aliases.as_asked("max_tokens"), "max_completion_tokens");
        assert_eq!(asked.aliases.as_asked("logprobs"), "top_logprobs");
    }

    #[test]
    fn what_changes_the_answer_is_refused() {
        let table = [
            (json!({"tools": [{"type": "function"}]}), "tools"),
            (json!({"tool_choice": "required"}), "tool_choice"),
            (json!({"functions": [{}]}), "functions"),
            (json!({"response_format": {"type": "json_object"}}), "response_format"),
            (json!({"logit_bias": {"50256": -100}}), "logit_bias"),
            (json!({"n": 2}), "n"),
            (json!({"modalities": ["text", "audio"]}), "modalities"),
            (json!({"reasoning_effort": "high"}), "reasoning_effort"),
        ];
        for (more, param) in table {
            let error = with(more).unwrap_err();
            assert_eq!((error.code, error.param.as_deref()), ("unsupported_parameter", Some(param)));
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let table = [
            (json!({"top_logprobs": 2}), "logprobs"),
            (json!({"stream_options": {"include_usage": true}}), "stream_options"),
            (json!({"stream": true, "stream_options": {"include_usage": 1}}), "stream_options.include_usage"),
            (json!({"max_tokens": 2, "max_completion_tokens": 3}), "max_tokens"),
            (json!({"max_tokens": -2}), "max_tokens"),
            (json!({"temperature": "hot"}), "temperature"),
            (json!({"model": ""}), "model"),
            (json!({"regions": "eu"}), "regions"),
        ];
        for (more, param) in table {
            assert_eq!(with(more).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn the_least_request_sets_nothing_else() {
        let asked = with(json!({})).unwrap();
        assert_eq!((asked.posted.max_tokens, asked.posted.logprobs, asked.stream), (None, None, None));
        let error = chat(b"{\"messages\":[]}").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("model"));
    }
}
