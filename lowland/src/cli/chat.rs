//! `lowland chat`: a conversation in the terminal, through the gateway's HTTP API.

use std::{
    io::{BufRead, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use futures::StreamExt;
use lowland_events::job::Message;
use serde_json::{Value, json};

use super::{
    Context, block_on,
    submit::{Ask, DEFAULT_MODEL},
};
use crate::{
    client::{self, sse::Events},
    paint::Paint,
    supervise::state::Up,
};

/// How freely the model chooses, unless said otherwise: small models ramble at the API's own default of 1.
const TEMPERATURE: f32 = 0.3;

/// Talk with a model; the answer streams
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland chat                              a conversation; an empty line or Ctrl-D ends it, Ctrl-C ends an answer
  lowland chat 'Name three rivers'          one question, one answer
  lowland chat --model my-model --temperature 0 --system 'Answer in French.'")]
pub struct Args {
    /// One question, instead of a conversation
    question: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let up = client::reachable(&context.data(), &context.env)?;
    let mut chat = Chat::new(up, args.ask)?;
    block_on(async {
        match args.question {
            Some(question) => chat.turn(&question).await?,
            None => chat.converse().await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

struct Chat {
    http: reqwest::Client,
    url: String,
    key: String,
    ask: Ask,
    history: Vec<Message>,
}

impl Chat {
    fn new(up: Up, ask: Ask) -> Result<Self> {
        let Some(gateway) = up.gateway_url else {
            bail!("no gateway runs here; `lowland submit` needs none")
        };
        let url = format!("{gateway}/v1/chat/completions");
        Ok(Self { http: reqwest::Client::new(), url, key: up.api_key, ask, history: Vec::new() })
    }

    async fn converse(&mut self) -> Result<()> {
        let paint = Paint::for_stdout();
        let interactive = std::io::stdin().is_terminal();
        let mut lines = std::io::stdin().lock().lines();
        loop {
            if interactive {
                print!("{} ", paint.bold(">"));
                std::io::stdout().flush()?;
            }
            match lines.next().transpose()? {
                Some(line) if !line.trim().is_empty() => self.turn(line.trim()).await?,
                _ => return Ok(()),
            }
        }
    }

    /// One question and its answer, which becomes part of the conversation, as far as it came.
    async fn turn(&mut self, question: &str) -> Result<()> {
        if self.history.is_empty() {
            self.history = self.ask.messages(question);
        } else {
            self.history.push(Message { role: "user".into(), content: question.into() });
        }
        let mut answer = String::new();
        let body = self.body();
        let stopped = tokio::select! {
            done = self.answer(&body, &mut answer) => { done?; false }
            _ = tokio::signal::ctrl_c() => true, // the connection goes, and the gateway cancels the job
        };
        println!("{}", if stopped { " [stopped]" } else { "" });
        self.history.push(Message { role: "assistant".into(), content: answer });
        Ok(())
    }

    fn body(&self) -> Value {
        let messages: Vec<Value> = self
            .history
            .iter()
            .map(|message| json!({ "role": message.role, "content": message.content }))
            .collect();
        let mut body = json!({ "model": self.ask.model.as_deref().unwrap_or(DEFAULT_MODEL), "messages": messages, "stream": true });
        for (name, value) in [
            ("max_tokens", self.ask.max_tokens.map(Value::from)),
            ("temperature", Some(self.ask.temperature.unwrap_or(TEMPERATURE).into())),
            ("seed", self.ask.seed.map(Value::from)),
        ] {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        body
    }

    async fn answer(&self, body: &Value, answer: &mut String) -> Result<()> {
        let sent = self.http.post(&self.url).bearer_auth(&self.key).json(body).send().await;
        let response = sent.with_context(|| format!("reaching {}", self.url))?;
        if !response.status().is_success() {
            bail!("{}", refusal(&response.text().await?));
        }
        let (mut bytes, mut events) = (response.bytes_stream(), Events::default());
        while let Some(chunk) = bytes.next().await {
            for data in events.take(&chunk?) {
                if let Some(text) = delta(&data)? {
                    answer.push_str(&text);
                    print!("{text}");
                    std::io::stdout().flush()?;
                }
            }
        }
        Ok(())
    }
}

/// The text in one event of the stream; an error where it carries one.
fn delta(data: &str) -> Result<Option<String>> {
    let Ok(event) = serde_json::from_str::<Value>(data) else { return Ok(None) };
    if event.get("error").is_some() {
        bail!("{}", refusal(data));
    }
    Ok(event["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
}

/// The message of an error in OpenAI's shape, or the text as it is.
fn refusal(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    value["error"]["message"].as_str().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_errors_are_told_apart() {
        assert_eq!(delta(r#"{"choices":[{"delta":{"content":"hi"}}]}"#).unwrap(), Some("hi".into()));
        assert_eq!(delta("[DONE]").unwrap(), None);
        assert_eq!(delta(r#"{"choices":[],"usage":{}}"#).unwrap(), None);
        let error = delta(r#"{"error":{"message":"no"}}"#).unwrap_err();
        assert_eq!(error.to_string(), "no");
    }
}
