//! The default models on ONNX Runtime, through the worker: text, vectors, and a text that outlives its worker.
//!
//! Models and library come from the cache folder that `lowland fetch` fills.

mod stage;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use lowland_events::{
    job::{self, Finish, Message, ProblemCode, Sampling, Task},
    meter::Meter,
};
use lowland_host::{Host, Service};
use lowland_worker::{Source, Worker};
use stage::{Stage, sampling};

const FETCH: &str = "run: cargo run --release -- fetch";
const WRITER: &str = "smollm2-135m-instruct";
const EMBEDDER: &str = "all-minilm-l6-v2";

fn cache() -> PathBuf {
    let home = || Path::new(&env::var_os("HOME").expect("HOME is set")).join(".cache");
    env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map_or_else(home, PathBuf::from)
        .join("lowland")
}

fn model(id: &str) -> Source {
    let folder = cache().join("models").join(id);
    assert!(folder.is_dir(), "no model in {}; {FETCH}", folder.display());
    Source::Folder(folder)
}

fn library() -> PathBuf {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH") {
        return path.into();
    }
    let folder = cache().join("onnxruntime-1.31.1");
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}; {FETCH}", folder.display()));
    let mut paths = files.map(|file| file.expect("the folder can be read").path());
    let is_library = |path: &PathBuf| path.to_string_lossy().contains("libonnxruntime.so");
    paths.find(is_library).unwrap_or_else(|| panic!("no library in {}; {FETCH}", folder.display()))
}

fn ask(text: &str) -> Task {
    Task::Chat { messages: vec![Message { role: "user".into(), content: text.into() }] }
}

fn drawn(max_tokens: u32) -> Option<Sampling> {
    Some(Sampling { temperature: 0.8, top_p: 0.95, max_tokens: Some(max_tokens), ..sampling() })
}

#[tokio::test]
async fn a_real_model_answers_and_its_usage_is_exact() {
    let stage = Stage { library: Some(library()), ..Stage::new().await };
    let worker = stage.worker("w1", vec![model(WRITER), model(EMBEDDER)]).await;
    let greedy = Sampling { max_tokens: Some(16), logprobs: Some(2), ..sampling() };
    stage
        .assign_with(
            &worker,
            "j1",
            Task::Completion { prompt: "The capital of France is".into() },
            Some(greedy),
            1,
        )
        .await;
    let completed = stage.completed("j1").await;
    assert!(completed.output.text.contains("Paris"), "{completed:?}");
    assert_eq!(completed.usage.output_tokens(), completed.output.tokens.len() as u64);
    assert_eq!(completed.output.logprobs.len(), completed.output.tokens.len());
    assert!(completed.usage.quantity(Meter::InputTokens) >= 5);
    worker.idle().await;
    assert_eq!(stage.read("j1").await.text, completed.output.text);

    let (instance, ready) = stage.instances(&worker.worker).await.pop().unwrap();
    assert_eq!(ready.provider, "cpu");
    let task = Task::Embedding { input: vec!["a cat".into(), "a kitten".into(), "a tax form".into()] };
    stage.assign_to(&worker.worker, instance, "j2", task, None, 1).await;
    let completed = stage.completed("j2").await;
    let vectors: Vec<Vec<f32>> = completed.output.vectors.iter().map(|bytes| floats(bytes)).collect();
    let cosine = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum::<f32>();
    assert!(
        (cosine(0, 0) - 1.0).abs() < 1e-3 && cosine(0, 1) > cosine(0, 2),
        "{} {}",
        cosine(0, 1),
        cosine(0, 2)
    );
    assert!(completed.usage.quantity(Meter::EmbeddingTokens) > 6);

    stage.assign_with(&worker, "j3", ask(&"word ".repeat(20_000)), drawn(4), 1).await;
    let job::Event::AttemptFailed(failed) = stage.wait("j3", "attempt_failed").await else {
        panic!("another event")
    };
    assert_eq!((failed.problem.code, failed.retry), (ProblemCode::ContextLengthExceeded, false));
    worker.stop().await;
}

#[tokio::test]
async fn a_drawn_text_goes_on_on_another_worker_as_it_would_have() {
    let stage = Stage { library: Some(library()), ..Stage::new().await };
    let first = stage.worker("w1", vec![model(WRITER)]).await;
    let second = stage.worker("w2", vec![model(WRITER)]).await;
    let question = "Tell me a story about a lighthouse.";
    stage.assign_with(&second, "alone", ask(question), drawn(60), 1).await;
    let alone = stage.completed("alone").await;

    stage.assign_with(&first, "j1", ask(question), drawn(60), 1).await;
    stage.wait_for_tokens("j1", 8).await;
    first.gate.shut();
    stage.write_off("j1", 1).await;
    stage.assign_with(&second, "j1", ask(question), drawn(60), 2).await;
    let completed = stage.completed("j1").await;
    let job::Event::Started(started) = stage.wait("j1", "started").await else { panic!("another event") };
    assert!(started.resumed_tokens >= 8, "{started:?}");
    assert_eq!(completed.output.text, alone.output.text);
    assert_eq!(completed.output.tokens, alone.output.tokens);
    assert_eq!((completed.finish, alone.finish), (Finish::Length, Finish::Length));
    assert_eq!(completed.usage.output_tokens(), 60);
    second.idle().await;
    assert_eq!(stage.read("j1").await.text, alone.output.text);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_an_error_that_names_it() {
    let stage = Stage { library: Some(library()), ..Stage::new().await };
    let mut config = stage.config("w1", vec![model(WRITER)]);
    config.engine.provider = "cuda".parse().unwrap();
    let host = Host::over(stage.log.clone(), Worker::NAME);
    let error = Worker::serve(host, config.clone()).await.unwrap_err().to_string();
    assert!(error.contains("CUDAExecutionProvider"), "{error}");
    assert_eq!(stage.instances(&config.worker).await, []);
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}
