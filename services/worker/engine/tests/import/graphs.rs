//! The decoder's graph, for each way that it can differ, against logits recorded from an implementation in numpy.

use lowland_engine::import::Logits::{AllPositions, LastToken};
use lowland_engine::import::Options;
use lowland_engine::import::Precision::{Fp32, Int8};
use lowland_engine::import::gguf::File;

use super::gguf_file::GgufFile;
use super::golden::{self, Golden};
use super::run::{Decoder, Imported, distance, imported, options};

const MODELS: [&str; 4] = ["llama3", "linear", "qwen2", "qwen3"];
/// Logits go to about 20; floats are summed in another order than the reference's.
const CLOSE: f32 = 2e-4;

fn tiny(name: &str, options: &Options) -> Imported {
    imported(&golden::path(&format!("tiny-{name}.gguf")), options)
}

fn ids() -> Vec<i64> {
    Golden::open("tiny_logits.safetensors").integers("ids").into_iter().map(i64::from).collect()
}

fn expected(name: &str) -> Vec<f32> {
    Golden::open("tiny_logits.safetensors").floats(name)
}

#[test]
fn logits_are_the_references() {
    for name in MODELS {
        let model = tiny(name, &options(Fp32, AllPositions));
        let off = distance(&Decoder::new(&model).read(&ids()), &expected(name));
        assert!(off < CLOSE, "{name}: {off}");
    }
}

#[test]
fn eight_bits_stay_close() {
    for name in MODELS {
        let model = tiny(name, &options(Int8, AllPositions));
        let (got, want) = (Decoder::new(&model).read(&ids()), expected(name));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let cosine = dot(&got, &want) / (dot(&got, &got) * dot(&want, &want)).sqrt();
        assert!(cosine > 0.999, "{name}: {cosine}");
    }
}

#[test]
fn the_last_token_alone_is_the_same() {
    let model = tiny("llama3", &options(Fp32, LastToken));
    let want = expected("llama3");
    let got = Decoder::new(&model).read(&ids());
    let off = distance(&got, &want[want.len() - model.manifest.vocab..]);
    assert!(off < CLOSE, "{off}");
}

#[test]
fn steps_with_a_cache_give_what_one_reading_gives() {
    let model = tiny("qwen3", &options(Fp32, LastToken));
    let (ids, want, vocab) = (ids(), expected("qwen3"), model.manifest.vocab);
    let mut decoder = Decoder::new(&model);
    let (mut cache, mut begin) = (decoder.empty(1), 0);
    for length in [7, 1, 1, 9, 6] {
        let end = begin + length;
        let (got, next) = decoder.step(&[ids[begin..end].to_vec()], &[vec![1; end]], &cache);
        let off = distance(&got, &want[(end - 1) * vocab..end * vocab]);
        assert!(off < CLOSE, "up to {end}: {off}");
        (cache, begin) = (next, end);
    }
    assert_eq!(begin, ids.len());
}

#[test]
fn texts_of_different_lengths_go_together() {
    let model = tiny("llama3", &options(Fp32, LastToken));
    let (ids, want, vocab) = (ids(), expected("llama3"), model.manifest.vocab);
    let mut decoder = Decoder::new(&model);
    let lengths = [24, 5, 13];
    let padded = |length: usize, fill: &[i64]| [&fill[..length], &vec![0; 24 - length]].concat();
    let rows: Vec<_> = lengths.iter().map(|&length| padded(length, &ids)).collect();
    let masks: Vec<_> = lengths.iter().map(|&length| padded(length, &[1; 24])).collect();
    let empty = decoder.empty(3);
    let (got, _) = decoder.step(&rows, &masks, &empty);
    for (row, length) in lengths.into_iter().enumerate() {
        let off = distance(&got[row * vocab..(row + 1) * vocab], &want[(length - 1) * vocab..length * vocab]);
        assert!(off < CLOSE, "text of {length}: {off}");
    }
}

#[test]
fn a_context_cap_shortens_the_rotary_tables_only() {
    let capped = Options { context_tokens_max: Some(24), ..options(Fp32, AllPositions) };
    let model = tiny("llama3", &capped);
    assert_eq!(model.manifest.context_tokens, 24);
    assert!(distance(&Decoder::new(&model).read(&ids()), &expected("llama3")) < CLOSE);
    let more = Options { context_tokens_max: Some(9999), ..options(Fp32, AllPositions) };
    assert_eq!(tiny("llama3", &more).manifest.context_tokens, 64);
}

#[test]
fn a_tied_head_is_stored_once() {
    let mut file = GgufFile::copy(&File::open(&golden::path("tiny-llama3.gguf")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data_bytes = |name: &str, file: &GgufFile, weights| {
        let path = folder.path().join(name);
        std::fs::write(&path, file.bytes()).unwrap();
        let model = imported(&path, &options(weights, LastToken));
        Decoder::new(&model).read(&ids());
        std::fs::metadata(model.path().join("model.onnx.data")).unwrap().len()
    };
    let untied = [Fp32, Int8].map(|weights| data_bytes("untied", &file, weights));
    file.tensors.retain(|(name, ..)| name != "output.weight");
    let tied = [Fp32, Int8].map(|weights| data_bytes("tied", &file, weights));
    // The head has 64 x 32 weights; whatever is stored begins on a page.
    assert!(untied[0] - tied[0] >= 64 * 32 * 4 && untied[1] - tied[1] >= 64 * 32, "{untied:?} {tied:?}");
}
