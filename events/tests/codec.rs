//! The codec, held to arbitrary input: whatever a type's schema allows is read and survives encoding, and no bytes at all
//! make it panic. Subjects likewise.

use std::collections::BTreeSet;

use bytes::Bytes;
use lowland_events::{
    Domain, Event, Filter, Subject,
    event::EventType,
    id::{AccountId, InstanceId, JobId, ModelId, ServiceId, WorkerId},
    schema::json_schema,
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

/// Deepest nesting that is made up.
const DEPTH_MAX: u32 = 8;

/// Makes up values that a schema allows.
struct Inventor {
    root: Value,
    dice: Vec<u32>,
    thrown: usize,
}

impl Inventor {
    /// A number below `sides`; the dice are thrown over and over.
    fn throw(&mut self, sides: usize) -> usize {
        self.thrown += 1;
        let dice = self.dice[self.thrown % self.dice.len()]
            .wrapping_mul(2_654_435_761)
            .rotate_left(self.thrown as u32 % 31);
        dice as usize % sides.max(1)
    }

    fn invent(&mut self, schema: &Value, depth: u32) -> Value {
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(pointer.trim_start_matches('#')).unwrap().clone();
            return self.invent(&target, depth);
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return values[self.throw(values.len())].clone();
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(choices) = schema.get(keyword).and_then(Value::as_array) {
                let choice = choices[self.throw(choices.len())].clone();
                let mut value = self.invent(&choice, depth + 1);
                if let (Value::Object(value), Value::Object(beside)) =
                    (&mut value, self.object(schema, depth))
                {
                    value.extend(beside);
                }
                return value;
            }
        }
        self.of_type(schema, depth)
    }

    fn of_type(&mut self, schema: &Value, depth: u32) -> Value {
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds[self.throw(kinds.len())].clone(),
            kind => kind.clone(),
        };
        match kind.as_str() {
            Some("null") => Value::Null,
            Some("boolean") => json!(self.throw(2) == 0),
            Some("integer") => self.integer(schema),
            Some("number") => json!(self.throw(2001) as f32 / 8.0 - 125.0),
            Some("string") => json!(self.string(schema)),
            Some("array") => self.array(schema, depth),
            Some("object") => self.object(schema, depth),
            other => panic!("a schema of type {other:?}: {schema}"),
        }
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let most = match schema["format"].as_str() {
            Some("uint8") => u64::from(u8::MAX),
            Some("uint16") => u64::from(u16::MAX),
            Some("uint32") => u64::from(u32::MAX),
            Some("int64") => i64::MAX as u64,
            Some("uint64") => u64::MAX,
            other => panic!("an integer of format {other:?}"),
        };
        match self.throw(4) {
            0 => json!(0),
            1 => json!(most),
            2 if schema["format"] == "int64" => json!(i64::MIN),
            _ => json!(self.throw(usize::MAX) as u64 % most),
        }
    }

    fn string(&mut self, schema: &Value) -> String {
        let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
        let length = least + self.throw(12);
        match schema["pattern"].as_str() {
            Some("^-?[0-9]+$") => {
                let sign = ["", "-"][self.throw(2)];
                format!(
                    "{sign}{}",
                    (0..=self.throw(38)).map(|_| self.throw(10).to_string()).collect::<String>()
                )
            }
            Some("^[A-Za-z0-9_-]+$") => self.letters(length, "aZ09_-"),
            None => self.letters(length, "aß你\u{1f30a}\"\\\n\0. "),
            other => panic!("a pattern of {other:?}"),
        }
    }

    fn letters(&mut self, length: usize, of: &str) -> String {
        let of: Vec<char> = of.chars().collect();
        (0..length).map(|_| of[self.throw(of.len())]).collect()
    }

    fn array(&mut self, schema: &Value, depth: u32) -> Value {
        if let Some(items) = schema.get("prefixItems").and_then(Value::as_array) {
            return items.iter().map(|item| self.invent(item, depth + 1)).collect();
        }
        let length = if depth > DEPTH_MAX { 0 } else { self.throw(4) };
        (0..length).map(|_| self.invent(&schema["items"], depth + 1)).collect()
    }

    fn object(&mut self, schema: &Value, depth: u32) -> Value {
        let mut fields = Map::new();
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(name.as_str()) || self.throw(2) == 0 {
                fields.insert(name.clone(), self.invent(field, depth + 1));
            }
        }
        if let Some(more @ Value::Object(_)) = schema.get("additionalProperties") {
            for _ in 0..self.throw(3) {
                let name = match schema.get("propertyNames") {
                    Some(names) => self.invent(names, depth + 1).as_str().unwrap().to_owned(),
                    None => self.letters(5, "abc_"),
                };
                fields.insert(name, self.invent(more, depth + 1));
            }
        }
        Value::Object(fields)
    }
}

fn types() -> Vec<&'static EventType> {
    Event::types().collect()
}

fn decode(event_type: &EventType, body: Vec<u8>) -> Result<Event, lowland_events::codec::BodyError> {
    Event::decode(event_type.domain, event_type.name, event_type.version, &Bytes::from(body))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_a_schema_allows_is_read_and_survives(dice in vec(any::<u32>(), 8..64), which in any::<prop::sample::Index>()) {
        let event_type = which.get(&types()).to_owned();
        let schema = json_schema(event_type);
        let value = Inventor { root: schema.clone(), dice, thrown: 0 }.invent(&schema, 0);
        let event = decode(event_type, rmp_serde::to_vec_named(&value).unwrap());
        let event = event.map_err(|error| TestCaseError::fail(format!("{}: {error}: {value}", event_type.ce_type())))?;
        let again = decode(event_type, event.encode().to_vec()).unwrap();
        prop_assert_eq!(&again, &event);
        prop_assert_eq!(again.encode(), event.encode());
        let json = decode(event_type, value.to_string().into_bytes()).unwrap();
        prop_assert_eq!(json, event, "JSON and MessagePack say the same");
    }

    #[test]
    fn no_bytes_make_decoding_panic(noise in vec(any::<u8>(), 0..300), first in 0_u8..3) {
        let mut body = vec![[0x81, 0xde, b'{'][usize::from(first)]];
        body.extend(&noise);
        for event_type in types() {
            let _ = decode(event_type, body.clone());
            let _ = decode(event_type, noise.clone());
        }
    }

    #[test]
    fn no_damage_makes_decoding_panic(
        dice in vec(any::<u32>(), 8..64),
        which in any::<prop::sample::Index>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<prop::sample::Index>(),
    ) {
        let event_type = which.get(&types()).to_owned();
        let schema = json_schema(event_type);
        let value = Inventor { root: schema.clone(), dice, thrown: 0 }.invent(&schema, 0);
        let mut body = rmp_serde::to_vec_named(&value).unwrap();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = decode(event_type, body.clone());
        body.truncate(keep.index(body.len()));
        let _ = decode(event_type, body);
    }

    #[test]
    fn a_subject_that_is_printed_is_read(a in "[A-Za-z0-9_-]{1,64}", b in "[A-Za-z0-9_-]{1,64}", attempt: u32) {
        let job = JobId::new(&b).unwrap();
        let account = AccountId::new(&a).unwrap();
        let subjects = [
            Subject::request(&account, &job, "posted"),
            Subject::job(&account, &job, "started"),
            Subject::job(&account, &job, "assigned").to_worker(&WorkerId::new(&a).unwrap()),
            Subject::token(&account, &job, attempt),
            Subject::account(&account, "charged"),
            Subject::instance(&ModelId::new(&a).unwrap(), &InstanceId::new(&b).unwrap(), "ready"),
            Subject::metric(&ServiceId::new(&a).unwrap(), &InstanceId::new(&b).unwrap(), "sampled"),
        ];
        for subject in subjects {
            prop_assert_eq!(&subject.to_string().parse::<Subject>().unwrap(), &subject);
            prop_assert!(subject.aggregate_filter().matches(&subject.to_string()));
            prop_assert!(Filter::domain(subject.domain()).matches(&subject.to_string()));
            prop_assert!(Filter::from(&subject).matches(&subject.to_string()));
        }
    }

    #[test]
    fn a_text_that_is_read_as_a_subject_prints_the_same(text in "(lowland\\.)?[a-zA-Z0-9_.*> -]{0,60}") {
        if let Ok(subject) = text.parse::<Subject>() {
            prop_assert_eq!(subject.to_string(), text);
        }
    }

    #[test]
    fn strangers_are_not_read_as_ids(text in "\\PC{0,80}") {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        prop_assert_eq!(JobId::new(&text).is_ok(), fits);
    }
}

#[test]
fn versions_and_names_from_elsewhere_are_kept_unread() {
    let body = Bytes::from_static(b"\x81\xa1a\x01");
    for domain in Domain::ALL {
        let Ok(Event::Unknown(unknown)) = Event::decode(domain, "never_heard_of", 1, &body) else {
            panic!("{domain}")
        };
        assert_eq!(unknown.body, body);
    }
    let newer = Event::decode(Domain::Job, "submitted", u16::MAX, &body).unwrap();
    assert!(matches!(newer, Event::Unknown(_)));
}
