//! From the price book's text to a [`Book`], gathering every problem with its line, its entry and what would be right.

use std::collections::{BTreeMap, BTreeSet};

use lowland_events::{
    Money, Time,
    id::ModelId,
    meter::{Meter, Rates},
};
use serde::{
    Deserialize,
    de::value::{Error as VariantError, StrDeserializer},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ANY_MODEL, Book, RATE_MAX, Version,
    reader::{Problem, Reader},
};

/// Longest version id, in bytes.
const VERSION_ID_BYTES_MAX: usize = 64;

/// Reads a whole book.
pub(super) fn book(text: &str) -> Result<Book, Vec<Problem>> {
    let mut reader = Reader { text, problems: Vec::new() };
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            reader.problem(&error.span().unwrap_or_default(), "", format!("not TOML: {}", error.message()));
            return Err(reader.problems);
        }
    };
    let book = reader.root(root.get_ref());
    if reader.problems.is_empty() { Ok(book) } else { Err(reader.problems) }
}

/// Versions read so far: ids that are taken, and the versions by time.
#[derive(Default)]
struct Versions {
    ids: BTreeSet<String>,
    by_time: BTreeMap<Time, Version>,
}

impl Reader<'_> {
    fn root(&mut self, root: &DeTable<'_>) -> Book {
        self.only_known(root, "", &["currency", "version"]);
        let currency = match root.get("currency") {
            Some(value) => self.string(value, "currency", "\"EUR\"").unwrap_or_default(),
            None => {
                self.problem(
                    &(0..0),
                    "currency",
                    "is missing; say what amounts are in, such as currency = \"EUR\"",
                );
                String::new()
            }
        };
        Book { currency, versions: self.versions(root).by_time }
    }

    fn versions(&mut self, root: &DeTable<'_>) -> Versions {
        let mut versions = Versions::default();
        match root.get("version") {
            Some(list) => match list.get_ref().as_array() {
                Some(tables) => {
                    for (index, table) in tables.iter().enumerate() {
                        self.version(table, &format!("version[{index}]"), &mut versions);
                    }
                }
                None => self.problem(&list.span(), "version", "begin each version with [[version]]"),
            },
            None => self.problem(&(0..0), "version", "there is none; begin one with [[version]]"),
        }
        versions
    }

    fn version(&mut self, value: &Spanned<DeValue<'_>>, entry: &str, versions: &mut Versions) {
        let Some(table) = value.get_ref().as_table() else {
            return self.problem(&value.span(), entry, "begin each version with [[version]]");
        };
        self.only_known(table, entry, &["id", "effective", "models"]);
        let id = self.version_id(value, table, entry, versions);
        let effective = self.effective(value, table, entry);
        let models = self.models(value, table, entry);
        let (Some(id), Some(effective)) = (id, effective) else { return };
        if let Some(other) = versions.by_time.get(&effective) {
            let message = format!("version {:?} takes effect at the same time; choose another", other.id);
            return self.problem(&value.span(), &format!("{entry}.effective"), message);
        }
        versions.by_time.insert(effective, Version { id, models });
    }

    fn version_id(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        table: &DeTable<'_>,
        entry: &str,
        versions: &mut Versions,
    ) -> Option<String> {
        let entry = format!("{entry}.id");
        let example = "\"2026-01\"";
        let given = self.wanted(table, "id", &value.span(), &entry, example)?;
        let id = self.string(given, &entry, example)?;
        if id.len() > VERSION_ID_BYTES_MAX {
            self.problem(&given.span(), &entry, format!("is longer than {VERSION_ID_BYTES_MAX} bytes"));
        } else if !versions.ids.insert(id.clone()) {
            let message = format!("{id:?} names an earlier version; each needs an id of its own");
            self.problem(&given.span(), &entry, message);
        }
        Some(id)
    }

    fn effective(&mut self, value: &Spanned<DeValue<'_>>, table: &DeTable<'_>, entry: &str) -> Option<Time> {
        let entry = format!("{entry}.effective");
        let example = "\"2026-01-01T00:00:00Z\"";
        let given = self.wanted(table, "effective", &value.span(), &entry, example)?;
        let text = match given.get_ref() {
            DeValue::Datetime(time) => time.to_string(),
            _ => self.string(given, &entry, example)?,
        };
        let time = text.parse();
        if let Err(error) = &time {
            let message = format!("{text:?} is not a time with its offset ({error}); write {example}");
            self.problem(&given.span(), &entry, message);
        }
        time.ok()
    }

    fn models(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        table: &DeTable<'_>,
        entry: &str,
    ) -> BTreeMap<String, Rates> {
        let entry = format!("{entry}.models");
        let hint = "write [version.models.<model id>] with at least one rate";
        let Some(given) = table.get("models") else {
            self.problem(&value.span(), &entry, format!("are missing; {hint}"));
            return BTreeMap::new();
        };
        let Some(models) = given.get_ref().as_table().filter(|models| !models.is_empty()) else {
            self.problem(&given.span(), &entry, hint);
            return BTreeMap::new();
        };
        models.iter().map(|(name, rates)| self.model(name, rates, &entry)).collect()
    }

    fn model(
        &mut self,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        rates: &Spanned<DeValue<'_>>,
        entry: &str,
    ) -> (String, Rates) {
        let model = name.get_ref().to_string();
        let entry = format!("{entry}.{model}");
        if model != ANY_MODEL
            && let Err(error) = ModelId::new(&model)
        {
            self.problem(&name.span(), &entry, format!("{error}; or \"{ANY_MODEL}\" for every other model"));
        }
        (model, self.rates(rates, &entry))
    }

    fn rates(&mut self, value: &Spanned<DeValue<'_>>, entry: &str) -> Rates {
        let Some(table) = value.get_ref().as_table().filter(|table| !table.is_empty()) else {
            self.problem(
                &value.span(),
                entry,
                "has no rate; write at least one, such as input_tokens = \"0.02\"",
            );
            return Rates::default();
        };
        let mut rates = Rates::default();
        for (name, rate) in table {
            let entry = format!("{entry}.{}", name.get_ref());
            let meter = Meter::deserialize(StrDeserializer::<VariantError>::new(name.get_ref()));
            match meter {
                Ok(meter) => {
                    rates.0.extend(self.rate(rate, &entry).map(|rate| (meter, rate)));
                }
                Err(error) => self.problem(&name.span(), &entry, format!("is no meter: {error}")),
            }
        }
        rates
    }

    fn rate(&mut self, value: &Spanned<DeValue<'_>>, entry: &str) -> Option<Money> {
        let example = "\"0.02\"";
        let text = self.string(value, entry, example)?;
        let rate = Money::from_units(&text).ok();
        let message = match rate {
            None => format!(
                "{text:?} is not a rate; write units of the currency for a million, at most six decimals, such as {example}"
            ),
            Some(rate) if rate < Money::ZERO => {
                format!("{text:?} is below zero; write a rate such as {example}")
            }
            Some(rate) if rate > RATE_MAX => format!("{text:?} is more than {}", RATE_MAX.to_units()),
            Some(_) => return rate,
        };
        self.problem(&value.span(), entry, message);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every problem of `text`, as people read them.
    fn problems(text: &str) -> Vec<String> {
        book(text).unwrap_err().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn every_problem_is_told_with_its_line_and_what_would_be_right() {
        let text = r#"currency = 3
colour = "red"
[[version]]
id = "a"
effective = "yesterday"
[version.models.m]
input_tokens = 0.02
output_tokens = "-1"
tokens = "1"
cached_tokens = "0.0000001"
[version.models."no.dots"]
images = "9999999999"
[[version]]
id = "a"
effective = "2026-01-01T00:00:00Z"
models = {}
"#;
        let expected = [
            ("line 2: colour", "known are currency, version"),
            ("line 1: currency", "\"EUR\""),
            ("line 5: version[0].effective", "2026-01-01T00:00:00Z"),
            ("line 7: version[0].models.m.input_tokens", "quotation marks"),
            ("line 8: version[0].models.m.output_tokens", "below zero"),
            ("line 9: version[0].models.m.tokens", "expected one of `input_tokens`"),
            ("line 10: version[0].models.m.cached_tokens", "at most six decimals"),
            ("line 11: version[0].models.no.dots", "contains '.'"),
            ("line 12: version[0].models.no.dots.images", "more than 1000000000.000000"),
            ("line 14: version[1].id", "names an earlier version"),
            ("line 16: version[1].models", "at least one rate"),
        ];
        let told = problems(text);
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (place, right) in expected {
            assert!(
                told.iter().any(|line| line.starts_with(place) && line.contains(right)),
                "{place}: {told:#?}"
            );
        }
    }

    #[test]
    fn an_empty_book_says_what_belongs_into_it() {
        let told = problems("");
        assert!(told[0].contains("currency = \"EUR\"") && told[1].contains("[[version]]"), "{told:?}");
    }

    #[test]
    fn what_is_not_toml_says_where() {
        let told = problems("currency = \"EUR\"\n[[version]\n");
        assert!(told.len() == 1 && told[0].starts_with("line 2: not TOML"), "{told:?}");
    }

    #[test]
    fn two_versions_cannot_take_effect_at_once() {
        let version = |id: &str| {
            format!("[[version]]\nid = \"{id}\"\neffective = 2026-01-01T00:00:00Z\nmodels.m.images = \"1\"\n")
        };
        let told = problems(&format!("currency = \"EUR\"\n{}{}", version("a"), version("b")));
        assert!(
            told.len() == 1 && told[0].contains("version \"a\" takes effect at the same time"),
            "{told:?}"
        );
    }

    #[test]
    fn a_toml_time_needs_its_offset() {
        let text =
            "currency = \"EUR\"\n[[version]]\nid = \"a\"\neffective = 2026-01-01\nmodels.m.images = \"1\"\n";
        assert!(problems(text)[0].contains("version[0].effective"));
    }
}
