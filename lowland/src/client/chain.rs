//! A job's events in order, a line each: what was decided, by whom, and why. Pure, but for reading them.

use std::time::Duration;

use anyhow::Result;
use lowland_events::{
    Domain, Event, Filter, Stored,
    account::{Charged, Event as Account},
    id::{AccountId, JobId},
    instance::Event as Instance,
    job::{Event as Job, Verdict},
    log::{SharedLog, Start},
    meter::{Meter, Usage},
    metric::{Event as Metric, Sampled},
    request::{Event as Request, OneOrMany},
    stream,
    token::{Event as Token, Published},
};
use tokio::time::timeout;

/// Longest wait for billing to settle a job that has ended.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// A line of the chain.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Place in the log.
    pub sequence: u64,
    /// Time since the first line, in milliseconds.
    pub after_ms: u64,
    /// Domain and name.
    pub event: String,
    /// The service that wrote it.
    pub by: String,
    /// What it says, shortened.
    pub what: String,
}

/// Reads the job's events and those of its money, up to the last of them: until its hold is released, or charged whole,
/// or for some seconds.
pub async fn read(log: &SharedLog, account: &AccountId, job: &JobId, from: u64) -> Result<Vec<Stored>> {
    let filters = [
        Filter::aggregate(Domain::Job, account.as_str(), job.as_str()),
        Filter::scope(Domain::Account, account.as_str()),
    ];
    let mut follow = log.follow(stream::LOG, &filters, Start::At(from)).await?;
    let mut chain = Vec::new();
    let settled = async {
        while !is_settled(&chain) {
            if let Ok(stored) = Stored::try_from(&follow.next().await?)
                && concerns(&stored, job)
            {
                chain.push(stored);
            }
        }
        anyhow::Ok(())
    };
    if let Ok(result) = timeout(SETTLED_WITHIN, settled).await {
        result?;
    }
    Ok(chain)
}

pub(crate) fn concerns(stored: &Stored, job: &JobId) -> bool {
    match &stored.event {
        Event::Account(Account::HoldPlaced(body)) => body.job == *job,
        Event::Account(Account::Charged(body)) => body.job == *job,
        Event::Account(Account::HoldReleased(body)) => body.job == *job,
        Event::Account(_) => false,
        _ => stored.subject.job_id().as_ref() == Some(job),
    }
}

/// Whether money was set aside for the job: its account says so, or a worker was given it.
pub(crate) fn was_held(chain: &[Stored]) -> bool {
    let tells = |event: &Event| {
        matches!(event, Event::Account(Account::HoldPlaced(_)) | Event::Job(Job::Held(_) | Job::Assigned(_)))
    };
    chain.iter().any(|stored| tells(&stored.event))
}

/// Whether a job ended as one for which nothing can have been set aside: refused before it waited for money, or for want of
/// it.
pub(crate) fn was_refused(chain: &[Stored]) -> bool {
    let refused = |event: &Event| matches!(event, Event::Job(Job::Rejected(_)));
    !was_held(chain) && chain.iter().any(|stored| refused(&stored.event))
}

/// Whether any of the events moved money.
pub(crate) fn was_moved(chain: &[Stored]) -> bool {
    chain.iter().any(|stored| matches!(stored.event, Event::Account(_)))
}

/// A job's money is settled when all that was set aside has been charged or given back; where nothing was, when it ended.
pub(crate) fn is_settled(chain: &[Stored]) -> bool {
    let mut held = None;
    for stored in chain {
        match &stored.event {
            Event::Account(Account::HoldPlaced(body)) => held = Some(body.amount),
            Event::Account(Account::Charged(body)) => {
                held = held.map(|held| held - body.amount - body.released.unwrap_or_default());
            }
            Event::Account(Account::HoldReleased(body)) => held = held.map(|held| held - body.amount),
            _ => {}
        }
    }
    let ended = chain.iter().any(|stored| super::watch::ends(&stored.event));
    ended && held.is_none_or(|held| held.0 == 0)
}

/// What the job cost, if it was charged.
pub fn charge(chain: &[Stored]) -> Option<&Charged> {
    chain.iter().find_map(|stored| match &stored.event {
        Event::Account(Account::Charged(body)) => Some(body),
        _ => None,
    })
}

/// The chain as lines.
pub fn lines(chain: &[Stored]) -> Vec<Line> {
    let began = chain.first().map(|stored| stored.meta.time).unwrap_or_default();
    chain
        .iter()
        .map(|stored| Line {
            sequence: stored.sequence,
            after_ms: stored.meta.time.ms_since(began),
            event: format!("{} {}", stored.subject.domain(), stored.event.name()),
            by: stored.meta.source.split('/').next().unwrap_or_default().to_owned(),
            what: what(&stored.event),
        })
        .collect()
}

/// What an event says, shortened to a line.
pub fn what(event: &Event) -> String {
    match event {
        Event::Job(job) => of_job(job),
        Event::Account(account) => of_account(account),
        Event::Request(request) => of_request(request),
        Event::Token(Token::Published(body)) => of_tokens(body),
        Event::Instance(instance) => of_instance(instance),
        Event::Metric(Metric::Sampled(body)) => of_sample(body),
        Event::Unknown(body) => {
            format!("version {}, which this build does not know: {} bytes", body.version, body.body.len())
        }
    }
}

fn of_request(request: &Request) -> String {
    match request {
        Request::Posted(body) => {
            let texts = |input: &OneOrMany| Vec::from(input.clone()).len();
            let asked = match (&body.messages, &body.prompt, &body.input) {
                (Some(messages), ..) => format!("a conversation of {}", counted(messages.len(), "message")),
                (_, Some(prompt), _) => format!("a text of {} bytes", prompt.len()),
                (.., Some(input)) => format!("{} to embed", counted(texts(input), "text")),
                (None, None, None) => "nothing".to_owned(),
            };
            format!("{}: {asked}", body.model)
        }
        Request::CancelRequested(body) => body.reason.clone().unwrap_or_else(|| "no reason given".into()),
        Request::TopupPosted(body) => {
            let reference = body.reference.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
            format!("{}{reference}", body.amount.to_units())
        }
        Request::Rejected(body) => body.problem.message.clone(),
    }
}

fn of_tokens(body: &Published) -> String {
    format!("{} from {}: {:?}", counted(body.tokens.len(), "token"), body.first, body.text)
}

fn of_instance(instance: &Instance) -> String {
    match instance {
        Instance::Ready(body) => format!(
            "on {} in {}: {} slots, context {}, asks {} a million, {}",
            body.worker,
            body.region,
            body.slots,
            body.context_tokens,
            body.ask.to_units(),
            body.provider
        ),
        Instance::Stopped(body) => body.reason.clone(),
        Instance::Lost(body) => format!("silent for {} ms: {}", body.silent_ms, body.reason),
    }
}

fn of_sample(body: &Sampled) -> String {
    let series = body.counters.len() + body.gauges.len() + body.histograms.len();
    let up = body.uptime_ms / 1000;
    if series == 0 { format!("up {up} s, alive") } else { format!("up {up} s, {series} figures") }
}

fn of_job(job: &Job) -> String {
    match job {
        Job::Submitted(body) => format!("{}, at most {}", body.model, usage(&body.bounds)),
        Job::Rejected(body) => body.problem.message.clone(),
        Job::Held(body) => format!("{} at price book {}", body.amount.to_units(), body.price_version),
        Job::Assigned(body) => {
            let chosen = body.considered.iter().find(|candidate| candidate.verdict == Verdict::Chosen);
            let slots = chosen.map_or(0, |candidate| candidate.free_slots);
            let others = body.considered.len() + body.considered_more as usize;
            format!("to {}, attempt {}: {slots} free slots; {others} considered", body.worker, body.attempt)
        }
        Job::Started(body) => format!("attempt {}, {} tokens taken over", body.attempt, body.resumed_tokens),
        Job::AttemptFailed(body) => format!("attempt {}: {}", body.attempt, body.problem.message),
        Job::CancelRequested(body) => body.reason.clone(),
        Job::Completed(body) => format!("{:?}: {}", body.finish, usage(&body.usage)).to_lowercase(),
        Job::Failed(body) => format!("after {} attempts: {}", body.attempts, body.problem.message),
        Job::Cancelled(body) => format!("{}: {}", body.reason, usage(&body.usage)),
        Job::Expired(body) => format!("deadline {}: {}", body.deadline, usage(&body.usage)),
    }
}

fn of_account(account: &Account) -> String {
    match account {
        Account::ToppedUp(body) => body.amount.to_units(),
        Account::HoldPlaced(body) => format!("{} set aside", body.amount.to_units()),
        Account::Charged(body) => {
            let back = body.released.map(|rest| format!(", {} given back", rest.to_units()));
            format!("{} for {}{}", body.amount.to_units(), body.outcome, back.unwrap_or_default())
        }
        Account::HoldReleased(body) => format!("{} given back", body.amount.to_units()),
    }
}

/// Quantities by meter, as people read them: `12 input tokens, 40 output tokens`.
pub fn usage(usage: &Usage) -> String {
    let quantities = usage.0.iter().map(|(meter, quantity)| self::meter(*meter, *quantity));
    let text = quantities.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "nothing".into() } else { text }
}

/// `1 token`, `2 tokens`.
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// One quantity as people read it: `12 input tokens`.
pub fn meter(meter: Meter, quantity: u64) -> String {
    let name = serde_json::to_value(meter).ok();
    let name = name.and_then(|name| name.as_str().map(|name| name.replace('_', " ")));
    format!("{quantity} {}", name.unwrap_or_default())
}
