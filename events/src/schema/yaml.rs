//! JSON values as YAML, in block style: the little of YAML that a document needs to be pleasant to read.

use serde_json::Value;

/// Writes `value` as a YAML document.
#[must_use]
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                indent(out, depth);
                out.push_str(&word(key));
                out.push(':');
                after(out, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(out, depth);
                out.push('-');
                after(out, item, depth + 1);
            }
        }
        flat => out.push_str(&scalar(flat)),
    }
}

/// A value behind its key or dash: on the same line if it fits there, else below.
fn after(out: &mut String, value: &Value, depth: usize) {
    let nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        block(out, value, depth);
    } else {
        out.push(' ');
        out.push_str(&scalar(value));
        out.push('\n');
    }
}

fn indent(out: &mut String, depth: usize) {
    out.push_str(&"  ".repeat(depth));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        other => other.to_string(),
    }
}

/// A string, quoted unless it is plainly a word: JSON's quotation is YAML's as well.
fn word(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn structure_shows_as_indentation() {
        let value = json!({"a": {"b": [1, {"c": "x y"}], "d": {}}, "e": [], "f": null});
        assert_eq!(yaml(&value), "a:\n  b:\n    - 1\n    -\n      c: \"x y\"\n  d: {}\ne: []\nf: null\n");
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        for text in ["3.0.0", "true", "No", "", "a: b", "#", "é", "line\nbreak", "- x", "null"] {
            assert!(word(text).starts_with('"'), "{text}");
        }
        assert_eq!(word("application/msgpack"), "application/msgpack");
    }
}
