//! Token ids of varied texts against llama.cpp's.

use std::collections::BTreeMap;
use std::path::Path;

use lowland_engine::import::Options;
use lowland_engine::import::gguf::{File, Value};
use tokenizers::Tokenizer;

use super::gguf_file::GgufFile;
use super::golden;
use super::run::{Imported, imported};

#[derive(serde::Deserialize)]
struct Recorded {
    texts: Vec<String>,
    #[serde(flatten)]
    ids: BTreeMap<String, Vec<Vec<u32>>>,
}

fn recorded() -> Recorded {
    let text = std::fs::read(golden::path("tiny_tokens.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn tokenizer(model: &Imported) -> Tokenizer {
    Tokenizer::from_file(model.path().join("tokenizer.json")).unwrap()
}

fn import_with_pre(pre: &str, folder: &Path) -> Imported {
    let mut file = GgufFile::copy(&File::open(&golden::path("tiny-bpe.gguf")).unwrap());
    file.set("tokenizer.ggml.pre", Value::String(pre.to_owned()));
    let path = folder.join("model.gguf");
    std::fs::write(&path, file.bytes()).unwrap();
    imported(&path, &Options::default())
}

fn check(tokenizer: &Tokenizer, kind: &str, recorded: &Recorded) {
    for (text, expected) in recorded.texts.iter().zip(&recorded.ids[kind]) {
        let ids = tokenizer.encode(text.as_str(), false).unwrap().get_ids().to_vec();
        let pieces: Vec<_> = ids.iter().map(|&id| tokenizer.id_to_token(id).unwrap()).collect();
        assert_eq!(&ids, expected, "{kind}, {text:?}: {pieces:?}");
        assert_eq!(&tokenizer.decode(&ids, false).unwrap(), text, "{kind} and back");
    }
}

#[test]
fn byte_level_tokens_are_llama_cpps_for_each_pre_tokenizer() {
    let recorded = recorded();
    for pre in ["smollm", "gpt-2", "llama-bpe", "qwen2"] {
        let folder = tempfile::tempdir().unwrap();
        check(&tokenizer(&import_with_pre(pre, folder.path())), pre, &recorded);
    }
}

#[test]
fn sentencepiece_tokens_are_llama_cpps() {
    let model = imported(&golden::path("tiny-spm.gguf"), &Options::default());
    check(&tokenizer(&model), "spm", &recorded());
}

#[test]
fn pre_tokenizers_differ_in_what_is_recorded() {
    let Recorded { ids, .. } = recorded();
    let all: Vec<_> = ids.values().collect();
    for (i, one) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|other| other != one), "the texts tell the kinds apart");
    }
}

#[test]
fn an_unknown_pre_tokenizer_is_named() {
    let mut file = GgufFile::copy(&File::open(&golden::path("tiny-bpe.gguf")).unwrap());
    file.set("tokenizer.ggml.pre", Value::String("klingon".to_owned()));
    let error = file.import_error();
    assert!(error.contains("klingon") && error.contains("smollm"), "{error}");
}

#[test]
fn special_tokens_are_found_out() {
    let model = imported(&golden::path("tiny-bpe.gguf"), &Options::default());
    let generate = model.generate();
    assert_eq!((generate.bos, generate.eos.as_slice()), (None, [2, 0].as_slice()));
    assert_eq!(generate.template_tokens.bos.as_deref(), Some("<|im_start|>"));
    assert_eq!(generate.template_tokens.eos.as_deref(), Some("<|im_end|>"));
    let text = tokenizer(&model).decode(&[1, 43, 2], true).unwrap();
    assert_eq!(text, "H", "special tokens are skipped when asked for");
    let spm = imported(&golden::path("tiny-spm.gguf"), &Options::default());
    assert_eq!((spm.generate().bos, spm.generate().eos.as_slice()), (Some(1), [2].as_slice()));
}
