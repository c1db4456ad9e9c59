//! JetStream's API: JSON questions and answers, and what its error codes mean here.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    line::{Line, Unheard},
    tries::{ANSWER_WAIT, Tries},
};
use crate::log::Error;

/// What every API subject begins with.
const PREFIX: &str = "$JS.API";

/// The server's error codes that mean something to us.
pub(super) mod code {
    /// The server or its leader is not ready.
    pub(crate) const UNAVAILABLE: u64 = 10008;
    /// No such message.
    pub(crate) const NO_MESSAGE: u64 = 10037;
    /// The configuration is not valid, or cannot be reached from the present one.
    pub(crate) const INVALID_CONFIG: u64 = 10052;
    /// A stream of that name exists with another configuration.
    pub(crate) const NAME_TAKEN: u64 = 10058;
    /// No such stream.
    pub(crate) const NO_STREAM: u64 = 10059;
    /// Another stream takes some of these subjects.
    pub(crate) const SUBJECTS_TAKEN: u64 = 10065;
    /// An expected sequence is not the last one.
    pub(crate) const WRONG_LAST_SEQUENCE: u64 = 10071;
    /// A message with this id is being stored just now.
    pub(crate) const ID_IN_PROCESS: u64 = 10158;
    /// Something else for this aggregate is being stored just now.
    pub(crate) const AGGREGATE_IN_PROCESS: u64 = 10164;
    /// Messages of the batch are missing, its first one perhaps refused.
    pub(crate) const BATCH_INCOMPLETE: u64 = 10176;
    /// The batch holds an id that is stored already.
    pub(crate) const BATCH_DUPLICATE: u64 = 10201;
    /// Too many batches are under way.
    pub(crate) const BATCHES_TOO_MANY: u64 = 10211;
}

/// An error as the server says it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ApiError {
    /// As HTTP has it.
    pub(super) code: u64,
    /// Which error exactly.
    #[serde(default)]
    pub(super) err_code: u64,
    /// For people.
    #[serde(default)]
    pub(super) description: String,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (JetStream error {})", self.description, self.err_code)
    }
}

/// Why an API question failed.
#[derive(Debug)]
pub(super) enum ApiFailure {
    /// The server said no.
    Said(ApiError),
    /// There was no answer.
    Unheard(Unheard),
}

impl ApiFailure {
    /// What it means to whoever asked about `stream`.
    pub(super) fn about(self, stream: &str) -> Error {
        match self {
            Self::Said(error) => refusal(stream, &error),
            Self::Unheard(unheard) => unheard_about(unheard),
        }
    }

    /// Whether the server said `code`.
    pub(super) fn said(&self, code: u64) -> bool {
        matches!(self, Self::Said(error) if error.err_code == code)
    }
}

/// What an error of the server means to whoever asked about `stream`.
pub(super) fn refusal(stream: &str, error: &ApiError) -> Error {
    match error.err_code {
        code::NO_STREAM => Error::NoStream(stream.to_owned()),
        code::UNAVAILABLE => Error::Unanswered(error.to_string()),
        _ => Error::Refused(format!("stream {stream}: {error}")),
    }
}

/// What the lack of an answer means to whoever asked.
pub(super) fn unheard_about(unheard: Unheard) -> Error {
    match unheard {
        Unheard::Denied(text) | Unheard::Invalid(text) => Error::Refused(text),
        Unheard::Lost(text) => Error::Unanswered(text),
        Unheard::Nobody => {
            Error::Unanswered("JetStream does not answer: is it enabled on the server?".to_owned())
        }
    }
}

/// The subject of an API question.
pub(super) fn subject(verb: &str) -> String {
    format!("{PREFIX}.{verb}")
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Error { error: ApiError },
    Good(T),
}

/// Asks the API; a lost answer is asked for again, so the question must bear repetition.
pub(super) async fn ask<T: DeserializeOwned>(
    line: &Line,
    verb: &str,
    question: &impl Serialize,
) -> Result<T, ApiFailure> {
    let subject = subject(verb);
    let question: Bytes = serde_json::to_vec(question).expect("API questions are plain JSON").into();
    let mut tries = Tries::default();
    loop {
        match line.ask(&subject, None, question.clone(), ANSWER_WAIT).await {
            Ok(message) => return read(&message.payload),
            Err(unheard @ (Unheard::Lost(_) | Unheard::Nobody)) => {
                if !tries.again().await {
                    return Err(ApiFailure::Unheard(unheard));
                }
            }
            Err(unheard) => return Err(ApiFailure::Unheard(unheard)),
        }
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ApiFailure> {
    match serde_json::from_slice(payload) {
        Ok(Answer::Good(answer)) => Ok(answer),
        Ok(Answer::Error { error }) => Err(ApiFailure::Said(error)),
        Err(error) => {
            Err(ApiFailure::Unheard(Unheard::Lost(format!("the server's answer cannot be read: {error}"))))
        }
    }
}

/// What `STREAM.INFO` says, as far as we want to know.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StreamInfo {
    /// The configuration, whole, since an update must send back what it does not change.
    pub(super) config: serde_json::Map<String, serde_json::Value>,
    /// When the stream was made: another time, another stream.
    pub(super) created: String,
    /// What it holds.
    pub(super) state: StreamState,
}

/// What a stream holds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct StreamState {
    /// Sequence of the first message that is still there.
    pub(super) first_seq: u64,
    /// Sequence of the last message.
    pub(super) last_seq: u64,
    /// Messages that are still there.
    pub(super) messages: u64,
}

/// Asks for a stream's configuration and state.
pub(super) async fn info(line: &Line, stream: &str) -> Result<StreamInfo, ApiFailure> {
    ask(line, &format!("STREAM.INFO.{stream}"), &serde_json::json!({})).await
}
