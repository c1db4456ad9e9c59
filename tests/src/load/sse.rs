//! Server-sent events out of bytes as they come: an event counts once it is whole.

/// A whole event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its id, if it has one.
    pub(crate) id: Option<String>,
    /// What it says.
    pub(crate) data: String,
}

/// What has come of an event that is not whole.
#[derive(Debug, Default)]
pub(crate) struct Events(Vec<u8>);

impl Events {
    /// Takes in bytes; gives the events that they complete. Comments are no events.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.0.extend(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.0.windows(2).position(|pair| pair == b"\n\n") {
            let whole: Vec<u8> = self.0.drain(..end + 2).collect();
            events.extend(parse(&String::from_utf8_lossy(&whole)));
        }
        events
    }
}

fn parse(text: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut said = false;
    for line in text.lines() {
        match line.split_once(':') {
            Some(("id", id)) => event.id = Some(id.trim_start().to_owned()),
            Some(("data", data)) => {
                said = true;
                event.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
            _ => {}
        }
    }
    said.then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_once_it_is_whole() {
        let mut events = Events::default();
        assert_eq!(events.take(b": still at it\n\nid: j:1:2\nda"), []);
        assert_eq!(events.take(b"ta: {}\n"), []);
        let whole = Event { id: Some("j:1:2".into()), data: "{}".into() };
        let done = Event { id: None, data: "[DONE]".into() };
        assert_eq!(events.take(b"\ndata: [DONE]\n\nid: x"), [whole, done]);
    }
}
