//! What happens to a connection, written as a qlog of one JSON record a line (draft-ietf-quic-qlog-main-schema, JSON-SEQ), with event
//! names of the transport's own where QUIC's don't fit.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::proto::{
    Side, Time,
    listener::Handle,
    observe::{Observed, Observer},
};

/// Bytes of a log beyond which nothing more is written to it.
const LOG_BYTES_MAX: u64 = 1 << 30;
/// The character that begins a record (RFC 7464).
const RECORD: char = '\u{1e}';

/// A log of one connection. What cannot be written is left out; the connection does not suffer.
pub(super) struct Log {
    file: BufWriter<File>,
    bytes: u64,
}

impl Log {
    /// A fresh file in `folder`, which is made if it is not there.
    pub(super) fn create(folder: &Path, side: Side, handle: Handle) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let side = if side == Side::Client { "client" } else { "server" };
        let name = format!("{:016x}-{}-{side}.sqlog", rand::random::<u64>(), handle.0);
        let mut file = BufWriter::new(File::create_new(folder.join(name))?);
        writeln!(
            file,
            "{RECORD}{{\"qlog_version\":\"0.3\",\"qlog_format\":\"JSON-SEQ\",\"trace\":{{\"vantage_point\":{{\"type\":\"{side}\"}},\
             \"common_fields\":{{\"time_format\":\"relative\",\"protocol_type\":[\"ACNP\"]}}}}}}"
        )?;
        Ok(Self { file, bytes: 0 })
    }
}

/// An event's name and data, as JSON.
fn record(event: &Observed) -> (&'static str, String) {
    match event {
        Observed::PacketSent { path, number, len, wants_ack } => (
            "transport:packet_sent",
            format!(
                "{{\"header\":{{\"packet_number\":{number}}},\"path\":{},\"raw\":{{\"length\":{len}}},\"wants_ack\":{wants_ack}}}",
                path.0
            ),
        ),
        Observed::PacketReceived { path, number, len } => (
            "transport:packet_received",
            format!(
                "{{\"header\":{{\"packet_number\":{number}}},\"path\":{},\"raw\":{{\"length\":{len}}}}}",
                path.0
            ),
        ),
        Observed::PacketDropped { reason, len } => (
            "transport:packet_dropped",
            format!("{{\"trigger\":\"{reason:?}\",\"raw\":{{\"length\":{len}}}}}"),
        ),
        Observed::PacketLost { path, number } => (
            "recovery:packet_lost",
            format!("{{\"header\":{{\"packet_number\":{number}}},\"path\":{}}}", path.0),
        ),
        Observed::Metrics { path, smoothed, latest, window, in_flight, pacing } => {
            let ms = |time: &std::time::Duration| time.as_secs_f64() * 1e3;
            let pacing = pacing.map_or("null".to_owned(), |rate| (rate * 8).to_string());
            let data = format!(
                "{{\"path\":{},\"smoothed_rtt\":{:.3},\"latest_rtt\":{:.3},\"congestion_window\":{window},\
                 \"bytes_in_flight\":{in_flight},\"pacing_rate\":{pacing}}}",
                path.0,
                ms(smoothed),
                ms(latest)
            );
            ("recovery:metrics_updated", data)
        }
        other => ("acnp:event", format!("{{\"what\":\"{}\"}}", format!("{other:?}").escape_default())),
    }
}

impl Observer for Log {
    fn observe(&mut self, now: Time, event: &Observed) {
        if self.bytes > LOG_BYTES_MAX {
            return;
        }
        let (name, data) = record(event);
        let ms = now.as_nanos() as f64 / 1e6;
        let line = format!("{RECORD}{{\"time\":{ms:.6},\"name\":\"{name}\",\"data\":{data}}}\n");
        self.bytes += line.len() as u64;
        let _ = self.file.write_all(line.as_bytes());
    }
}
