//! An OTLP receiver in this process: it takes traces as a collector does, by HTTP in protobuf, and keeps them to be asked.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, status::StatusCode as Code},
};
use prost::Message;
use tokio::{net::TcpListener, runtime::Runtime};

/// Longest wait for spans: they are sent after a second at most, and a lost worker is noticed after its lease.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A span as it was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Name of the service that told it.
    pub service: String,
    /// The process that told it.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// What it is a part of; empty for a root.
    pub parent: String,
    /// When it began, in nanoseconds since the epoch.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// OTLP's number for its kind: 1 internal, 2 server, 4 producer, 5 consumer.
    pub kind: i32,
    /// Whether its status is an error.
    pub failed: bool,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Ids of spans that it is linked to.
    pub links: Vec<String>,
}

impl Seen {
    /// An attribute; empty if it is absent.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

type Store = Arc<Mutex<Vec<Seen>>>;

/// A receiver at work; it stops when it is dropped.
pub struct Collector {
    address: SocketAddr,
    seen: Store,
    _runtime: Runtime,
}

impl Collector {
    /// Starts one on a free port.
    #[must_use]
    pub fn start() -> Self {
        let builder = &mut tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Store::default();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&seen));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { address, seen, _runtime: runtime }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to say.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was received.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans of a trace, in the order in which they began, once `enough` says that they are.
    #[must_use]
    pub fn trace(&self, trace: &str, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let until = Instant::now() + SEEN_WITHIN;
        loop {
            let mut spans = self.seen();
            spans.retain(|span| span.trace == trace);
            spans.sort_by_key(|span| (span.start, span.end));
            if enough(&spans) {
                return spans;
            }
            assert!(
                Instant::now() < until,
                "the trace {trace} is not told within {SEEN_WITHIN:?}:\n{}",
                tree(&spans)
            );
            sleep(LOOK_EVERY);
        }
    }
}

/// A trace for people.
#[must_use]
pub fn tree(spans: &[Seen]) -> String {
    let began = spans.iter().map(|span| span.start).min().unwrap_or_default();
    let line = |span: &Seen| {
        let (start, end) = ((span.start - began) / 1000, (span.end.saturating_sub(began)) / 1000);
        let failed = if span.failed { " FAILED" } else { "" };
        format!(
            "{:>9}..{:<9} us {:<18} {:<28} {} < {}{failed} {:?}\n",
            start, end, span.service, span.name, span.id, span.parent, span.attributes
        )
    };
    spans.iter().map(line).collect()
}

async fn take(State(store): State<Store>, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut seen = store.lock().unwrap_or_else(PoisonError::into_inner);
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap_or_default();
        let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        seen.extend(spans.map(|span| read(&resource, span)));
    }
    Ok(ExportTraceServiceResponse::default().encode_to_vec())
}

fn read(resource: &Resource, span: Span) -> Seen {
    let process = attributes(&resource.attributes);
    let of = |name: &str| process.get(name).cloned().unwrap_or_default();
    Seen {
        service: of("service.name"),
        instance: of("service.instance.id"),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        kind: span.kind,
        failed: span.status.is_some_and(|status| status.code() == Code::Error),
        attributes: attributes(&span.attributes),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
    }
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    of.iter().map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        Some(Value::ArrayValue(list)) => {
            list.values.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(",")
        }
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
