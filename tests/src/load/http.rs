//! The gateway by plain HTTP: a stream begun, taken up again, a job cancelled.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// Longest wait for a connection, and for the next bytes of a stream that is alive (it sends comments).
const SILENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);

/// A client of the gateway.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    url: String,
}

/// What came of a request for a stream.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It flows; the job is promised.
    Flows(String, Response),
    /// The job came to this end, or never was: the error's code.
    Ended(String),
    /// Nothing was promised: try again.
    NotNow(String),
}

impl Http {
    /// A client of the gateway at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let client = Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).build();
        Self { client: client.expect("a client without TLS"), url: url.to_owned() }
    }

    /// Posts a job, once for each `once`, and asks for its text as it is written.
    pub(crate) async fn begin(&self, key: &str, once: &str, body: &Value) -> Opened {
        let mut body = body.clone();
        body["stream"] = true.into();
        let request = self.client.post(format!("{}/v1/completions", self.url));
        opened(request.bearer_auth(key).header("Idempotency-Key", once).json(&body)).await
    }

    /// Takes up the text of `job` after the event `last`.
    pub(crate) async fn resume(&self, key: &str, job: &str, last: &str) -> Opened {
        let request = self.client.get(format!("{}/v1/jobs/{job}/stream", self.url));
        opened(request.bearer_auth(key).header("Last-Event-ID", last)).await
    }

    /// Whether the wish to cancel `job` was taken.
    pub(crate) async fn cancel(&self, key: &str, job: &str) -> bool {
        let request = self.client.post(format!("{}/v1/jobs/{job}/cancel", self.url)).bearer_auth(key);
        request.send().await.is_ok_and(|response| response.status() == StatusCode::ACCEPTED)
    }

    /// Whether `url` answers 200.
    pub async fn answers(&self, url: &str) -> bool {
        self.client.get(url).send().await.is_ok_and(|response| response.status() == StatusCode::OK)
    }

    /// What `url` answers, as JSON.
    pub async fn json(&self, url: &str) -> Option<Value> {
        self.client.get(url).send().await.ok()?.json().await.ok()
    }
}

async fn opened(request: RequestBuilder) -> Opened {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Opened::NotNow(error.to_string()),
    };
    let status = response.status();
    if status == StatusCode::OK {
        let job = response.headers().get("x-lowland-job").and_then(|job| job.to_str().ok());
        let job = job.expect("a stream names its job").to_owned();
        return Opened::Flows(job, response);
    }
    match response.json::<Value>().await {
        Ok(error) => refused(&error),
        Err(error) => Opened::NotNow(format!("{status}: {error}")),
    }
}

/// Whether trying again helps, by the error's code.
fn refused(error: &Value) -> Opened {
    let code = code(error);
    match code.as_str() {
        "log_unavailable" | "overloaded" | "concurrency_limit_exceeded" => Opened::NotNow(error.to_string()),
        _ => Opened::Ended(code),
    }
}

/// The code of OpenAI's error object.
pub(crate) fn code(error: &Value) -> String {
    error["error"]["code"].as_str().map_or_else(|| error.to_string(), str::to_owned)
}
