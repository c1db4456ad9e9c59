//! Embeddings with a real model: what a caller can rely on.

mod support;

use lowland_engine::{Cancel, EmbedInput, Engine, Error, Prompt};
use support::{config, greedy, model, smollm, start, user};

fn minilm() -> Engine {
    Engine::load(&model("all-minilm-l6-v2"), &config(1)).expect("the model loads")
}

fn text(text: &str) -> EmbedInput {
    EmbedInput::Text(text.to_owned())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn alike_texts_are_close_and_unlike_ones_are_not() {
    let engine = minilm();
    let inputs =
        ["A cat sits on the mat.", "A kitten is sitting on a rug.", "Interest rates rose by half a percent."]
            .map(text);
    let found = engine.embed(&inputs, &Cancel::default()).unwrap();
    let [cat, kitten, rates] = found.vectors.try_into().unwrap();
    assert!(
        cosine(&cat, &kitten) > 0.6 && cosine(&cat, &rates) < 0.2,
        "{} {}",
        cosine(&cat, &kitten),
        cosine(&cat, &rates)
    );
    assert_eq!(cat.len(), 384);
    assert!((cosine(&cat, &cat) - 1.0).abs() < 1e-5, "length one");
}

#[test]
fn a_text_alone_or_in_a_batch_is_the_same() {
    let engine = minilm();
    let words = "the quick brown fox jumps over a lazy dog while seven wizards brew strong coffee at dawn";
    let inputs: Vec<EmbedInput> =
        (1..=16).map(|count| text(&words.split(' ').take(count).collect::<Vec<_>>().join(" "))).collect();
    let together = engine.embed(&inputs, &Cancel::default()).unwrap();
    let mut tokens = 0;
    for (input, vector) in inputs.iter().zip(&together.vectors) {
        let alone = engine.embed(std::slice::from_ref(input), &Cancel::default()).unwrap();
        let apart = alone.vectors[0].iter().zip(vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "{apart}");
        tokens += alone.prompt_tokens;
    }
    assert_eq!(together.prompt_tokens, tokens);
    assert_eq!(
        engine.embed(&[text("hello")], &Cancel::default()).unwrap().prompt_tokens,
        3,
        "framing counts"
    );
    assert_eq!(engine.count(&Prompt::Text("hello".to_owned())).unwrap(), 3);
}

#[test]
fn tokens_are_taken_as_they_are() {
    let engine = minilm();
    // [CLS] hello [SEP]
    let inputs = [EmbedInput::Tokens(vec![101, 7592, 102]), text("hello")];
    let found = engine.embed(&inputs, &Cancel::default()).unwrap();
    assert!((cosine(&found.vectors[0], &found.vectors[1]) - 1.0).abs() < 1e-5);
}

#[test]
fn what_can_not_be_read_whole_is_refused_by_its_index() {
    let engine = minilm();
    let limit = engine.manifest().context_tokens;
    let error = engine.embed(&[text("short"), text(&"long ".repeat(limit))], &Cancel::default()).unwrap_err();
    assert!(
        matches!(error, Error::InputTooLong { index: 1, tokens, limit: most } if tokens == limit + 2 && most == limit),
        "{error}"
    );
    for bad in [EmbedInput::Tokens(Vec::new()), EmbedInput::Tokens(vec![u32::MAX])] {
        let error = engine.embed(&[bad], &Cancel::default()).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "input", .. }), "{error}");
    }
}

#[test]
fn cancelling_stops_before_the_next_batch() {
    let cancel = Cancel::default();
    cancel.cancel();
    assert!(matches!(minilm().embed(&[text("never read")], &cancel), Err(Error::Cancelled)));
}

#[test]
fn each_model_does_its_own_task() {
    let refused = start(&minilm(), greedy(user("Hello"), 1)).err();
    assert!(matches!(refused, Some(Error::Task { .. })), "{refused:?}");
    let refused = smollm(1).embed(&[text("hello")], &Cancel::default());
    assert!(matches!(refused, Err(Error::Task { .. })), "{refused:?}");
}
