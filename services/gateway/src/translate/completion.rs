//! `POST /v1/completions`.

use lowland_events::request::Posted;
use serde_json::Value;

use super::{
    Aliases, Generation, TextForm,
    fields::{Fields, missing, unsupported, wrong_type},
    sampling,
};
use crate::error::ApiError;

/// Tokens written when a plain completion doesn't say how many: OpenAI's default for this endpoint.
pub const COMPLETION_TOKENS_DEFAULT: u32 = 16;

/// Reads the body of a plain completion.
pub fn completion(body: &[u8]) -> Result<Generation, ApiError> {
    let mut fields = Fields::parse(body)?;
    let mut aliases = Aliases::default();
    let model = sampling::model(&mut fields)?;
    let prompt = Some(prompt(fields.take("prompt"))?);
    refuse(&mut fields)?;
    let mut posted = Posted { model, prompt, ..Posted::default() };
    sampling::read(&mut fields, &mut posted)?;
    let most = sampling::max_tokens(&mut fields, &["max_tokens"], &mut aliases)?;
    posted.max_tokens = Some(most.unwrap_or(COMPLETION_TOKENS_DEFAULT));
    posted.logprobs = fields.whole("logprobs", "a whole number from 0 to 20")?;
    let stream = sampling::stream(&mut fields)?;
    Ok(Generation { posted, form: TextForm::Completion, stream, aliases })
}

fn prompt(given: Option<Value>) -> Result<String, ApiError> {
    match given {
        None => Err(missing("prompt")),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Array(items)) => only_prompt(items),
        Some(other) => Err(wrong_type("prompt", "a string", &other)),
    }
}

/// A list is read if it holds one text: each prompt is a job of its own.
fn only_prompt(mut items: Vec<Value>) -> Result<String, ApiError> {
    match (items.len(), items.pop()) {
        (1, Some(Value::String(text))) => Ok(text),
        (_, Some(Value::Number(_) | Value::Array(_))) => {
            Err(unsupported("prompt", "send the text itself; tokens are not read"))
        }
        (_, Some(Value::String(_))) => Err(unsupported("prompt", "one prompt a request")),
        (_, Some(other)) => Err(wrong_type("prompt[0]", "a string", &other)),
        (_, None) => Err(missing("prompt")),
    }
}

fn refuse(fields: &mut Fields) -> Result<(), ApiError> {
    let one = |value: &Value| value.as_u64() == Some(1);
    let no = |value: &Value| *value == Value::Bool(false);
    fields.refuse_unless("best_of", one, "one choice is written")?;
    fields.refuse_unless("echo", no, "the prompt is not repeated")?;
    fields.refuse_unless(
        "suffix",
        |value| value.as_str() == Some(""),
        "text is only continued at its end",
    )?;
    sampling::refuse_choices(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(body: Value) -> Result<Generation, ApiError> {
        completion(body.to_string().as_bytes())
    }

    #[test]
    fn prompts_are_texts() {
        let asked = of(json!({"model": "m", "prompt": "Once", "logprobs": 2})).unwrap();
        assert_eq!(asked.posted.prompt.as_deref(), Some("Once"));
        assert_eq!(asked.posted.max_tokens, Some(COMPLETION_TOKENS_DEFAULT));
        assert_eq!(asked.posted.logprobs, Some(2));
        assert_eq!(
            of(json!({"model": "m", "prompt": ["One"]})).unwrap().posted.prompt.as_deref(),
            Some("One")
        );
    }

    #[test]
    fn other_prompts_are_refused() {
        for prompt in [json!(["a", "b"]), json!([1, 2]), json!([[1, 2]]), json!(7), json!([]), json!(null)] {
            let error = of(json!({"model": "m", "prompt": prompt})).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("prompt"), "{prompt}");
        }
        for (field, value) in
            [("echo", json!(true)), ("suffix", json!("x")), ("best_of", json!(3)), ("n", json!(2))]
        {
            let mut body = json!({"model": "m", "prompt": "a"});
            body[field] = value;
            assert_eq!(of(body).unwrap_err().param.as_deref(), Some(field));
        }
    }
}
