//! Log probabilities in the two shapes that OpenAI has for them.

use lowland_events::job::TokenLogprob;
use serde_json::{Map, Value, json};

/// What OpenAI writes for a probability of (nearly) zero: JSON has no infinity.
const LOGPROB_MIN: f32 = -9999.0;

/// The shape of chat completions.
pub(super) fn chat(logprobs: &[TokenLogprob]) -> Value {
    let content: Vec<Value> = logprobs
        .iter()
        .map(|token| {
            let top: Vec<Value> = token.top.iter().map(|(_, text, logprob)| entry(text, *logprob)).collect();
            let mut content = entry(&token.text, token.logprob);
            content["top_logprobs"] = Value::Array(top);
            content
        })
        .collect();
    json!({"content": content, "refusal": null})
}

/// The shape of plain completions; `chars_before` counts the characters of the text before these tokens.
pub(super) fn completion(logprobs: &[TokenLogprob], chars_before: usize) -> Value {
    let mut offset = chars_before;
    let mut offsets = Vec::with_capacity(logprobs.len());
    for token in logprobs {
        offsets.push(offset);
        offset += token.text.chars().count();
    }
    let top = |token: &TokenLogprob| -> Map<String, Value> {
        token.top.iter().map(|(_, text, logprob)| (text.clone(), number(*logprob))).collect()
    };
    json!({
        "tokens": logprobs.iter().map(|token| &token.text).collect::<Vec<_>>(),
        "token_logprobs": logprobs.iter().map(|token| number(token.logprob)).collect::<Vec<_>>(),
        "top_logprobs": logprobs.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

fn entry(text: &str, logprob: f32) -> Value {
    json!({"token": text, "logprob": number(logprob), "bytes": bytes(text)})
}

/// A token that is only a part of a character has no bytes that could be told from its text.
fn bytes(text: &str) -> Value {
    if text.contains(char::REPLACEMENT_CHARACTER) { Value::Null } else { json!(text.as_bytes()) }
}

/// The shortest decimal number that reads back as the same 32-bit float.
fn number(logprob: f32) -> Value {
    let finite = if logprob.is_finite() { logprob } else { LOGPROB_MIN };
    finite.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Vec<TokenLogprob> {
        let token = |text: &str, logprob, top: &[(u32, &str, f32)]| TokenLogprob {
            token: 1,
            text: text.into(),
            logprob,
            top: top.iter().map(|(token, text, logprob)| (*token, (*text).to_owned(), *logprob)).collect(),
        };
        vec![token("é", -0.1, &[(1, "é", -0.1), (2, "e", f32::NEG_INFINITY)]), token("\u{fffd}", -2.5, &[])]
    }

    #[test]
    fn chat_shape() {
        assert_eq!(
            chat(&tokens()),
            json!({"content": [
                {"token": "é", "logprob": -0.1, "bytes": [195, 169], "top_logprobs": [
                    {"token": "é", "logprob": -0.1, "bytes": [195, 169]},
                    {"token": "e", "logprob": -9999.0, "bytes": [101]},
                ]},
                {"token": "\u{fffd}", "logprob": -2.5, "bytes": null, "top_logprobs": []},
            ], "refusal": null})
        );
    }

    #[test]
    fn completion_shape() {
        assert_eq!(
            completion(&tokens(), 4),
            json!({
                "tokens": ["é", "\u{fffd}"],
                "token_logprobs": [-0.1, -2.5],
                "top_logprobs": [{"é": -0.1, "e": -9999.0}, {}],
                "text_offset": [4, 5],
            })
        );
    }
}
