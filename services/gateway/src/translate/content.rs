//! A conversation's turns: roles, and content as one text or as text parts.

use lowland_events::job::Message;
use serde_json::{Map, Value};

use super::fields::{missing, unsupported, wrong_type};
use crate::error::ApiError;

/// Reads `messages`.
pub(super) fn messages(given: Option<Value>) -> Result<Vec<Message>, ApiError> {
    match given {
        None => Err(missing("messages")),
        Some(Value::Array(items)) if items.is_empty() => {
            Err(ApiError::parameter("invalid_value", "messages", "'messages' must not be empty"))
        }
        Some(Value::Array(items)) => {
            items.into_iter().enumerate().map(|(i, item)| message(&format!("messages[{i}]"), item)).collect()
        }
        Some(other) => Err(wrong_type("messages", "an array of messages", &other)),
    }
}

fn message(path: &str, item: Value) -> Result<Message, ApiError> {
    let Value::Object(mut fields) = item else {
        return Err(wrong_type(path, "an object with 'role' and 'content'", &item));
    };
    refuse_tools(path, &fields)?;
    let role = role(path, &fields)?;
    let content = content(&format!("{path}.content"), fields.remove("content"))?;
    Ok(Message { role, content })
}

/// The role that a model's template knows: `developer` is OpenAI's newer word for `system`.
fn role(path: &str, fields: &Map<String, Value>) -> Result<String, ApiError> {
    let path = format!("{path}.role");
    match fields.get("role") {
        None | Some(Value::Null) => Err(missing(&path)),
        Some(Value::String(role)) => match role.as_str() {
            "developer" => Ok("system".to_owned()),
            "system" | "user" | "assistant" => Ok(role.clone()),
            "tool" | "function" => Err(unsupported(&path, "tools can't be called")),
            other => {
                let message = format!(
                    "invalid value for '{path}': {other:?}; expected one of system, developer, user, assistant"
                );
                Err(ApiError::parameter("invalid_value", path, message))
            }
        },
        Some(other) => Err(wrong_type(&path, "a string", other)),
    }
}

fn refuse_tools(path: &str, fields: &Map<String, Value>) -> Result<(), ApiError> {
    let given = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    match ["tool_calls", "function_call", "audio"].into_iter().find(|name| given(name)) {
        Some(name) => Err(unsupported(&format!("{path}.{name}"), "messages are text only")),
        None => Ok(()),
    }
}

fn content(path: &str, given: Option<Value>) -> Result<String, ApiError> {
    match given {
        None | Some(Value::Null) => Err(missing(path)),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Array(parts)) => {
            parts.into_iter().enumerate().map(|(i, item)| part(&format!("{path}[{i}]"), item)).collect()
        }
        Some(other) => Err(wrong_type(path, "a string or an array of text parts", &other)),
    }
}

/// A part's text; parts follow each other with nothing in between, as they do at OpenAI.
fn part(path: &str, item: Value) -> Result<String, ApiError> {
    let Value::Object(mut fields) = item else {
        return Err(wrong_type(path, "an object with 'type' and 'text'", &item));
    };
    let name = match fields.get("type").and_then(Value::as_str) {
        Some("text" | "input_text") => "text",
        Some("refusal") => "refusal",
        Some(other) => {
            return Err(unsupported(
                &format!("{path}.type"),
                &format!("only text parts are read, not {other:?}"),
            ));
        }
        None => return Err(missing(&format!("{path}.type"))),
    };
    match fields.remove(name) {
        Some(Value::String(text)) => Ok(text),
        None | Some(Value::Null) => Err(missing(&format!("{path}.{name}"))),
        Some(other) => Err(wrong_type(&format!("{path}.{name}"), "a string", &other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_parts_become_one_text() {
        let given = json!([
            {"role": "developer", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c", "tool_calls": []},
        ]);
        let turns: Vec<_> = messages(Some(given)).unwrap().into_iter().map(|m| (m.role, m.content)).collect();
        let wanted = [("system", "be brief"), ("user", "ab"), ("assistant", "c")];
        assert_eq!(turns, wanted.map(|(role, content)| (role.to_owned(), content.to_owned())));
    }

    #[test]
    fn errors_name_the_place() {
        let table = [
            (json!([]), "messages"),
            (json!("hi"), "messages"),
            (json!(["hi"]), "messages[0]"),
            (json!([{"content": "a"}]), "messages[0].role"),
            (json!([{"role": "robot", "content": "a"}]), "messages[0].role"),
            (json!([{"role": "tool", "content": "a"}]), "messages[0].role"),
            (json!([{"role": "user"}]), "messages[0].content"),
            (json!([{"role": "user", "content": 7}]), "messages[0].content"),
            (json!([{"role": "user", "content": [{"type": "image_url"}]}]), "messages[0].content[0].type"),
            (json!([{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text"),
            (
                json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [{}]}]),
                "messages[1].tool_calls",
            ),
        ];
        for (given, param) in table {
            let error = messages(Some(given)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
        }
        assert_eq!(messages(None).unwrap_err().code, "missing_required_parameter");
    }
}
