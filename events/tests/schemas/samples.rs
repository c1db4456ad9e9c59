//! One event of every type, with every field set, and a few variants: what the golden bytes are made of.

use std::collections::BTreeMap;

use lowland_events::{
    Event, Money, Time, account,
    id::{InstanceId, JobId, ModelId, RegionId, WorkerId},
    instance, job,
    meter::{Meter, Rates, Usage},
    metric, request, token,
};
use serde_bytes::ByteBuf;

/// An event, and the name of its variant; the first of a type has none.
pub(crate) struct Sample {
    pub(crate) variant: &'static str,
    pub(crate) event: Event,
}

fn sample(variant: &'static str, event: impl Into<Event>) -> Sample {
    Sample { variant, event: event.into() }
}

fn model() -> ModelId {
    ModelId::new("smollm2-135m-instruct").unwrap()
}

fn worker() -> WorkerId {
    WorkerId::new("w1").unwrap()
}

fn instance_id() -> InstanceId {
    InstanceId::new("w1-7f3a").unwrap()
}

fn job_id() -> JobId {
    JobId::new("j1").unwrap()
}

fn regions() -> Vec<RegionId> {
    ["eu-west", "us-east"].map(|region| RegionId::new(region).unwrap()).to_vec()
}

fn time() -> Time {
    Time(1_795_343_400_123_456)
}

fn usage() -> Usage {
    Usage::of([(Meter::InputTokens, 21), (Meter::CachedTokens, 16), (Meter::OutputTokens, 300)])
}

fn problem(code: job::ProblemCode) -> job::Problem {
    job::Problem {
        code,
        message: "model \"gpt\" is unknown; there are: smollm2-135m-instruct".to_owned(),
        field: Some("model".to_owned()),
    }
}

fn messages() -> Vec<job::Message> {
    [("system", "Be brief."), ("user", "What is a lowland? Grüße, 你好, \u{1f30a}")]
        .map(|(role, content)| job::Message { role: role.to_owned(), content: content.to_owned() })
        .to_vec()
}

fn sampling() -> job::Sampling {
    job::Sampling {
        max_tokens: Some(300),
        temperature: 0.75,
        top_p: 0.9,
        top_k: 40,
        min_p: 0.05,
        repetition_penalty: 1.1,
        presence_penalty: 0.25,
        frequency_penalty: -0.5,
        seed: u64::MAX,
        stop: vec!["\n\n".to_owned(), "END".to_owned()],
        logprobs: Some(2),
    }
}

fn submitted(task: job::Task) -> job::Submitted {
    job::Submitted {
        model: model(),
        task,
        sampling: Some(sampling()),
        regions: regions(),
        deadline: time().plus_ms(60_000),
        bounds: usage(),
        request_sequence: 7,
    }
}

fn chat() -> job::Task {
    job::Task::Chat { messages: messages() }
}

fn logprobs() -> Vec<job::TokenLogprob> {
    vec![job::TokenLogprob {
        token: 504,
        text: " low".to_owned(),
        logprob: -0.125,
        top: vec![(504, " low".to_owned(), -0.125), (260, " the".to_owned(), -2.5)],
    }]
}

fn output() -> job::Output {
    job::Output {
        text: "A lowland lies low.".to_owned(),
        tokens: vec![0, 504, 49_151],
        logprobs: logprobs(),
        vectors: vec![ByteBuf::from([0, 0, 128, 63, 0, 0, 0, 191])],
    }
}

fn postings() -> Vec<account::Posting> {
    [("customer:acme", -1_500_000), ("held:acme", 1_500_000)]
        .map(|(ledger, amount)| account::Posting { ledger: ledger.to_owned(), amount: Money(amount) })
        .to_vec()
}

fn rates() -> Rates {
    Rates(BTreeMap::from([
        (Meter::InputTokens, Money(100_000)),
        (Meter::CachedTokens, Money(50_000)),
        (Meter::OutputTokens, Money(400_000)),
    ]))
}

fn price_version() -> String {
    "2026-11".to_owned()
}

/// Every sample.
pub(crate) fn samples() -> Vec<Sample> {
    [requests(), jobs(), tokens(), instances(), accounts(), metrics()].into_iter().flatten().collect()
}

fn requests() -> Vec<Sample> {
    let many = |texts: [&str; 2]| request::OneOrMany::Many(texts.map(str::to_owned).to_vec());
    let posted = request::Posted {
        model: "smollm2-135m-instruct".to_owned(),
        messages: Some(messages()),
        max_tokens: Some(300),
        temperature: Some(0.75),
        top_p: Some(0.9),
        top_k: Some(40),
        min_p: Some(0.05),
        repetition_penalty: Some(1.1),
        presence_penalty: Some(0.25),
        frequency_penalty: Some(-0.5),
        seed: Some(u64::MAX),
        stop: Some(many(["\n\n", "END"])),
        logprobs: Some(2),
        regions: vec!["eu-west".to_owned()],
        deadline_ms: Some(60_000),
        ..request::Posted::default()
    };
    let least = request::Posted { model: "m".to_owned(), ..request::Posted::default() };
    let prompt = request::Posted { prompt: Some("Once".to_owned()), ..least.clone() };
    let one = request::OneOrMany::One("a text".to_owned());
    let embedding = request::Posted { input: Some(one), ..least.clone() };
    let embeddings = request::Posted { input: Some(many(["a", ""])), ..least };
    vec![
        sample("", posted),
        sample("prompt", prompt),
        sample("embedding", embedding),
        sample("embeddings", embeddings),
        sample("", request::CancelRequested { reason: Some("the caller went away".to_owned()) }),
        sample("without_reason", request::CancelRequested::default()),
        sample(
            "",
            request::TopupPosted { amount: Money(25_000_000), reference: Some("invoice 12".to_owned()) },
        ),
        sample("", request::Rejected { problem: problem(job::ProblemCode::IdUsed), request_sequence: 7 }),
    ]
}

fn jobs() -> Vec<Sample> {
    let embedding = job::Task::Embedding { input: vec!["a text".to_owned()] };
    let candidate = |verdict| job::Candidate {
        instance: instance_id(),
        worker: worker(),
        region: RegionId::new("eu-west").unwrap(),
        free_slots: 3,
        ask: Money(90_000),
        verdict,
    };
    let assigned = job::Assigned {
        worker: worker(),
        instance: instance_id(),
        attempt: 1,
        lease_ms: 2000,
        job: submitted(chat()),
        price_version: price_version(),
        considered: vec![candidate(job::Verdict::Chosen), candidate(job::Verdict::RegionNotAllowed)],
        considered_more: 9,
        decided_on: vec![job::Position { stream: "LOG".to_owned(), sequence: 41 }],
    };
    let failed = |retry| job::AttemptFailed {
        instance: instance_id(),
        attempt: 1,
        problem: problem(job::ProblemCode::WorkerLost),
        retry,
    };
    vec![
        sample("", submitted(chat())),
        sample("completion", submitted(job::Task::Completion { prompt: "Once upon a time".to_owned() })),
        sample("embedding", job::Submitted { sampling: None, regions: vec![], ..submitted(embedding) }),
        sample("", job::Rejected { problem: problem(job::ProblemCode::UnknownModel) }),
        sample("", job::Held { amount: Money(1_500_000), price_version: price_version() }),
        sample("", assigned),
        sample("", job::Started { instance: instance_id(), attempt: 2, resumed_tokens: 17 }),
        sample("", failed(true)),
        sample("final", failed(false)),
        sample(
            "",
            job::CancelRequested {
                instance: instance_id(),
                attempt: 2,
                reason: "no longer wanted".to_owned(),
            },
        ),
        sample("", completed(output())),
        sample("empty", completed(job::Output::default())),
        sample(
            "",
            job::Failed { problem: problem(job::ProblemCode::RetriesExhausted), attempts: 3, usage: usage() },
        ),
        sample("", job::Cancelled { reason: "the caller went away".to_owned(), usage: usage() }),
        sample("", job::Expired { deadline: time(), usage: Usage::default() }),
    ]
}

fn completed(output: job::Output) -> job::Completed {
    job::Completed {
        instance: instance_id(),
        attempt: 2,
        finish: job::Finish::Length,
        output,
        usage: usage(),
    }
}

fn tokens() -> Vec<Sample> {
    let published = token::Published {
        attempt: 2,
        first: 17,
        tokens: vec![504, 260],
        text: " low the".to_owned(),
        logprobs: logprobs(),
        usage: usage(),
    };
    let takeover =
        token::Published { tokens: vec![], text: String::new(), logprobs: vec![], ..published.clone() };
    vec![sample("", published), sample("takeover", takeover)]
}

fn instances() -> Vec<Sample> {
    let ready = instance::Ready {
        worker: worker(),
        process: InstanceId::new("w1-p3").unwrap(),
        region: RegionId::new("eu-west").unwrap(),
        ability: instance::Ability::Generate,
        slots: 8,
        context_tokens: 8192,
        ask: Money(90_000),
        provider: "cpu".to_owned(),
    };
    let embeds = instance::Ready { ability: instance::Ability::Embed, ..ready.clone() };
    vec![
        sample("", ready),
        sample("embeds", embeds),
        sample("", instance::Stopped { reason: "shutting down".to_owned() }),
        sample("", instance::Lost { silent_ms: 2100, reason: "no heartbeat".to_owned() }),
    ]
}

fn accounts() -> Vec<Sample> {
    let line = |meter, quantity, rate| account::ChargeLine { meter, quantity, rate: Money(rate) };
    let charged = account::Charged {
        job: job_id(),
        model: model(),
        amount: Money(123),
        lines: vec![line(Meter::InputTokens, 21, 100_000), line(Meter::OutputTokens, 300, 400_000)],
        price_version: price_version(),
        outcome: "completed".to_owned(),
        waived: Money(4),
        released: None,
        postings: postings(),
    };
    let huge = account::Charged { amount: Money(i128::MAX), waived: Money(i128::MIN), ..charged.clone() };
    let rest = account::Charged { released: Some(Money(1_499_877)), ..charged.clone() };
    vec![
        sample(
            "",
            account::ToppedUp {
                topup: JobId::new("t1").unwrap(),
                amount: Money(25_000_000),
                reference: Some("invoice 12".to_owned()),
                postings: postings(),
            },
        ),
        sample(
            "",
            account::HoldPlaced {
                job: job_id(),
                model: model(),
                amount: Money(1_500_000),
                price_version: price_version(),
                rates: rates(),
                bounds: usage(),
                postings: postings(),
            },
        ),
        sample("", charged),
        sample("with_rest", rest),
        sample("beyond_64_bits", huge),
        sample("", account::HoldReleased { job: job_id(), amount: Money(1_499_877), postings: postings() }),
    ]
}

/// 1.5 ms twice, 2.5 ms, 40 ms and 1.2 s, as PyPI's `hdrhistogram` 0.10.8 encodes them.
const FIVE_TIMES: [u8; 53] = [
    0x1c, 0x84, 0x93, 0x14, 0x00, 0x00, 0x00, 0x2d, 0x78, 0x9c, 0x93, 0x69, 0x99, 0x2c, 0xcc, 0xc0, 0xc0,
    0xc0, 0xc3, 0x00, 0x01, 0xcc, 0x50, 0x9a, 0x11, 0x88, 0x45, 0x64, 0xaf, 0x27, 0x30, 0xd8, 0x7f, 0x80,
    0x08, 0x6c, 0x17, 0x67, 0xe9, 0xe4, 0x61, 0xfa, 0x6b, 0xcf, 0x74, 0xdf, 0x8f, 0x09, 0x00, 0x93, 0x8e,
    0x07, 0xc4,
];

fn metrics() -> Vec<Sample> {
    let sampled = metric::Sampled {
        uptime_ms: 61_000,
        counters: BTreeMap::from([("jobs_completed".to_owned(), 12)]),
        gauges: BTreeMap::from([("slots_free".to_owned(), -1), ("queue".to_owned(), 3)]),
        histograms: BTreeMap::from([("ttft_us".to_owned(), ByteBuf::from([0x1c, 0x84, 0x93, 0x13, 0]))]),
    };
    let labelled = metric::Sampled {
        uptime_ms: 2000,
        counters: BTreeMap::from([(
            r#"vllm:request_success_total{model_name="m",finished_reason="stop"}"#.to_owned(),
            5,
        )]),
        gauges: BTreeMap::from([(r#"vllm:num_requests_running{model_name="m"}"#.to_owned(), 2)]),
        histograms: BTreeMap::from([(
            r#"vllm:time_to_first_token_seconds{model_name="m"}"#.to_owned(),
            ByteBuf::from(FIVE_TIMES),
        )]),
    };
    vec![sample("", sampled), sample("bare", metric::Sampled::default()), sample("labelled", labelled)]
}
