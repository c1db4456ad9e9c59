//! Whether readers of a schema's earlier state still read what is written by its later one, and the other way round: stored
//! events of a version never change, so under one version number the shape may only gain optional fields.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Deepest nesting that is compared; types that hold themselves end here.
const DEPTH_MAX: usize = 32;
/// Keywords that must stay as they are.
const FIXED: [&str; 12] = [
    "type",
    "const",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "additionalProperties",
];
/// Keywords that hold one schema.
const SINGLE: [&str; 4] = ["items", "additionalProperties", "propertyNames", "not"];
/// Keywords that hold a list of schemas.
const LISTS: [&str; 4] = ["oneOf", "anyOf", "allOf", "prefixItems"];

/// What in `new` breaks readers or stored events of `old`, one text a change; nothing, if it may replace it.
#[must_use]
pub fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison { old, new, found: Vec::new() };
    comparison.compare("", old, new, 0);
    comparison.found
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    found: Vec<String>,
}

impl Comparison<'_> {
    fn say(&mut self, path: &str, what: &str) {
        let path = if path.is_empty() { "the body" } else { path };
        self.found.push(format!("{path}: {what}"));
    }

    fn compare(&mut self, path: &str, old: &Value, new: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        let (old, new) = (resolve(self.old, old), resolve(self.new, new));
        let (Value::Object(old), Value::Object(new)) = (&old, &new) else {
            if old != new {
                self.say(path, &format!("was {old}, is {new}"));
            }
            return;
        };
        self.compare_fixed(path, old, new);
        self.compare_values(path, old, new);
        self.compare_fields(path, old, new, depth);
        for keyword in SINGLE {
            match (old.get(keyword), new.get(keyword)) {
                (Some(old), Some(new)) => self.compare(&format!("{path}[]"), old, new, depth + 1),
                (None, None) => {}
                _ => self.say(path, &format!("`{keyword}` came or went")),
            }
        }
        for keyword in LISTS {
            self.compare_list(path, keyword, old, new, depth);
        }
    }

    fn compare_fixed(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        for keyword in FIXED {
            let (old, new) = (old.get(keyword), new.get(keyword));
            let schema = |value: Option<&Value>| value.is_some_and(Value::is_object);
            if old != new && !(schema(old) && schema(new)) {
                let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                self.say(path, &format!("`{keyword}` was {}, is {}", show(old), show(new)));
            }
        }
    }

    /// The values of an enumeration: one that goes breaks stored events, one that comes breaks readers.
    fn compare_values(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let values = |schema: &Map<String, Value>| -> Option<BTreeSet<String>> {
            Some(schema.get("enum")?.as_array()?.iter().map(Value::to_string).collect())
        };
        match (values(old), values(new)) {
            (None, None) => {}
            (Some(old), Some(new)) => {
                for gone in old.difference(&new) {
                    self.say(path, &format!("value {gone} went"));
                }
                for come in new.difference(&old) {
                    self.say(path, &format!("value {come} came, which earlier readers do not know"));
                }
            }
            _ => self.say(path, "`enum` came or went"),
        }
    }

    fn compare_fields(
        &mut self,
        path: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        depth: usize,
    ) {
        let empty = Map::new();
        let fields =
            |schema: &Map<String, Value>| schema.get("properties").and_then(Value::as_object).cloned();
        let (old_fields, new_fields) = (fields(old).unwrap_or_default(), fields(new).unwrap_or(empty));
        let (old_required, new_required) = (required(old), required(new));
        for (name, field) in &old_fields {
            let path = format!("{path}.{name}");
            match new_fields.get(name) {
                Some(new) => self.compare(&path, field, new, depth + 1),
                None => self.say(&path, "the field went"),
            }
        }
        for name in new_required.difference(&old_required) {
            self.say(&format!("{path}.{name}"), "is required now, and stored events lack it");
        }
        for name in old_required.difference(&new_required).filter(|name| new_fields.contains_key(*name)) {
            self.say(&format!("{path}.{name}"), "is no longer required, and earlier readers need it");
        }
    }

    /// Alternatives and tuples: each must stay. Alternatives may change places, told apart by what they fix.
    fn compare_list(
        &mut self,
        path: &str,
        keyword: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        depth: usize,
    ) {
        let list = |schema: &Map<String, Value>| schema.get(keyword).and_then(Value::as_array).cloned();
        let (old, new) = (list(old).unwrap_or_default(), list(new).unwrap_or_default());
        if old.len() != new.len() {
            self.say(path, &format!("`{keyword}` had {} alternatives, has {}", old.len(), new.len()));
        }
        for (index, old) in old.iter().enumerate() {
            let same = new.iter().find(|new| keyword != "prefixItems" && tag(new) == tag(old));
            if let Some(new) = same.filter(|_| tag(old).is_some()).or_else(|| new.get(index)) {
                self.compare(&format!("{path}|{index}"), old, new, depth + 1);
            }
        }
    }
}

fn required(schema: &Map<String, Value>) -> BTreeSet<String> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// What tells an alternative from the others: its own constant, or those of its fields.
fn tag(schema: &Value) -> Option<String> {
    if let Some(constant) = schema.get("const") {
        return Some(constant.to_string());
    }
    let fields = schema.get("properties")?.as_object()?;
    let constants: Vec<String> = fields
        .iter()
        .filter_map(|(name, field)| field.get("const").map(|constant| format!("{name}={constant}")))
        .collect();
    (!constants.is_empty()).then(|| constants.join(","))
}

/// The schema that a reference within `root` stands for, with what stands beside the reference.
fn resolve(root: &Value, schema: &Value) -> Value {
    let mut schema = schema.clone();
    for _ in 0..DEPTH_MAX {
        let Some(pointer) =
            schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'))
        else {
            break;
        };
        let Some(Value::Object(target)) = root.pointer(pointer).cloned() else { break };
        let Value::Object(beside) = schema else { break };
        let beside = beside.into_iter().filter(|(key, _)| key != "$ref");
        schema = Value::Object(target.into_iter().chain(beside).collect());
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Value {
        json!({
            "type": "object",
            "properties": {
                "name": { "type": "string" },
                "kind": { "$ref": "#/$defs/Kind" },
                "count": { "type": "integer", "format": "uint32", "minimum": 0 },
                "note": { "type": ["string", "null"] },
                "task": { "oneOf": [
                    { "type": "object", "properties": { "is": { "const": "a" }, "x": { "type": "string" } } },
                    { "type": "object", "properties": { "is": { "const": "b" } } },
                ] },
            },
            "required": ["name", "kind"],
            "$defs": { "Kind": { "type": "string", "enum": ["one", "two"] } },
        })
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut new = body();
        change(&mut new);
        breaks(&body(), &new)
    }

    #[test]
    fn optional_fields_and_words_for_people_may_come() {
        assert_eq!(changed(|_| {}), Vec::<String>::new());
        assert_eq!(
            changed(|new| new["properties"]["more"] = json!({ "type": "string" })),
            Vec::<String>::new()
        );
        assert_eq!(
            changed(|new| new["properties"]["name"]["description"] = json!("a name")),
            Vec::<String>::new()
        );
        let moved = changed(|new| {
            let alternatives = new["properties"]["task"]["oneOf"].as_array_mut().unwrap();
            alternatives.reverse();
        });
        assert_eq!(moved, Vec::<String>::new());
    }

    #[test]
    fn every_breaking_change_is_named() {
        type Change = (&'static str, fn(&mut Value));
        let changes: [Change; 13] = [
            (".note", |new| drop(new["properties"].as_object_mut().unwrap().remove("note"))),
            (".fresh", |new| {
                new["properties"]["fresh"] = json!({ "type": "string" });
                new["required"] = json!(["name", "kind", "fresh"]);
            }),
            (".note", |new| new["required"] = json!(["name", "kind", "note"])),
            (".kind", |new| new["required"] = json!(["name"])),
            (".note", |new| new["properties"]["note"]["type"] = json!("string")),
            (".name", |new| new["properties"]["name"]["type"] = json!("integer")),
            (".name", |new| new["properties"]["name"]["maxLength"] = json!(5)),
            (".count", |new| new["properties"]["count"]["minimum"] = json!(1)),
            (".count", |new| new["properties"]["count"]["format"] = json!("uint8")),
            (".kind", |new| new["$defs"]["Kind"]["enum"] = json!(["one"])),
            (".kind", |new| new["$defs"]["Kind"]["enum"] = json!(["one", "two", "three"])),
            (".task", |new| drop(new["properties"]["task"]["oneOf"].as_array_mut().unwrap().pop())),
            (".task|0.x", |new| {
                new["properties"]["task"]["oneOf"][0]["properties"]["x"]["type"] = json!("integer");
            }),
        ];
        for (index, (path, change)) in changes.into_iter().enumerate() {
            let found = changed(change);
            assert!(found.iter().any(|text| text.starts_with(path)), "change {index}: {found:?}");
        }
    }

    #[test]
    fn a_renamed_field_is_one_that_went() {
        let renamed = changed(|new| {
            let fields = new["properties"].as_object_mut().unwrap();
            let note = fields.remove("note").unwrap();
            fields.insert("remark".to_owned(), note);
        });
        assert_eq!(renamed, [".note: the field went"]);
    }

    #[test]
    fn types_that_hold_themselves_are_compared_and_end() {
        let tree = json!({
            "$ref": "#/$defs/Tree",
            "$defs": { "Tree": { "type": "object", "properties": { "left": { "$ref": "#/$defs/Tree" } } } },
        });
        assert_eq!(breaks(&tree, &tree), Vec::<String>::new());
    }
}
