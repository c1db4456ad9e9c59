//! One span, told when it is over.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lowland_events::{Time, TraceContext};
use opentelemetry::{
    Array, InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// Who tells spans.
const SCOPE: &str = "lowland";

/// What a span is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It answers somebody outside.
    Server,
    /// It sends a message.
    Producer,
    /// It reacts to a message.
    Consumer,
    /// None of these.
    Internal,
}

/// One span. Prompts, outputs and secrets have no place in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    context: TraceContext,
    parent: Option<TraceContext>,
    name: Cow<'static, str>,
    kind: Kind,
    start: Time,
    end: Time,
    attributes: Vec<KeyValue>,
    links: Vec<TraceContext>,
    failure: Option<String>,
}

impl Span {
    /// A span that lasted from `start` to `end`. Clocks of several machines may disagree: it never ends before it starts.
    #[must_use]
    pub fn new(
        context: TraceContext,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        start: Time,
        end: Time,
    ) -> Self {
        let (name, end) = (name.into(), end.max(start));
        Self {
            context,
            parent: None,
            name,
            kind,
            start,
            end,
            attributes: Vec::new(),
            links: Vec::new(),
            failure: None,
        }
    }

    /// As a part of `parent`; a root without one.
    #[must_use]
    pub fn below(mut self, parent: Option<TraceContext>) -> Self {
        self.parent = parent;
        self
    }

    /// With what led to it, where that is not its parent.
    #[must_use]
    pub fn after(mut self, cause: Option<TraceContext>) -> Self {
        self.links.extend(cause);
        self
    }

    /// With an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// With an attribute, where there is a value.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With an attribute that is a list.
    #[must_use]
    pub fn with_list<const N: usize>(self, name: &'static str, values: [&'static str; N]) -> Self {
        self.with(name, Value::Array(Array::String(values.into_iter().map(Into::into).collect())))
    }

    /// As a failure of this kind (a code, never a message: messages quote what callers sent).
    #[must_use]
    pub fn failed(mut self, kind: impl Into<String>) -> Self {
        let kind = kind.into();
        self.failure = Some(kind.clone());
        self.with("error.type", kind)
    }

    /// As a failure, where there is one.
    #[must_use]
    pub fn failed_if(self, kind: Option<impl Into<String>>) -> Self {
        match kind {
            Some(kind) => self.failed(kind),
            None => self,
        }
    }

    /// Its place.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// The place of what it is a part of.
    #[must_use]
    pub fn parent(&self) -> Option<TraceContext> {
        self.parent
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it started and ended.
    #[must_use]
    pub fn times(&self) -> (Time, Time) {
        (self.start, self.end)
    }

    /// An attribute, as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        let found = self.attributes.iter().find(|attribute| attribute.key.as_str() == name);
        found.map(|attribute| attribute.value.to_string())
    }

    /// As the exporter takes it.
    pub(super) fn into_data(self) -> SpanData {
        let mut links = SpanLinks::default();
        links.links = self.links.iter().map(|link| Link::with_context(context(*link, true))).collect();
        SpanData {
            span_context: context(self.context, false),
            parent_span_id: self
                .parent
                .map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span_id())),
            parent_span_is_remote: self.parent.is_some(),
            span_kind: kind(self.kind),
            name: self.name,
            start_time: system(self.start),
            end_time: system(self.end),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: self.failure.map_or(Status::Unset, Status::error),
            instrumentation_scope: InstrumentationScope::builder(SCOPE)
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

fn context(of: TraceContext, remote: bool) -> SpanContext {
    let flags = if of.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from_bytes(of.trace()), SpanId::from_bytes(of.span_id()));
    SpanContext::new(trace, span, flags, remote, TraceState::default())
}

fn kind(kind: Kind) -> SpanKind {
    match kind {
        Kind::Server => SpanKind::Server,
        Kind::Producer => SpanKind::Producer,
        Kind::Consumer => SpanKind::Consumer,
        Kind::Internal => SpanKind::Internal,
    }
}

fn system(time: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(time.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_as_it_is() {
        let root = TraceContext::new([1; 16], [1; 8], true).unwrap();
        let (child, cause) = (root.with_span([2; 8]), root.with_span([3; 8]));
        let data = Span::new(child, "hold", Kind::Consumer, Time(9), Time(5))
            .below(Some(root))
            .after(Some(cause))
            .with("lowland.id.job", "j1")
            .failed("no_price")
            .into_data();
        assert_eq!(data.span_context.trace_id(), TraceId::from_bytes([1; 16]));
        assert_eq!(data.parent_span_id, SpanId::from_bytes([1; 8]));
        assert_eq!(data.links.links[0].span_context.span_id(), SpanId::from_bytes([3; 8]));
        assert_eq!(data.end_time, data.start_time, "no span ends before it starts");
        assert_eq!(data.status, Status::error("no_price"));
        assert!(data.attributes.contains(&KeyValue::new("error.type", "no_price")));
    }
}
