//! An answer in one piece.

use lowland_events::job::Completed;
use serde_json::{Value, json};

use super::{Head, finish_reason, logprobs, usage};
use crate::translate::TextForm;

/// The answer of a completed job.
#[must_use]
pub fn whole(head: &Head, completed: &Completed) -> Value {
    let object = match head.form {
        TextForm::Chat => "chat.completion",
        TextForm::Completion => "text_completion",
    };
    let mut answer = head.fields(object);
    answer["choices"] = json!([choice(head.form, completed)]);
    answer["usage"] = usage(&completed.usage);
    answer
}

fn choice(form: TextForm, completed: &Completed) -> Value {
    let output = &completed.output;
    let asked = !output.logprobs.is_empty();
    let mut choice = json!({
        "index": 0,
        "logprobs": null,
        "finish_reason": finish_reason(completed.finish),
    });
    match form {
        TextForm::Chat => {
            choice["message"] = json!({"role": "assistant", "content": output.text, "refusal": null});
            choice["logprobs"] = asked.then(|| logprobs::chat(&output.logprobs)).into();
        }
        TextForm::Completion => {
            choice["text"] = json!(output.text);
            choice["logprobs"] = asked.then(|| logprobs::completion(&output.logprobs, 0)).into();
        }
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{
        Time,
        id::{InstanceId, JobId},
        job::{Finish, Output},
        meter::{Meter, Usage},
    };

    fn completed() -> Completed {
        Completed {
            instance: InstanceId::new("i").unwrap(),
            attempt: 1,
            finish: Finish::Length,
            output: Output { text: "hello".into(), tokens: vec![1, 2], ..Output::default() },
            usage: Usage::of([(Meter::InputTokens, 7), (Meter::CachedTokens, 3), (Meter::OutputTokens, 2)]),
        }
    }

    fn head(form: TextForm) -> Head {
        Head { job: JobId::new("j1").unwrap(), form, model: "m".into(), created: Time(1_700_000_000_900_000) }
    }

    #[test]
    fn chat_completion() {
        assert_eq!(
            whole(&head(TextForm::Chat), &completed()),
            json!({
                "id": "chatcmpl-j1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
                "choices": [{
                    "index": 0, "logprobs": null, "finish_reason": "length",
                    "message": {"role": "assistant", "content": "hello", "refusal": null},
                }],
                "usage": {
                    "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12,
                    "prompt_tokens_details": {"cached_tokens": 3},
                },
            })
        );
    }

    #[test]
    fn plain_completion() {
        let answer = whole(&head(TextForm::Completion), &completed());
        assert_eq!((&answer["id"], &answer["object"]), (&json!("cmpl-j1"), &json!("text_completion")));
        assert_eq!(answer["choices"][0]["text"], "hello");
        assert!(answer["choices"][0].get("message").is_none());
    }
}
