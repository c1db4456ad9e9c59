//! The metrics that every service has: of the log, of the bus, of bounds that were hit.

use super::{Description, description::LOG_SECONDS};

/// Bounds that were hit, by the bound's name.
pub static BOUNDS_HIT: Description = Description::counter(
    "lowland_bounds_hit_total",
    &["bound"],
    "Times that a bound was hit: something was refused, dropped, put off or cut. The bound says which.",
);
/// Whether the service does its work.
pub static READY: Description =
    Description::gauge("lowland_ready", &[], "1 while the service does its work, as /readyz says, else 0.");
/// Connections made anew.
pub static BUS_RECONNECTS: Description = Description::counter(
    "lowland_bus_reconnects_total",
    &[],
    "Times that the connection to NATS was lost and made anew.",
);
/// Appends by what became of them.
pub static LOG_APPENDS: Description = Description::counter(
    "lowland_log_appends_total",
    &["outcome"],
    "Appends to the log (a batch is one) by what became of them: stored, repeated (was stored before), conflict (the aggregate had moved on), no_stream, refused, unanswered.",
);
/// Time of an append.
pub static LOG_APPEND_SECONDS: Description = Description::histogram(
    "lowland_log_append_seconds",
    LOG_SECONDS,
    &[],
    "Time from sending an append to its answer, whatever that was.",
);
/// Events taken into states.
pub static EVENTS_FOLDED: Description = Description::counter(
    "lowland_log_events_folded_total",
    &["stream"],
    "Events of the stream that were taken into the service's state.",
);
/// How far the state reaches.
pub static LOG_POSITION: Description = Description::gauge(
    "lowland_log_position",
    &["stream"],
    "Sequence of the stream's last event that the service's state includes.",
);
/// How far behind the log the state is.
pub static FOLD_DELAY_SECONDS: Description = Description::histogram(
    "lowland_log_fold_delay_seconds",
    LOG_SECONDS,
    &[],
    "Time from an event's storing (by the server's clock) to its being taken into the state (by ours), once the service had caught up: how far it lags behind.",
);
/// Samples that were not stored.
pub static SAMPLES_LOST: Description = Description::counter(
    "lowland_samples_lost_total",
    &["why"],
    "Samples of these figures that were not published: busy (earlier ones were still under way) or failed (the bus took it not).",
);

/// Spans that a collector took.
pub static SPANS_EXPORTED: Description = Description::counter(
    "lowland_spans_exported_total",
    &[],
    "Spans that the OTLP collector took, where one is set.",
);
/// Spans that were given up.
pub static SPANS_DROPPED: Description = Description::counter(
    "lowland_spans_dropped_total",
    &[],
    "Spans that were dropped, since the queue to the OTLP collector was full or it did not take them.",
);

/// All of them.
pub static TABLE: [&Description; 11] = [
    &BOUNDS_HIT,
    &BUS_RECONNECTS,
    &LOG_APPEND_SECONDS,
    &LOG_APPENDS,
    &EVENTS_FOLDED,
    &FOLD_DELAY_SECONDS,
    &LOG_POSITION,
    &READY,
    &SAMPLES_LOST,
    &SPANS_DROPPED,
    &SPANS_EXPORTED,
];
