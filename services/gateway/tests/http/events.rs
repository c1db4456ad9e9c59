//! Server-sent events, as a client reads them.

use futures::StreamExt;
use serde_json::Value;

use crate::world::soon;

/// An event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SentEvent {
    pub(crate) id: String,
    pub(crate) data: String,
}

impl SentEvent {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }

    /// The piece of text in it.
    pub(crate) fn text(&self) -> String {
        let chunk = self.json();
        let choice = &chunk["choices"][0];
        choice["delta"]["content"].as_str().or(choice["text"].as_str()).unwrap_or_default().to_owned()
    }
}

/// A stream of events, as a client reads it.
pub(crate) struct Events {
    bytes: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    rest: String,
    pub(crate) comments: usize,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Events {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = soon(request.send()).await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let headers = response.headers().clone();
        Self { bytes: response.bytes_stream().boxed(), rest: String::new(), comments: 0, headers }
    }

    /// The next event; nothing at the end. Comments are counted.
    pub(crate) async fn next(&mut self) -> Option<SentEvent> {
        loop {
            while let Some(end) = self.rest.find("\n\n") {
                let block: String = self.rest.drain(..end + 2).collect();
                match parse(&block) {
                    Some(event) => return Some(event),
                    None => self.comments += 1,
                }
            }
            let part = soon(self.bytes.next()).await?.unwrap();
            self.rest.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// Waits for a comment.
    pub(crate) async fn comment(&mut self) {
        while !self.rest.starts_with(':') {
            let part = soon(self.bytes.next()).await.unwrap().unwrap();
            self.rest.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// Everything until the end.
    pub(crate) async fn all(mut self) -> Vec<SentEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(block: &str) -> Option<SentEvent> {
    let field =
        |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned());
    Some(SentEvent { id: field("id:").unwrap_or_default(), data: field("data:")? })
}

/// The text in all of them.
pub(crate) fn text(events: &[SentEvent]) -> String {
    events.iter().filter(|event| event.data != "[DONE]").map(SentEvent::text).collect()
}
