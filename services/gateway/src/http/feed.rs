//! A session as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::stream;
use lowland_host::figures::Held;
use serde_json::Value;

use super::session::Session;
use crate::{
    error::ApiError,
    outcome,
    position::{Position, StreamId},
    render::Chunks,
    translate::Aliases,
    update::{End, Update},
};

/// What OpenAI's clients take for a stream's end.
const DONE: &str = "[DONE]";
/// Tells proxies not to gather a stream before they pass it on.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// A session as server-sent events.
pub(super) struct Feed {
    session: Session,
    chunks: Chunks,
    aliases: Aliases,
    events: VecDeque<Event>,
    over: bool,
    _open: Held,
}

impl Feed {
    /// The events of `session`; the first one says who speaks, unless the caller has that already.
    pub(super) fn new(session: Session, chunks: Chunks, aliases: Aliases, opened: bool) -> Self {
        let open = session.stream_opens();
        let mut feed = Self { session, chunks, aliases, events: VecDeque::new(), over: false, _open: open };
        if let Some(opening) = feed.chunks.opening().filter(|_| !opened) {
            feed.push(Position::default(), &opening);
        }
        feed
    }

    /// Takes in what happened to the job.
    pub(super) fn take(&mut self, update: Result<Update, ApiError>) {
        match update {
            Ok(Update::Progress) => {}
            Ok(Update::Delta(delta)) => {
                if let Some(piece) = self.chunks.piece(&delta) {
                    self.push(delta.end, &piece);
                }
            }
            Ok(Update::End(end)) => self.end(end),
            Err(error) => self.fail(&error),
        }
    }

    /// The response; `keep_alive` is the pause after which a comment is sent.
    pub(super) fn into_response(self, keep_alive: Duration) -> Response {
        let events = stream::unfold(self, |mut feed| async move {
            let event = feed.next().await?;
            Some((Ok::<_, Infallible>(event), feed))
        });
        let keep_alive = KeepAlive::new().interval(keep_alive).text("still at it");
        ([NO_BUFFERING], Sse::new(events).keep_alive(keep_alive)).into_response()
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            let update = self.session.next().await;
            self.take(update);
        }
    }

    fn end(&mut self, end: End) {
        let completed = match outcome::completed(end, &self.aliases) {
            Ok(completed) => completed,
            Err(error) => return self.fail(&error),
        };
        let at = self.session.watch().shown();
        self.push(at, &self.chunks.finish(completed.finish));
        if let Some(usage) = self.chunks.usage(&completed.usage) {
            self.push(at, &usage);
        }
        self.events.push_back(Event::default().data(DONE));
        self.over = true;
    }

    fn fail(&mut self, error: &ApiError) {
        self.events.push_back(Event::default().data(error.body().to_string()));
        self.over = true;
    }

    fn push(&mut self, at: Position, chunk: &Value) {
        let id = StreamId { job: self.session.watch().key().job.clone(), at };
        self.events.push_back(Event::default().id(id.to_string()).data(chunk.to_string()));
    }
}
