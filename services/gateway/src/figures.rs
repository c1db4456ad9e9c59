//! What the gateway counts: requests as they come, and times as callers see them.

use lowland_host::figures::{
    Counter, Description, Figures, Gauge, Histogram,
    description::{FIRST_TOKEN_SECONDS, REQUEST_SECONDS},
};

static REQUESTS: Description = Description::counter(
    "lowland_gateway_requests_total",
    &["route", "status"],
    "HTTP requests by the path they matched (unmatched: none) and the status of the answer; a stream counts when it begins.",
);
static REQUESTS_OPEN: Description = Description::gauge(
    "lowland_gateway_requests_open",
    &[],
    "Requests with a key that are being served, streams included.",
);
static STREAMS_OPEN: Description =
    Description::gauge("lowland_gateway_streams_open", &[], "Streams of server-sent events that are open.");
static FIRST_TOKEN: Description = Description::histogram(
    "lowland_gateway_time_to_first_token_seconds",
    FIRST_TOKEN_SECONDS,
    &["model_name"],
    "Time from a streamed request's posting to the first text that its caller is given.",
);
static REQUEST_SECONDS_OF_MODEL: Description = Description::histogram(
    "lowland_gateway_request_seconds",
    REQUEST_SECONDS,
    &["model_name"],
    "Time from a request's posting to its job's end being known here, streamed or not.",
);
static CANCELLED: Description = Description::counter(
    "lowland_gateway_jobs_cancelled_for_departure_total",
    &[],
    "Jobs that were cancelled since their caller had gone away.",
);

/// All of them.
pub static TABLE: [&Description; 6] =
    [&REQUESTS, &REQUESTS_OPEN, &STREAMS_OPEN, &FIRST_TOKEN, &REQUEST_SECONDS_OF_MODEL, &CANCELLED];

/// The route of a request that matched none.
const UNMATCHED: &str = "unmatched";

/// What the gateway counts. Clones share it.
#[derive(Debug, Clone)]
pub struct Counted {
    figures: Figures,
    /// Requests that are being served.
    pub requests_open: Gauge,
    /// Streams that are open.
    pub streams_open: Gauge,
    /// Jobs cancelled for departure.
    pub cancelled: Counter,
}

impl Counted {
    /// Counts in `figures`.
    #[must_use]
    pub fn new(figures: &Figures) -> Self {
        Self {
            requests_open: figures.gauge(&REQUESTS_OPEN, &[]),
            streams_open: figures.gauge(&STREAMS_OPEN, &[]),
            cancelled: figures.counter(&CANCELLED, &[]),
            figures: figures.clone(),
        }
    }

    /// A request was answered.
    pub fn answered(&self, route: Option<&str>, status: u16) {
        let labels = [route.unwrap_or(UNMATCHED), &status.to_string()];
        self.figures.counter(&REQUESTS, &labels).add(1);
    }

    /// Times to the first text of a model.
    #[must_use]
    pub fn first_token(&self, model: &str) -> Histogram {
        self.figures.histogram(&FIRST_TOKEN, &[model])
    }

    /// Times of whole requests of a model.
    #[must_use]
    pub fn request_seconds(&self, model: &str) -> Histogram {
        self.figures.histogram(&REQUEST_SECONDS_OF_MODEL, &[model])
    }
}
