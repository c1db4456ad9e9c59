//! What an import makes of folders: onnxruntime-genai's, ones that are no model, and its own when something goes wrong.

use std::fs;
use std::path::Path;

use lowland_engine::import::Precision::{Fp32, Int8};
use lowland_engine::import::{Error, Logits, Options, Stage, import};
use lowland_engine::manifest::{MANIFEST_FILE, Manifest, Weights};
use serde_json::{Value, json};

use super::golden::{self, Golden};
use super::run::{Decoder, Imported, distance, imported, options};

/// A folder as onnxruntime-genai publishes one, made of our own graph.
fn genai(change: impl FnOnce(&mut Value)) -> Imported {
    let model = imported(&golden::path("tiny-llama3.gguf"), &options(Fp32, Logits::AllPositions));
    fs::remove_file(model.path().join(MANIFEST_FILE)).unwrap();
    let mut config = json!({
        "model": {
            "type": "llama", "bos_token_id": 1, "eos_token_id": [2, 0], "pad_token_id": 2, "context_length": 64, "vocab_size": 64,
            "decoder": {
                "filename": "model.onnx", "head_size": 16, "hidden_size": 32,
                "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
                "inputs": {
                    "input_ids": "input_ids", "attention_mask": "attention_mask", "position_ids": "position_ids",
                    "past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value",
                },
                "outputs": { "logits": "logits", "present_key_names": "present.%d.key", "present_value_names": "present.%d.value" },
                "session_options": { "provider_options": [] },
            },
        },
        "search": { "past_present_share_buffer": true, "max_length": 64 },
    });
    change(&mut config);
    write(&model.path().join("genai_config.json"), &config);
    let tokens = json!({
        "bos_token": "<|im_start|>", "eos_token": { "content": "<|im_end|>", "special": true },
        "chat_template": [{ "name": "tool_use", "template": "tools" }, { "name": "default", "template": "{{ messages[0].content }}" }],
    });
    write(&model.path().join("tokenizer_config.json"), &tokens);
    model
}

fn write(path: &Path, value: &Value) {
    fs::write(path, serde_json::to_string(value).unwrap()).unwrap();
}

fn error(source: &Path, options: &Options) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error =
        import(source, &folder.path().join("out"), options, &mut |_| {}).expect_err("the import fails");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    error.to_string()
}

#[test]
fn a_genai_folder_keeps_its_graph() {
    let published = genai(|_| {});
    let model =
        imported(&published.path(), &Options { id: Some("from-genai".to_owned()), ..Options::default() });
    let generate = model.generate();
    assert_eq!((generate.layers, generate.kv_heads, generate.head_dim, generate.shared_kv), (2, 2, 16, true));
    assert_eq!((generate.bos, generate.eos.as_slice()), (None, [2, 0].as_slice()));
    assert_eq!(generate.template_tokens.eos.as_deref(), Some("<|im_end|>"));
    assert_eq!(generate.names.position_ids, None, "the graph has no such input");
    assert_eq!((model.manifest.weights, model.manifest.context_tokens), (Weights::AsPublished, 64));
    assert_eq!(
        fs::read_to_string(model.path().join("chat_template.jinja")).unwrap(),
        "{{ messages[0].content }}"
    );
    let golden = Golden::open("tiny_logits.safetensors");
    let ids: Vec<i64> = golden.integers("ids").into_iter().map(i64::from).collect();
    assert!(distance(&Decoder::new(&model).read(&ids), &golden.floats("llama3")) < 2e-4);
}

#[test]
fn a_genai_folder_that_contradicts_itself_is_refused() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 6] = [
        (|config| config["model"]["decoder"]["num_hidden_layers"] = json!(3), "past_key_values.2.key"),
        (|config| config["model"]["decoder"]["outputs"]["logits"] = json!("scores"), "scores"),
        (|config| config["model"]["decoder"]["filename"] = json!("../model.onnx"), "not the name of a file"),
        (|config| config["model"]["decoder"]["filename"] = json!("tokenizer.json"), "no ONNX model"),
        (|config| config["model"]["vision"] = json!({}), "vision"),
        (|config| drop(config["model"].as_object_mut().unwrap().remove("vocab_size")), "vocab_size"),
    ];
    for (change, expected) in cases {
        let error = error(&genai(change).path(), &Options::default());
        assert!(error.contains(expected), "{error}");
    }
    let error = error(&genai(|_| {}).path(), &options(Int8, Logits::LastToken));
    assert!(error.contains("published"), "{error}");
}

#[test]
fn what_is_no_model_is_called_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("picture.gguf"), b"\x89PNG").unwrap();
    fs::write(at("empty"), b"").unwrap();
    fs::create_dir(at("folder")).unwrap();
    let cases = [
        ("nothing", "not there"),
        ("picture.gguf", "another kind"),
        ("empty", "another kind"),
        ("folder", "none of the files"),
    ];
    for (name, expected) in cases {
        let error = error(&at(name), &Options::default());
        assert!(
            error.contains(expected) && error.contains(name) && error.contains("genai_config.json"),
            "{error}"
        );
    }
    fs::write(at("folder/config.json"), "{}").unwrap();
    assert!(error(&at("folder"), &Options::default()).contains("without safetensors"));
    fs::write(at("folder/model.safetensors"), "?").unwrap();
    assert!(error(&at("folder"), &Options::default()).contains("config.json"));
}

#[test]
fn ids_are_checked_before_anything_is_written() {
    let options = Options { id: Some("not.an.id".to_owned()), ..Options::default() };
    assert!(error(&golden::path("tiny-qwen2.gguf"), &options).contains("not.an.id"));
}

#[test]
fn a_model_that_exists_is_left_alone() {
    let model = imported(&golden::path("tiny-qwen2.gguf"), &Options::default());
    let before = fs::read_to_string(model.path().join(MANIFEST_FILE)).unwrap();
    let result = import(&golden::path("tiny-llama3.gguf"), &model.path(), &Options::default(), &mut |_| {});
    assert!(matches!(result, Err(Error::Exists(_))));
    assert_eq!(fs::read_to_string(model.path().join(MANIFEST_FILE)).unwrap(), before);
    let manifest: Manifest = serde_json::from_str(&before).unwrap();
    assert_eq!(manifest, model.manifest, "what is returned is what is written");
    assert_eq!(manifest.weights, Weights::Int8, "a decoder's default");
}

#[test]
fn progress_reaches_the_end_of_each_stage() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let out = folder.path().join("out");
    import(&golden::path("tiny-qwen3.gguf"), &out, &Options::default(), &mut |progress| seen.push(progress))
        .unwrap();
    assert!(seen.iter().all(|progress| progress.done <= progress.total));
    let last =
        |stage| *seen.iter().rfind(|progress| progress.stage == stage).expect("the stage was reported");
    for stage in [Stage::Weights, Stage::Finishing] {
        assert_eq!(last(stage).done, last(stage).total, "{stage:?}");
    }
}
