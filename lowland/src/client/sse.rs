//! Server-sent events out of a stream of bytes. Pure.

/// Cuts bytes, as they come, into the data of events.
#[derive(Debug, Default)]
pub struct Events {
    rest: Vec<u8>,
}

impl Events {
    /// The data of the events that are whole after `bytes`; comments and other fields are skipped. One line of data an
    /// event, which is all that JSON needs.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let text = String::from_utf8_lossy(&whole);
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| data.trim().to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_may_come_in_pieces() {
        let mut events = Events::default();
        assert!(events.take(b"id: 1\nda").is_empty());
        assert!(events.take("ta: {\"a\":\"ö".as_bytes()).is_empty());
        assert_eq!(events.take(b"\"}\n\n: comment\ndata: [DONE]\n\n"), ["{\"a\":\"ö\"}", "[DONE]"]);
    }
}
