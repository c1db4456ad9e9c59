//! Writes what an observer sees as qlog: JSON text sequences (RFC 7464) of the main schema (draft-ietf-quic-qlog-main-schema, 0.3), with the
//! events of QUIC that mean the same here, so that its viewers can be used.
//!
//! Times are milliseconds since the caller's beginning, lengths bytes, rates bits a second.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::proto::{
    Side, Time,
    observe::{Dropped, Observed, Observer},
};

/// Begins each record of a JSON text sequence.
pub const RECORD_SEPARATOR: u8 = 0x1e;

/// An observer that writes a connection's log.
///
/// What the destination refuses is lost, and nothing is written after it: a full disk ends no connection.
#[derive(Debug)]
pub struct QlogWriter<W: Write + Send> {
    out: Option<W>,
}

impl<W: Write + Send> QlogWriter<W> {
    /// Begins a log of what this side of a connection sees.
    ///
    /// # Errors
    /// The destination refuses the head.
    pub fn new(mut out: W, side: Side, title: &str) -> io::Result<Self> {
        let vantage = if side == Side::Client { "client" } else { "server" };
        let head = json!({
            "qlog_version": "0.3",
            "qlog_format": "JSON-SEQ",
            "title": title,
            "trace": {
                "vantage_point": { "type": vantage },
                "common_fields": { "time_format": "relative", "reference_time": 0, "protocol_type": ["ACNP"] },
            },
        });
        record(&mut out, &head)?;
        Ok(Self { out: Some(out) })
    }
}

impl<W: Write + Send> Observer for QlogWriter<W> {
    fn observe(&mut self, now: Time, event: &Observed) {
        let Some(out) = &mut self.out else { return };
        let (name, data) = describe(event);
        let time = now.as_nanos() as f64 / 1e6;
        if record(out, &json!({ "time": time, "name": name, "data": data })).is_err() {
            self.out = None;
        }
    }
}

fn record(out: &mut impl Write, value: &Value) -> io::Result<()> {
    out.write_all(&[RECORD_SEPARATOR])?;
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn packet(kind: &str, number: Option<u64>, path: Option<u32>) -> Value {
    json!({ "packet_type": kind, "packet_number": number, "path_id": path })
}

const fn reason(dropped: Dropped) -> &'static str {
    match dropped {
        Dropped::Malformed => "invalid",
        Dropped::DoesNotOpen => "decryption_failure",
        Dropped::Duplicate => "duplicate",
        Dropped::NoKeys => "key_unavailable",
        Dropped::NoRoom => "rejected",
        Dropped::Unexpected => "unexpected_packet",
    }
}

/// The name and data of an event.
fn describe(event: &Observed) -> (&'static str, Value) {
    match event {
        Observed::HandshakeSent { kind, attempt } => {
            ("transport:packet_sent", json!({ "header": packet(kind, None, None), "attempt": attempt }))
        }
        Observed::PacketSent { path, number, len, wants_ack } => (
            "transport:packet_sent",
            json!({ "header": packet("1RTT", Some(*number), Some(path.0)), "raw": { "length": len }, "ack_eliciting": wants_ack }),
        ),
        Observed::PacketReceived { path, number, len } => (
            "transport:packet_received",
            json!({ "header": packet("1RTT", Some(*number), Some(path.0)), "raw": { "length": len } }),
        ),
        Observed::PacketDropped { reason: why, len } => {
            ("transport:packet_dropped", json!({ "raw": { "length": len }, "trigger": reason(*why) }))
        }
        Observed::PacketLost { path, number } => {
            ("recovery:packet_lost", json!({ "header": packet("1RTT", Some(*number), Some(path.0)) }))
        }
        Observed::Metrics { path, smoothed, latest, window, in_flight, pacing } => (
            "recovery:metrics_updated",
            json!({
                "path_id": path.0,
                "smoothed_rtt": smoothed.as_secs_f64() * 1e3,
                "latest_rtt": latest.as_secs_f64() * 1e3,
                "congestion_window": window,
                "bytes_in_flight": in_flight,
                "pacing_rate": pacing.map(|rate| rate * 8),
            }),
        ),
        Observed::KeysUpdated { phase } => ("security:key_updated", json!({ "key_phase": u8::from(*phase) })),
        Observed::PathMoved { path, remote } => (
            "connectivity:path_updated",
            json!({ "path_id": path.0, "dst_ip": remote.ip().to_string(), "dst_port": remote.port() }),
        ),
        Observed::MtuChanged { path, len } => {
            ("connectivity:mtu_updated", json!({ "path_id": path.0, "new": len }))
        }
        Observed::Established => {
            ("connectivity:connection_state_updated", json!({ "new": "handshake_confirmed" }))
        }
        Observed::Closed { code } => {
            ("connectivity:connection_closed", json!({ "connection_code": code.map(|code| code.0) }))
        }
        Observed::PacketRecovered { path, number } => {
            ("acnp:packet_recovered", json!({ "header": packet("1RTT", Some(*number), Some(path.0)) }))
        }
    }
}
