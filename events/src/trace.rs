//! W3C trace context: which trace an event is part of. Pure: what comes without a context gets one derived from its event's
//! id, and every span's id follows from what it reacts to, so that a decision that is taken again says the same.

use std::{fmt, str::FromStr};

use crate::{envelope::EventId, job::Task};

/// The role of the span that a job is; its cause is the request.
pub const JOB_SPAN: &str = "job";
/// The role of the span that the wait for a place is; it is named by the assignment that ends it.
pub const PLACE_SPAN: &str = "place";
/// The role of the span that an attempt is; its cause is the assignment. Told by whoever ends the attempt: the worker, or
/// the scheduler in place of one that is gone.
pub const ATTEMPT_SPAN: &str = "attempt";

/// Length of a `traceparent` of version 00, in bytes.
const TRACEPARENT_BYTES: usize = 55;
/// The flag that says that spans are recorded.
const SAMPLED: u8 = 1;
/// The flags that are defined: sampled, and (level 2) that the trace id is random.
const FLAGS_KNOWN: u8 = 3;

/// A place in a trace: the trace, the span that whatever follows is a child of, and whether spans are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a W3C traceparent: expected 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case, neither id zero"
)]
pub struct NoTraceContext;

impl TraceContext {
    /// A context of given ids; `None` if one of them is zero, which stands for none.
    #[must_use]
    pub fn new(trace: [u8; 16], span: [u8; 8], sampled: bool) -> Option<Self> {
        let valid = trace != [0; 16] && span != [0; 8];
        valid.then_some(Self { trace, span, flags: u8::from(sampled) })
    }

    /// The context of what begins with the event `id` and brought none: the trace's id is the event's.
    #[must_use]
    pub fn of_event(id: EventId) -> Self {
        // An id from outside may be all zeros, which is no trace id.
        let trace = if id.bytes() == [0; 16] { EventId::derived("", "trace", 0).bytes() } else { id.bytes() };
        Self { trace, span: span_id(id, "event"), flags: 0 }
    }

    /// The span `role` of the same trace, in which somebody reacts to the event `cause`: always the same one.
    #[must_use]
    pub fn span(self, cause: EventId, role: &str) -> Self {
        Self { span: span_id(cause, role), ..self }
    }

    /// The same trace, with this span.
    #[must_use]
    pub fn with_span(self, span: [u8; 8]) -> Self {
        Self { span, ..self }
    }

    /// The same, recorded or not.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        Self { flags: self.flags & !SAMPLED | u8::from(sampled), ..self }
    }

    /// Whether spans are recorded.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace's id.
    #[must_use]
    pub fn trace(self) -> [u8; 16] {
        self.trace
    }

    /// The trace's id as people search for it: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> String {
        hex(&self.trace)
    }

    /// The span's id.
    #[must_use]
    pub fn span_id(self) -> [u8; 8] {
        self.span
    }
}

/// What a task is called in OpenTelemetry's conventions for generative AI.
#[must_use]
pub fn operation(task: &Task) -> &'static str {
    match task {
        Task::Chat { .. } => "chat",
        Task::Completion { .. } => "text_completion",
        Task::Embedding { .. } => "embeddings",
    }
}

/// The last half of a derived id; its variant bits keep it from being zero.
fn span_id(cause: EventId, role: &str) -> [u8; 8] {
    let bytes = EventId::derived(&cause.to_string(), role, 0).bytes();
    let mut span = [0; 8];
    span.copy_from_slice(&bytes[8..]);
    span
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// W3C Trace Context, section 3.2: versions to come may append fields, and what is known of them is read all the same.
impl FromStr for TraceContext {
    type Err = NoTraceContext;

    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
        let head = text.get(..TRACEPARENT_BYTES).ok_or(NoTraceContext)?;
        let rest = &text[TRACEPARENT_BYTES..];
        let parts: Vec<&str> = head.split('-').collect();
        let [version, trace, span, flags] = parts[..] else { return Err(NoTraceContext) };
        let [version] = bytes(version)?;
        if version == 0xff
            || (version == 0 && !rest.is_empty())
            || !(rest.is_empty() || rest.starts_with('-'))
        {
            return Err(NoTraceContext);
        }
        let [flags] = bytes(flags)?;
        let context = Self::new(bytes(trace)?, bytes(span)?, false).ok_or(NoTraceContext)?;
        Ok(Self { flags: flags & FLAGS_KNOWN, ..context })
    }
}

/// Exactly `N` bytes in hexadecimal digits of lower case.
fn bytes<const N: usize>(text: &str) -> Result<[u8; N], NoTraceContext> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 2 * N || !text.bytes().all(lower) {
        return Err(NoTraceContext);
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| NoTraceContext)?;
    }
    Ok(bytes)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex(&self.trace), hex(&self.span), self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_right_is_read_and_written_back() {
        let context: TraceContext = RIGHT.parse().unwrap();
        assert_eq!(context.to_string(), RIGHT);
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(context.is_sampled() && !context.sampled(false).is_sampled());
        assert_eq!(context.sampled(false).sampled(true), context);
    }

    #[test]
    fn later_versions_may_say_more_and_unknown_flags_are_not_handed_on() {
        let later = format!("cc{}-more.to-come", &RIGHT[2..]);
        assert_eq!(later.parse::<TraceContext>().unwrap().to_string(), RIGHT);
        let flags = format!("{}ff", &RIGHT[..53]);
        assert!(flags.parse::<TraceContext>().unwrap().to_string().ends_with("-03"));
    }

    #[test]
    fn what_is_wrong_is_no_context() {
        let swap = |from: &str, to: &str| RIGHT.replace(from, to);
        for bad in [
            String::new(),
            "x".repeat(900_000),
            "é".repeat(55),
            swap("00-", "ff-"),
            swap("00-", "0-0"),
            swap("0af7", "0AF7"),
            swap("0af7", "0xf7"),
            swap("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            swap("b7ad6b7169203331", &"0".repeat(16)),
            swap("-b7ad", "_b7ad"),
            format!("{RIGHT}-more"),
            format!("cc{}more", &RIGHT[2..]),
            RIGHT[..54].to_owned(),
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(NoTraceContext), "{}", &bad[..bad.len().min(60)]);
        }
    }

    #[test]
    fn what_brings_no_context_has_one_that_follows_from_its_id() {
        let id = EventId::of_record("REQUESTS", 7);
        let context = TraceContext::of_event(id);
        assert_eq!(context.trace_id(), id.to_string().replace('-', ""));
        assert_eq!(context, TraceContext::of_event(id));
        let nil: EventId = "00000000-0000-0000-0000-000000000000".parse().unwrap();
        assert_ne!(TraceContext::of_event(nil).trace(), [0; 16]);
    }

    #[test]
    fn a_span_is_named_by_its_cause_and_role() {
        let (one, two) = (EventId::of_record("LOG", 1), EventId::of_record("LOG", 2));
        let context = TraceContext::of_event(one);
        assert_eq!(context.span(two, "hold"), context.span(two, "hold"));
        assert_ne!(context.span(two, "hold").span_id(), context.span(two, "charge").span_id());
        assert_ne!(context.span(two, "hold").span_id(), context.span(one, "hold").span_id());
    }
}
