//! Places in a job's output, and the event ids by which a stream is resumed at one.
//!
//! A token's index alone can't cut a text: pieces end where the detokenizer let go, and after the bus has lost its
//! stream a worker publishes the whole text as one record. So a place counts tokens and the text's bytes, and an event's
//! id is `<job>:<tokens>:<bytes>`, counting what the client has once it has read that event.

use std::fmt;

use lowland_events::id::JobId;

/// A place in a job's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Tokens before it.
    pub tokens: u32,
    /// Bytes of UTF-8 text before it.
    pub bytes: u32,
}

/// The id of a stream's event: a job, and what the client has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamId {
    /// The job.
    pub job: JobId,
    /// What the client has.
    pub at: Position,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.job, self.at.tokens, self.at.bytes)
    }
}

impl StreamId {
    /// Reads an id as a client sends it back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split(':');
        let job = JobId::new(parts.next()?).ok()?;
        let tokens = parts.next()?.parse().ok()?;
        let bytes = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { job, at: Position { tokens, bytes } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let id = StreamId { job: JobId::new("j1").unwrap(), at: Position { tokens: 3, bytes: 14 } };
        assert_eq!(id.to_string(), "j1:3:14");
        assert_eq!(StreamId::parse(" j1:3:14 "), Some(id));
    }

    #[test]
    fn strangers_are_refused() {
        for bad in ["", "j1", "j1:3", "j1:3:14:1", "j.1:3:14", "j1:-1:0", "j1:3:4294967296", ":0:0"] {
            assert_eq!(StreamId::parse(bad), None, "{bad}");
        }
    }
}
