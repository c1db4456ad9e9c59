//! The one place that starts logging: to standard error, as text for people or as one JSON object a line. Either way a line
//! that is about a job carries `account`, `job` and `trace_id`, whether the line itself or what surrounds it says them.

use std::{fmt, io::IsTerminal};

use lowland_events::id::InstanceId;
use serde_json::{Map, Value, json};
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::{LookupSpan, Scope},
};

use crate::Error;

/// Starts logging: `filter` as tracing's directives (`info`, `lowland_events=debug`), JSON lines if asked for, each with the
/// name of the `service` and its process.
pub fn init(filter: &str, json: bool, service: &str, instance: &InstanceId) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Error::Other(format!("LOWLAND_LOG={filter:?}: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = if json {
        let lines = JsonLines { service: service.to_owned(), instance: instance.to_string() };
        builder.fmt_fields(JsonFields::new()).event_format(lines).try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| Error::Other(error.to_string()))
}

/// One flat JSON object a line.
struct JsonLines {
    service: String,
    instance: String,
}

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    JsonFields: for<'a> FormatFields<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Map::from_iter([
            ("timestamp".to_owned(), json!(time)),
            ("level".to_owned(), json!(event.metadata().level().as_str())),
            ("service".to_owned(), json!(self.service)),
            ("instance".to_owned(), json!(self.instance)),
            ("target".to_owned(), json!(event.metadata().target())),
        ]);
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields =
                fields.and_then(|fields| serde_json::from_str::<Map<String, Value>>(&fields.fields).ok());
            line.extend(fields.unwrap_or_default());
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// What stands on every line, and is not overwritten.
const OWN: [&str; 5] = ["timestamp", "level", "service", "instance", "target"];

/// A line's own fields, which come before those of what surrounds it.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn set(&mut self, field: &tracing::field::Field, value: Value) {
        // Who says it is not for the line to say.
        let name = if OWN.contains(&field.name()) {
            format!("its_{}", field.name())
        } else {
            field.name().to_owned()
        };
        self.0.insert(name, value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.set(field, json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.set(field, json!(value));
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.set(field, json!(value));
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.set(field, json!(value));
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.set(field, json!(value));
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.set(field, json!(value));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_json_line_says_who_and_what_it_is_about() {
        let lines = Lines::default();
        let writer = lines.clone();
        let format = JsonLines { service: "worker".into(), instance: "worker-1".into() };
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(format)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!("attempt", account = "acme", job = tracing::field::Empty);
            span.record("job", "j1");
            let _inside = span.enter();
            tracing::warn!(attempt = 2, instance = "w1-1", late = true, error = %"a \"quoted\" text", "it failed");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        for (name, value) in [
            ("level", json!("WARN")),
            ("service", json!("worker")),
            ("instance", json!("worker-1")),
            ("its_instance", json!("w1-1")),
            ("account", json!("acme")),
            ("job", json!("j1")),
            ("attempt", json!(2)),
            ("late", json!(true)),
            ("error", json!("a \"quoted\" text")),
            ("message", json!("it failed")),
        ] {
            assert_eq!(line[name], value, "{name} in {text}");
        }
    }
}
