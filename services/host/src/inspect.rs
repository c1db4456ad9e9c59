//! Asking a running service for its state. Its own loop answers, between two events, through its [`Fold`]: so what it says
//! is the state at exactly one position of the log.
//!
//! Operators ask, by `GET /state` on the health port; what services know of each other they read from the log. Nothing
//! is computed unless somebody asks: the loop encodes the state, which costs what a snapshot costs, and the hash is made
//! beside it.

use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use lowland_events::{id::ServiceId, snapshot::Snapshot};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{Fold, Keep};

/// Longest wait for the loop to come to a question.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Questions that may wait for the loop at once.
const QUESTIONS_MAX: usize = 4;

/// Where the answer goes.
type Question = oneshot::Sender<Snapshot>;

/// The way to a service's state, from before there is one. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Inspection(Arc<Mutex<Option<mpsc::Sender<Question>>>>);

/// What a service says of its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The service.
    pub service: ServiceId,
    /// The stream that it folds.
    pub stream: String,
    /// Sequence of the last event that the state includes.
    pub position: u64,
    /// Version of the logic that folded.
    pub logic_version: u32,
    /// SHA-256 of the state's canonical encoding, in hexadecimal digits.
    pub hash: String,
    /// Size of that encoding, in bytes.
    pub bytes: u64,
}

/// Why a state cannot be told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// Nothing is folded (yet).
    #[error("there is no state: the service is still folding the log, or is one that folds none")]
    NoState,
    /// Others ask already.
    #[error("the service is busy with earlier questions for its state")]
    Crowded,
    /// The loop does something that takes long.
    #[error("the service is busy: it has not come to the question within {} s", ANSWER_WAIT.as_secs())]
    Busy,
}

impl Inspection {
    /// The state as of now, with its hash.
    pub async fn look(&self) -> Result<Seen, Unseen> {
        let questions = self.slot().clone().ok_or(Unseen::NoState)?;
        let (question, answer) = oneshot::channel();
        questions.try_send(question).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unseen::Crowded,
            mpsc::error::TrySendError::Closed(_) => Unseen::NoState,
        })?;
        let snapshot = match timeout(ANSWER_WAIT, answer).await {
            Ok(answer) => answer.map_err(|_| Unseen::NoState)?,
            Err(_) => return Err(Unseen::Busy),
        };
        let seen = tokio::task::spawn_blocking(move || Seen::of(&snapshot)).await;
        seen.map_err(|_| Unseen::NoState)
    }

    /// Questions come here from now on, and no longer to an earlier fold.
    fn open(&self) -> mpsc::Receiver<Question> {
        let (sender, receiver) = mpsc::channel(QUESTIONS_MAX);
        *self.slot() = Some(sender);
        receiver
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Question>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            service: snapshot.service.clone(),
            stream: snapshot.stream.clone(),
            position: snapshot.position,
            logic_version: snapshot.logic_version,
            hash: snapshot.state_hash(),
            bytes: snapshot.state.len() as u64,
        }
    }
}

/// A fold's ear.
pub(crate) struct Inspector<S> {
    questions: mpsc::Receiver<Question>,
    service: ServiceId,
    take: fn(ServiceId, &str, u64, &S) -> Snapshot,
}

impl<S: Keep> Fold<S> {
    /// Answers questions for its state from now on, whenever it waits for the next event.
    #[must_use]
    pub fn answering(mut self, inspection: &Inspection, service: &ServiceId) -> Self {
        self.inspector = Some(Inspector {
            questions: inspection.open(),
            service: service.clone(),
            take: |service, stream, position, state| {
                Snapshot::of(service, stream, position, S::LOGIC_VERSION, state)
            },
        });
        self
    }
}

impl<S> Inspector<S> {
    /// Answers one question; whoever asked may have gone.
    pub(crate) fn answer(&self, question: Question, stream: &str, position: u64, state: &S) {
        let _ = question.send((self.take)(self.service.clone(), stream, position, state));
    }
}

/// The next question, if ever there is one. Cancel-safe.
pub(crate) async fn asked<S>(inspector: &mut Option<Inspector<S>>) -> Question {
    let question = match inspector {
        Some(inspector) => inspector.questions.recv().await,
        None => None,
    };
    match question {
        Some(question) => question,
        None => pending().await,
    }
}

/// `GET /state`: what is seen as JSON, or 503 and why not.
pub(crate) fn routes(inspection: Inspection) -> Router {
    Router::new().route("/state", get(show)).with_state(inspection)
}

async fn show(State(inspection): State<Inspection>) -> axum::response::Response {
    match inspection.look().await {
        Ok(seen) => Json(seen).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
