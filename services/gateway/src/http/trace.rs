//! A request's place in a trace: the caller's where it sent a `traceparent`, one of its own otherwise. The request goes on
//! under our own context, the response names it (`traceresponse`, the W3C's header for that), and once the last byte is
//! sent, or nobody takes it any more, the request's span is told.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use futures::{Stream, StreamExt};
use lowland_events::{Time, TraceContext, id::AccountId};
use lowland_host::{
    Clock, Host, Tracer,
    trace::{Kind, Span},
};
use tracing::{Instrument, field::Empty};

use super::{App, JOB};

/// Request header that says which trace the request is part of.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Response header that says which trace the request was part of.
pub(crate) const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Whose request it was; noted in the response by those who know.
#[derive(Debug, Clone)]
pub(super) struct Account(pub(super) AccountId);

/// Content type of a stream.
const STREAM: &str = "text/event-stream";

/// A request that is being answered; told when it goes, however it goes.
struct Asked {
    tracer: Tracer,
    clock: Clock,
    context: TraceContext,
    parent: Option<TraceContext>,
    method: Method,
    route: String,
    at: Time,
    /// The response's status, once there is one.
    status: Option<u16>,
    /// Account and job, where it is about one.
    account: Option<String>,
    job: Option<String>,
    /// Whether the response was taken to its end.
    whole: bool,
}

/// Answers a request as a part of its trace.
pub(super) async fn traced(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let asked = Asked::read(&app.host, &request);
    let value =
        HeaderValue::try_from(asked.context.to_string()).expect("hexadecimal digits are a header's value");
    request.headers_mut().remove(TRACEPARENT);
    request.headers_mut().insert(TRACEPARENT, value.clone());
    let trace_id = asked.context.trace_id();
    let about = tracing::error_span!("request", trace_id, account = Empty, job = Empty);
    let mut response = next.run(request).instrument(about).await;
    response.headers_mut().insert(TRACERESPONSE, value);
    asked.answered(response)
}

/// The one `traceparent` of a request; several are none, as is one that is wrong (W3C Trace Context, section 3.2).
pub(super) fn given(headers: &HeaderMap) -> Option<TraceContext> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

impl Asked {
    fn read(host: &Host, request: &Request) -> Self {
        let parent = given(request.headers());
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        Self {
            tracer: host.tracer.clone(),
            clock: host.clock.clone(),
            context: context(&host.tracer, parent),
            parent,
            method: request.method().clone(),
            route: route.unwrap_or_default(),
            at: host.clock.now(),
            status: None,
            account: None,
            job: None,
            whole: false,
        }
    }

    /// The response, which is watched to its end if it is a stream.
    fn answered(mut self, response: Response) -> Response {
        if !self.tracer.wants(self.context) {
            return response;
        }
        let headers = response.headers();
        self.status = Some(response.status().as_u16());
        self.job = headers.get(JOB).and_then(|job| job.to_str().ok()).map(str::to_owned);
        self.account = response.extensions().get::<Account>().map(|account| account.0.to_string());
        self.whole = headers.get(header::CONTENT_TYPE).is_none_or(|value| value != STREAM);
        if self.whole {
            return response;
        }
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, Body::from_stream(Watched { body: body.into_data_stream(), asked: self }))
    }

    fn span(&self) -> Span {
        let failure = match (self.status, self.whole) {
            (Some(status @ 500..), _) => Some(status.to_string()),
            (_, false) => Some("client_gone".to_owned()),
            (_, true) => None,
        };
        let name = format!("{} {}", self.method, self.route).trim_end().to_owned();
        Span::new(self.context, name, Kind::Server, self.at, self.clock.now())
            .below(self.parent)
            .with("http.request.method", self.method.to_string())
            .with("http.route", self.route.clone())
            .with_some("http.response.status_code", self.status.map(i64::from))
            .with("url.scheme", "http")
            .with_some("lowland.id.account", self.account.clone())
            .with_some("lowland.id.job", self.job.clone())
            .failed_if(failure)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.tracer.wants(self.context) {
            self.tracer.tell(self.span());
        }
    }
}

/// Our own place below the caller's. Where spans go nowhere, the caller's own place is handed on: nothing would stand
/// between it and the job.
fn context(tracer: &Tracer, parent: Option<TraceContext>) -> TraceContext {
    let random = uuid::Uuid::new_v4();
    let (trace, span) = (random.into_bytes(), span_id());
    match parent {
        Some(parent) if !tracer.is_on() => parent,
        Some(parent) => {
            parent.with_span(span).sampled(tracer.sampling().samples(Some(parent), parent.trace()))
        }
        None => TraceContext::new(trace, span, tracer.sampling().samples(None, trace))
            .expect("a version 4 UUID is not zero, nor is its half"),
    }
}

/// A fresh id for a span of the gateway's own.
pub(crate) fn span_id() -> [u8; 8] {
    let mut span = [0; 8];
    span.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[8..]); // the half with the variant's bits, so not zero
    span
}

/// A body whose end is told.
struct Watched {
    body: BodyDataStream,
    asked: Asked,
}

impl Stream for Watched {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.body.poll_next_unpin(context);
        if let Poll::Ready(None) = polled {
            self.asked.whole = true;
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (TRACEPARENT, value.parse().unwrap())).collect()
    }

    #[test]
    fn a_callers_context_is_taken_if_it_is_one() {
        assert_eq!(given(&headers(&[GIVEN])).unwrap().to_string(), GIVEN);
        assert_eq!(given(&headers(&[])), None);
        assert_eq!(given(&headers(&[GIVEN, GIVEN])), None, "which of them?");
        for bad in ["00-x", "", &GIVEN.to_uppercase(), &GIVEN.replace("00-0af", "ff-0af")] {
            assert_eq!(given(&headers(&[bad])), None, "{bad}");
        }
    }

    #[test]
    fn a_request_goes_on_below_its_caller_or_begins_a_trace() {
        let (tracer, _spans) = Tracer::recording();
        let parent = given(&headers(&[GIVEN])).unwrap();
        let below = context(&tracer, Some(parent));
        assert_eq!(below.trace(), parent.trace());
        assert_ne!(below.span_id(), parent.span_id());
        assert!(below.is_sampled() && !context(&tracer, Some(parent.sampled(false))).is_sampled());
        let (one, two) = (context(&tracer, None), context(&tracer, None));
        assert!(one.is_sampled() && one.trace() != two.trace());
    }

    #[test]
    fn where_nothing_is_told_the_callers_place_is_handed_on() {
        let parent = given(&headers(&[GIVEN])).unwrap();
        assert_eq!(context(&Tracer::off(), Some(parent)), parent);
        assert!(!context(&Tracer::off(), None).is_sampled());
    }
}
