//! What templates expect of the engine that runs them, beyond Jinja itself.

use std::error::Error as _;

use jiff::Zoned;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// Widest indentation that `tojson` writes, in spaces.
const INDENT_MAX: usize = 16;

/// Adds `raise_exception` and `tojson`.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter("tojson", tojson);
}

/// `strftime_now(format)`, for a now that the caller gives.
pub(super) fn strftime_now(now: Zoned) -> Value {
    Value::from_function(move |format: String| {
        let text = jiff::fmt::strtime::format(format.as_bytes(), &now);
        text.map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
    })
}

/// The message that a template raised, when that is what the error is about.
pub(super) fn raised(error: &Error) -> Option<&str> {
    error.source()?.downcast_ref::<Raised>().map(|Raised(message)| message.as_str())
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "the template raised an exception")
        .with_source(Raised(message)))
}

/// JSON as Python's `json.dumps` spaces it, with nothing escaped for HTML: it is for a model to read, not a browser.
fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Python's other options that templates pass change nothing here.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let json = match indent {
        Some(indent) => {
            write(value, PrettyFormatter::with_indent(" ".repeat(indent.min(INDENT_MAX)).as_bytes()))
        }
        None => write(value, Spaced),
    };
    let json = json.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from_safe_string(json))
}

fn write(value: &Value, formatter: impl Formatter) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, formatter))?;
    Ok(String::from_utf8(out).expect("JSON is UTF-8"))
}

/// `[1, 2]` and `{"a": 1}`.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}
