//! Every bad request gets a message that says what, where, and what would be right.

use lowland_events::{
    EventId, Money, Time,
    id::InstanceId,
    instance::Ready,
    job::Message,
    meter::{Meter, Usage},
    request::OneOrMany,
};

use super::*;
use crate::given::{Given, key, ready};

/// Models `smol` (writes text, context of 1000 tokens) and `mini` (vectors, context of 100).
fn fleet() -> Fleet {
    let embed = Ready { ability: Ability::Embed, context_tokens: 100, ask: Money(1), ..ready("w2", "w2-p") };
    let mini = ModelId::new("mini").unwrap();
    let subject = lowland_events::Subject::instance(&mini, &InstanceId::new("w2-p-m").unwrap(), "ready");
    Given::a_worker().event(subject, embed).state.fleet().clone()
}

fn incoming() -> Incoming {
    Incoming {
        id: EventId::of_record("REQUESTS", 5),
        sequence: 5,
        stored_at: Time(1000),
        traceparent: None,
        key: key("acme/j1"),
        ask: crate::incoming::Ask::Post(Box::new(Ok(Posted::default()))),
        delivered: 1,
    }
}

fn chat() -> Posted {
    let messages = vec![Message { role: "user".into(), content: "Hi".into() }];
    Posted { model: "smol".into(), messages: Some(messages), ..Posted::default() }
}

fn embed() -> Posted {
    Posted { model: "mini".into(), input: Some(OneOrMany::One("a text".into())), ..Posted::default() }
}

fn admitted(posted: &Posted) -> Submitted {
    admit(&fleet(), &Config::default(), &incoming(), posted).unwrap()
}

/// Code, field and message of what is wrong.
fn wrong(posted: &Posted) -> (ProblemCode, String, String) {
    let problem = admit(&fleet(), &Config::default(), &incoming(), posted).unwrap_err();
    (problem.code, problem.field.unwrap_or_default(), problem.message)
}

#[test]
fn defaults_are_spelt_out() {
    let submitted = admitted(&chat());
    let sampling = submitted.sampling.unwrap();
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (1.0, 1.0, 0));
    assert_eq!((sampling.min_p, sampling.repetition_penalty), (0.0, 1.0));
    assert_eq!((sampling.max_tokens, sampling.logprobs), (None, None));
    assert_eq!(submitted.deadline, Time(1000).plus_ms(DEADLINE_MS_DEFAULT));
    assert_eq!(submitted.request_sequence, 5);
    assert_eq!(admitted(&embed()).sampling, None);
}

#[test]
fn the_seed_of_a_job_is_its_own() {
    let seed = |job: &str| {
        let incoming = Incoming { key: key(job), ..incoming() };
        admit(&fleet(), &Config::default(), &incoming, &chat()).unwrap().sampling.unwrap().seed
    };
    // The first eight bytes of SHA-256("acme/j1"), by another implementation.
    assert_eq!(seed("acme/j1"), 0x52ae_64be_5b62_01c0);
    assert_ne!(seed("acme/j1"), seed("acme/j2"));
    let given = Posted { seed: Some(7), ..chat() };
    assert_eq!(admitted(&given).sampling.unwrap().seed, 7);
}

#[test]
fn bounds_cover_the_most_that_a_job_can_use() {
    let of = |input, output| Usage::of([(Meter::InputTokens, input), (Meter::OutputTokens, output)]);
    assert_eq!(admitted(&chat()).bounds, of(6 + TOKENS_PER_MESSAGE + TEMPLATE_TOKENS, 1000));
    assert_eq!(admitted(&Posted { max_tokens: Some(9), ..chat() }).bounds.output_tokens(), 9);
    assert_eq!(admitted(&Posted { max_tokens: Some(u32::MAX), ..chat() }).bounds.output_tokens(), 1000);
    let long = Posted { messages: None, prompt: Some("x".repeat(5000)), ..chat() };
    assert_eq!(admitted(&long).bounds.quantity(Meter::InputTokens), 1000);
    let texts = OneOrMany::Many(vec!["four".into(), "x".repeat(500)]);
    let bounds = admitted(&Posted { input: Some(texts), ..embed() }).bounds;
    assert_eq!(bounds, Usage::of([(Meter::EmbeddingTokens, 4 + TOKENS_PER_INPUT + 100)]));
}

#[test]
fn unknown_models_are_told_what_there_is() {
    let (code, field, message) = wrong(&Posted { model: "gpt 9".into(), ..chat() });
    assert_eq!((code, field.as_str()), (ProblemCode::UnknownModel, "model"));
    assert_eq!(message, "model \"gpt 9\" is not known; on offer: mini, smol");
    let none = admit(&Fleet::default(), &Config::default(), &incoming(), &chat()).unwrap_err();
    assert_eq!(none.message, "model \"smol\" is not known; no worker has offered any yet");
}

#[test]
fn a_model_is_asked_for_what_it_can_do() {
    let (code, field, message) = wrong(&Posted { model: "mini".into(), ..chat() });
    assert_eq!((code, field.as_str()), (ProblemCode::WrongTask, "messages"));
    assert!(message.contains("turns texts into vectors; give `input`"), "{message}");
    let (code, field, message) = wrong(&Posted { model: "smol".into(), ..embed() });
    assert_eq!((code, field.as_str()), (ProblemCode::WrongTask, "input"));
    assert!(message.contains("writes text; give `messages` or `prompt`"), "{message}");
}

#[test]
fn exactly_one_thing_is_to_be_done() {
    let nothing = Posted { messages: None, ..chat() };
    assert!(wrong(&nothing).2.starts_with("nothing to do; give `messages`"));
    let both = Posted { prompt: Some("x".into()), ..chat() };
    assert!(wrong(&both).2.ends_with("give exactly one"));
}

#[test]
fn numbers_have_ranges() {
    let cases: [(Posted, &str, &str); 12] = [
        (
            Posted { temperature: Some(2.1), ..chat() },
            "temperature",
            "2.1 is out of range: 0 to 2 is allowed",
        ),
        (Posted { temperature: Some(f32::NAN), ..chat() }, "temperature", "0 to 2"),
        (Posted { top_p: Some(0.0), ..chat() }, "top_p", "above 0, up to 1"),
        (Posted { top_p: Some(1.5), ..chat() }, "top_p", "above 0, up to 1"),
        (Posted { min_p: Some(-0.1), ..chat() }, "min_p", "0 to 1"),
        (Posted { repetition_penalty: Some(0.0), ..chat() }, "repetition_penalty", "above 0, up to 2"),
        (Posted { presence_penalty: Some(-2.5), ..chat() }, "presence_penalty", "-2 to 2"),
        (Posted { frequency_penalty: Some(3.0), ..chat() }, "frequency_penalty", "-2 to 2"),
        (Posted { max_tokens: Some(0), ..chat() }, "max_tokens", "1 or more"),
        (Posted { logprobs: Some(21), ..chat() }, "logprobs", "0 to 20"),
        (Posted { deadline_ms: Some(0), ..chat() }, "deadline_ms", "1 to 86400000 (24 hours)"),
        (Posted { deadline_ms: Some(u64::MAX), ..chat() }, "deadline_ms", "1 to 86400000 (24 hours)"),
    ];
    for (posted, field, range) in cases {
        let (code, at, message) = wrong(&posted);
        assert_eq!((code, at.as_str()), (ProblemCode::InvalidRequest, field));
        assert!(message.contains(range), "{field}: {message}");
    }
}

#[test]
fn texts_have_bounds() {
    let many = |n: usize, text: &str| Some(OneOrMany::Many(vec![text.to_owned(); n]));
    let role = |role: &str| Some(vec![Message { role: role.into(), content: String::new() }]);
    let too_many_messages = Some(vec![chat().messages.unwrap().remove(0); MESSAGES_MAX + 1]);
    let cases: [(Posted, ProblemCode, &str); 10] = [
        (Posted { messages: Some(vec![]), ..chat() }, ProblemCode::InvalidRequest, "messages"),
        (Posted { messages: role(""), ..chat() }, ProblemCode::InvalidRequest, "messages[0].role"),
        (Posted { messages: too_many_messages, ..chat() }, ProblemCode::TooLong, "messages"),
        (
            Posted { messages: None, prompt: Some(String::new()), ..chat() },
            ProblemCode::InvalidRequest,
            "prompt",
        ),
        (
            Posted { messages: None, prompt: Some("x".repeat(TEXT_BYTES_MAX + 1)), ..chat() },
            ProblemCode::TooLong,
            "prompt",
        ),
        (Posted { stop: many(1, ""), ..chat() }, ProblemCode::InvalidRequest, "stop[0]"),
        (Posted { stop: many(STOPS_MAX + 1, "x"), ..chat() }, ProblemCode::InvalidRequest, "stop"),
        (Posted { input: many(0, ""), ..embed() }, ProblemCode::InvalidRequest, "input"),
        (Posted { input: many(2, ""), ..embed() }, ProblemCode::InvalidRequest, "input[0]"),
        (Posted { input: many(INPUTS_MAX + 1, "x"), ..embed() }, ProblemCode::TooLong, "input"),
    ];
    for (posted, code, field) in cases {
        let (given, at, message) = wrong(&posted);
        assert_eq!((given, at.as_str()), (code, field), "{message}");
        assert!(!message.is_empty());
    }
    admitted(&Posted { messages: None, prompt: Some("x".repeat(TEXT_BYTES_MAX)), ..chat() });
}

#[test]
fn a_log_with_small_messages_takes_less_text() {
    let config = Config::default().for_payloads_of(4096);
    let posted = Posted { messages: None, prompt: Some("x".repeat(2049)), ..chat() };
    let problem = admit(&fleet(), &config, &incoming(), &posted).unwrap_err();
    assert_eq!(problem.message, "2049 bytes of text; at most 2048 are allowed");
}

#[test]
fn sampling_does_not_apply_to_embeddings() {
    let (code, field, message) = wrong(&Posted { temperature: Some(0.5), ..embed() });
    assert_eq!((code, field.as_str()), (ProblemCode::InvalidRequest, "temperature"));
    assert_eq!(message, "it does not apply to embeddings; leave it out");
}

#[test]
fn regions_are_ids_that_have_the_model() {
    let regions =
        |names: &[&str]| Posted { regions: names.iter().map(|&n| n.to_owned()).collect(), ..chat() };
    assert_eq!(admitted(&regions(&["local", "eu", "local"])).regions.len(), 2);
    let (code, field, message) = wrong(&regions(&["local", "e.u"]));
    assert_eq!((code, field.as_str()), (ProblemCode::InvalidRequest, "regions[1]"));
    assert!(message.contains("region id"), "{message}");
    let (code, field, message) = wrong(&regions(&["eu"]));
    assert_eq!((code, field.as_str()), (ProblemCode::NoPlace, "regions"));
    assert_eq!(message, "no allowed region has ever had model \"smol\"; on offer: local");
    assert_eq!(wrong(&regions(&["x"; REGIONS_MAX + 1])).1, "regions");
}

#[test]
fn messages_stay_bearable() {
    let error = BodyError::new("model", "ä".repeat(100_000));
    let problem = unreadable(&error);
    assert_eq!((problem.code, problem.field.as_deref()), (ProblemCode::InvalidRequest, Some("model")));
    assert!(problem.message.len() < 1100 && problem.message.ends_with(" ..."));
}
