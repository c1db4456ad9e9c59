//! Decoders as transformers publishes them: the tiny GGUF models under other names, which must come out the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lowland_engine::import::gguf::File;
use lowland_engine::import::tensor::TensorType;
use lowland_engine::import::{Logits, Options, Precision, import};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::golden::{self, Golden};
use super::run::{Decoder, distance, imported, options};

/// Each tensor's bytes and shape, by its published name.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(file: &File, interleaved_head: Option<usize>) -> Tensors {
    let one = |name: &String| {
        let tensor = file.tensor(name).unwrap();
        let (dtype, row_bytes) = match tensor.kind {
            TensorType::F32 => (Dtype::F32, 4 * tensor.columns),
            TensorType::F16 => (Dtype::F16, 2 * tensor.columns),
            other => panic!("{other:?}"),
        };
        let rotated = name.contains("attn_q.weight") || name.contains("attn_k.weight");
        let order = |row: usize| match interleaved_head.filter(|_| rotated) {
            // Even rows of a head are its first half.
            Some(head) => row / head * head + row % head % (head / 2) * 2 + row % head / (head / 2),
            None => row,
        };
        let bytes = (0..tensor.rows)
            .flat_map(|row| tensor.bytes()[order(row) * row_bytes..][..row_bytes].to_vec())
            .collect();
        let shape = if tensor.rows == 1 { vec![tensor.columns] } else { vec![tensor.rows, tensor.columns] };
        (published(name), (dtype, shape, bytes))
    };
    file.tensors().keys().filter(|name| *name != "rope_freqs.weight").map(one).collect()
}

fn published(name: &str) -> String {
    let parts = [
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("blk.", "model.layers."),
        ("attn_output", "self_attn.o_proj"),
        ("attn_q_norm", "self_attn.q_norm"),
        ("attn_k_norm", "self_attn.k_norm"),
        ("attn_norm", "input_layernorm"),
        ("ffn_norm", "post_attention_layernorm"),
        ("attn_q.", "self_attn.q_proj."),
        ("attn_k.", "self_attn.k_proj."),
        ("attn_v.", "self_attn.v_proj."),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
        ("output.", "lm_head."),
    ];
    parts.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Writes the folder: `files` names each shard and says which tensors go there.
fn write(folder: &Path, tensors: &Tensors, shards: usize, config: &Value, tokenizer: &Path) {
    let mut places = BTreeMap::new();
    for shard in 0..shards {
        let name =
            if shards == 1 { "model.safetensors".to_owned() } else { format!("model-{shard}.safetensors") };
        let mine =
            tensors.iter().enumerate().filter(|(index, _)| index % shards == shard).map(|(_, entry)| entry);
        let views = mine.map(|(key, (dtype, shape, bytes))| {
            places.insert(key.clone(), name.clone());
            (key.clone(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        let bytes = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
        fs::write(folder.join(&name), bytes).unwrap();
    }
    if shards > 1 {
        fs::write(folder.join("model.safetensors.index.json"), json!({ "weight_map": places }).to_string())
            .unwrap();
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::copy(tokenizer.join("tokenizer.json"), folder.join("tokenizer.json")).unwrap();
}

fn config(model_type: &str, changes: &Value) -> Value {
    let mut config = json!({
        "model_type": model_type, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1,
        "num_hidden_layers": 2, "vocab_size": 64, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 1000.0,
        "hidden_act": "silu", "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2,
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn check(name: &str, file: &str, shards: usize, interleaved_head: Option<usize>, config: &Value, close: f32) {
    let path = golden::path(file);
    let gguf = imported(&path, &Options::default());
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &tensors(&File::open(&path).unwrap(), interleaved_head),
        shards,
        config,
        &gguf.path(),
    );
    fs::write(folder.path().join("generation_config.json"), json!({ "eos_token_id": [0, 2] }).to_string())
        .unwrap();
    let options =
        Options { id: Some("published".to_owned()), ..options(Precision::Fp32, Logits::AllPositions) };
    let model = imported(folder.path(), &options);
    let golden = Golden::open("tiny_logits.safetensors");
    let ids: Vec<i64> = golden.integers("ids").into_iter().map(i64::from).collect();
    let off = distance(&Decoder::new(&model).read(&ids), &golden.floats(name));
    assert!(off < close, "{name}: {off}");
    assert_eq!((model.manifest.vocab, model.manifest.context_tokens), (64, 64));
    assert_eq!((model.generate().bos, model.generate().eos.as_slice()), (None, [0, 2].as_slice()));
}

#[test]
fn biases_are_found_under_their_published_names() {
    check("qwen2", "tiny-qwen2.gguf", 1, None, &config("qwen2", &json!({})), 2e-4);
}

#[test]
fn shards_and_normed_heads_are_found() {
    check("qwen3", "tiny-qwen3.gguf", 3, None, &config("qwen3", &json!({ "head_dim": 32 })), 2e-4);
}

#[test]
fn published_rows_of_llama_are_halves_and_scaling_is_in_the_configuration() {
    let changes =
        json!({ "num_key_value_heads": 2, "rope_scaling": { "rope_type": "linear", "factor": 2.0 } });
    check("linear", "tiny-linear.gguf", 1, Some(16), &config("llama", &changes), 2e-4);
}

#[test]
fn what_the_graph_has_no_place_for_is_refused() {
    let gguf = imported(&golden::path("tiny-qwen2.gguf"), &Options::default());
    let all = tensors(&File::open(&golden::path("tiny-qwen2.gguf")).unwrap(), None);
    let mut biased = all.clone();
    biased.insert("model.layers.0.self_attn.o_proj.bias".to_owned(), (Dtype::F32, vec![32], vec![0; 128]));
    let mut lacking = all.clone();
    lacking.remove("model.layers.1.mlp.up_proj.weight");
    let cases = [
        (&all, json!({ "model_type": "mamba" }), "mamba"),
        (&all, json!({ "use_sliding_window": true }), "sliding window"),
        (&all, json!({ "hidden_act": "gelu" }), "gelu"),
        (&all, json!({ "rope_scaling": { "type": "yarn", "factor": 4.0 } }), "yarn"),
        (&all, json!({ "rope_scaling": { "rope_type": "llama3", "factor": 4.0 } }), "low_freq_factor"),
        (&all, json!({ "hidden_size": 64 }), "model.embed_tokens.weight: is 64 x 32, should be 64 x 64"),
        (&biased, json!({}), "o_proj.bias"),
        (&lacking, json!({}), "model.layers.1.mlp.up_proj.weight: is missing"),
    ];
    for (tensors, changes, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), tensors, 1, &config("qwen2", &changes), &gguf.path());
        let out = folder.path().join("out");
        let error = import(
            folder.path(),
            &out,
            &Options { id: Some("x".to_owned()), ..Options::default() },
            &mut |_| {},
        );
        let error = error.expect_err("the import fails").to_string();
        assert!(error.contains(expected), "{error}");
    }
}
