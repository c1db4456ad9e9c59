//! An answer in pieces: OpenAI's chunks.

use lowland_events::{job::Finish, meter::Usage};
use serde_json::{Value, json};

use super::{Head, finish_reason, logprobs, usage};
use crate::{
    assemble::Delta,
    translate::{Stream, TextForm},
};

/// Writes the chunks of one answer.
#[derive(Debug, Clone)]
pub struct Chunks {
    head: Head,
    stream: Stream,
}

impl Chunks {
    /// Chunks of the answer that `head` describes.
    #[must_use]
    pub fn new(head: Head, stream: Stream) -> Self {
        Self { head, stream }
    }

    /// The first chunk, which says who speaks; plain completions have none.
    #[must_use]
    pub fn opening(&self) -> Option<Value> {
        let delta = json!({"role": "assistant", "content": "", "refusal": null});
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
        (self.head.form == TextForm::Chat).then(|| self.chunk(choice))
    }

    /// A piece of the text, unless there is nothing in it to show.
    #[must_use]
    pub fn piece(&self, delta: &Delta) -> Option<Value> {
        let asked = !delta.logprobs.is_empty();
        if delta.text.is_empty() && !asked {
            return None;
        }
        Some(self.chunk(match self.head.form {
            TextForm::Chat => json!({
                "index": 0,
                "delta": {"content": delta.text},
                "logprobs": asked.then(|| logprobs::chat(&delta.logprobs)),
                "finish_reason": null,
            }),
            TextForm::Completion => json!({
                "index": 0,
                "text": delta.text,
                "logprobs": asked.then(|| logprobs::completion(&delta.logprobs, delta.chars_before)),
                "finish_reason": null,
            }),
        }))
    }

    /// The chunk that says why the text ended.
    #[must_use]
    pub fn finish(&self, finish: Finish) -> Value {
        let reason = finish_reason(finish);
        self.chunk(match self.head.form {
            TextForm::Chat => json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason}),
            TextForm::Completion => {
                json!({"index": 0, "text": "", "logprobs": null, "finish_reason": reason})
            }
        })
    }

    /// The chunk without choices that tells the usage, if it was asked for.
    #[must_use]
    pub fn usage(&self, used: &Usage) -> Option<Value> {
        let mut chunk = self.bare();
        chunk["choices"] = json!([]);
        chunk["usage"] = usage(used);
        self.stream.include_usage.then_some(chunk)
    }

    fn chunk(&self, choice: Value) -> Value {
        let mut chunk = self.bare();
        chunk["choices"] = Value::Array(vec![choice]);
        if self.stream.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn bare(&self) -> Value {
        self.head.fields(match self.head.form {
            TextForm::Chat => "chat.completion.chunk",
            TextForm::Completion => "text_completion",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;
    use lowland_events::{Time, id::JobId, meter::Meter};

    fn chunks(form: TextForm, include_usage: bool) -> Chunks {
        let job = JobId::new("j1").unwrap();
        Chunks::new(Head { job, form, model: "m".into(), created: Time(5_000_000) }, Stream { include_usage })
    }

    fn delta(text: &str) -> Delta {
        Delta { end: Position::default(), chars_before: 0, text: text.into(), logprobs: Vec::new() }
    }

    #[test]
    fn a_chat_opens_with_its_role_and_ends_with_its_usage() {
        let chat = chunks(TextForm::Chat, true);
        let opening = chat.opening().unwrap();
        assert_eq!(opening["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(opening["usage"], Value::Null);
        assert_eq!(
            chat.piece(&delta("hi")).unwrap(),
            json!({
                "id": "chatcmpl-j1", "object": "chat.completion.chunk", "created": 5, "model": "m",
                "choices": [{"index": 0, "delta": {"content": "hi"}, "logprobs": null, "finish_reason": null}],
                "usage": null,
            })
        );
        assert_eq!(chat.finish(Finish::Stop)["choices"][0]["finish_reason"], "stop");
        let usage = chat.usage(&Usage::of([(Meter::InputTokens, 3), (Meter::OutputTokens, 4)])).unwrap();
        assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(7)));
    }

    #[test]
    fn a_plain_completion_is_text_only() {
        let plain = chunks(TextForm::Completion, false);
        assert_eq!(plain.opening(), None);
        let piece = plain.piece(&delta("hi")).unwrap();
        assert_eq!(
            (&piece["object"], &piece["choices"][0]["text"]),
            (&json!("text_completion"), &json!("hi"))
        );
        assert!(piece.get("usage").is_none());
        assert_eq!(plain.usage(&Usage::default()), None);
        assert_eq!(plain.piece(&delta("")), None, "nothing to show");
    }
}
