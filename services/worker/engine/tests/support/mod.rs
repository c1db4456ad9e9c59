//! What the engine's tests share: where library and models are, and a sink that a test can wait on.
#![allow(dead_code, unreachable_pub, reason = "each test target uses its own part of this module")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    time::Duration,
};

use lowland_engine::{
    Cancel, Config, Delta, Engine, Error, Finish, Generate, Message, Outcome, Prompt, Sampling, Sink, Usage,
};

const FETCH: &str = "run: cargo run --release -- fetch";

/// Longest that a test waits for a job; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(300);

fn cache() -> PathBuf {
    let home = || Path::new(&env::var_os("HOME").expect("HOME is set")).join(".cache");
    env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map_or_else(home, PathBuf::from)
        .join("lowland")
}

/// `libonnxruntime.so*` in a folder of the cache.
pub fn library_in(folder: &str) -> PathBuf {
    let folder = cache().join(folder);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}; {FETCH}", folder.display()));
    let is_library = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so"))
    };
    let found = files.map(|file| file.expect("the folder can be read").path()).find(is_library);
    found.unwrap_or_else(|| panic!("no libonnxruntime.so in {}; {FETCH}", folder.display()))
}

/// ONNX Runtime for the CPU.
pub fn library() -> PathBuf {
    env::var_os("ORT_DYLIB_PATH").map_or_else(|| library_in("onnxruntime-1.31.1"), PathBuf::from)
}

/// Folder of an unpacked package that a model comes from, as `name-version`.
pub fn package(name: &str) -> PathBuf {
    let folder = cache().join("packages").join(name);
    assert!(folder.is_dir(), "no package in {}; {FETCH}", folder.display());
    folder
}

/// Folder of an imported model.
pub fn model(id: &str) -> PathBuf {
    let folder = cache().join("models").join(id);
    assert!(folder.is_dir(), "no model in {}; {FETCH}", folder.display());
    folder
}

/// The model's folder again, with another value for one field of its manifest, at whatever depth.
pub fn altered(id: &str, field: &str, value: serde_json::Value) -> tempfile::TempDir {
    let (folder, original) = (tempfile::tempdir().expect("a folder"), model(id));
    for file in fs::read_dir(&original).expect("the model is readable") {
        let (from, to) =
            file.map(|file| (file.path(), folder.path().join(file.file_name()))).expect("a file");
        // A link where the file systems allow it: weights are large.
        fs::hard_link(&from, &to)
            .or_else(|_| fs::copy(&from, &to).map(drop))
            .expect("the file is brought over");
    }
    let path = folder.path().join("model.json");
    let mut manifest = serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("it is JSON");
    assert!(set(&mut manifest, field, &value), "the manifest has {field}");
    fs::remove_file(&path).expect("the link goes, the original stays");
    fs::write(&path, manifest.to_string()).expect("the manifest is written");
    folder
}

fn set(object: &mut serde_json::Value, field: &str, value: &serde_json::Value) -> bool {
    let Some(map) = object.as_object_mut() else { return false };
    match map.get_mut(field) {
        Some(old) => *old = value.clone(),
        None => return map.values_mut().any(|inner| set(inner, field, value)),
    }
    true
}

pub fn config(slots: usize) -> Config {
    Config { threads: 2, slots, library: Some(library()), ..Config::default() }
}

pub fn smollm(slots: usize) -> Engine {
    Engine::load(&model("smollm2-135m-instruct"), &config(slots)).expect("the model loads")
}

/// What a sink was told.
pub enum Told {
    Ready(Usage),
    Tokens(Delta),
    Done(Outcome),
}

struct Teller(Sender<Told>);

impl Sink for Teller {
    fn prompt_ready(&mut self, usage: Usage) {
        let _ = self.0.send(Told::Ready(usage));
    }
    fn tokens(&mut self, delta: Delta) {
        let _ = self.0.send(Told::Tokens(delta));
    }
    fn done(self: Box<Self>, outcome: Outcome) {
        let _ = self.0.send(Told::Done(outcome));
    }
}

/// A job that runs.
pub struct Job {
    pub cancel: Cancel,
    told: Receiver<Told>,
}

/// All that a job said.
pub struct Answer {
    pub ready: Option<Usage>,
    pub deltas: Vec<Delta>,
    pub outcome: Outcome,
}

impl Answer {
    pub fn tokens(&self) -> Vec<u32> {
        self.deltas.iter().flat_map(|delta| delta.tokens.clone()).collect()
    }
    pub fn streamed(&self) -> String {
        self.deltas.iter().map(|delta| delta.text.as_str()).collect()
    }
    pub fn text(&self) -> &str {
        &self.outcome.text
    }
    pub fn finish(&self) -> String {
        match &self.outcome.finish {
            Finish::Error(error) => format!("Error({error})"),
            other => format!("{other:?}"),
        }
    }
}

pub fn start(engine: &Engine, request: Generate) -> Result<Job, Error> {
    let (sender, told) = channel();
    Ok(Job { cancel: engine.generate(request, Box::new(Teller(sender)))?, told })
}

impl Job {
    pub fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the job says something")
    }

    pub fn try_next(&self) -> Result<Told, TryRecvError> {
        self.told.try_recv()
    }

    /// Waits for the end, and checks what holds for every job.
    pub fn wait(self) -> Answer {
        let (mut ready, mut deltas) = (None, Vec::<Delta>::new());
        loop {
            match self.next() {
                Told::Ready(usage) => ready = Some(usage),
                Told::Tokens(delta) => {
                    if let Some(last) = deltas.last() {
                        assert_eq!(
                            delta.first_index,
                            last.first_index + last.tokens.len(),
                            "indices are without gaps"
                        );
                    }
                    deltas.push(delta);
                }
                Told::Done(outcome) => {
                    assert!(self.told.recv_timeout(PATIENCE).is_err(), "nothing follows the end");
                    return Answer { ready, deltas, outcome };
                }
            }
        }
    }
}

pub fn run(engine: &Engine, request: Generate) -> Answer {
    start(engine, request).expect("the request is accepted").wait()
}

pub fn greedy(prompt: Prompt, max_tokens: u32) -> Generate {
    Generate {
        max_tokens: Some(max_tokens),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        ..Generate::new(prompt)
    }
}

pub fn user(content: &str) -> Prompt {
    Prompt::Messages(vec![Message { role: "user".to_owned(), content: content.to_owned() }])
}

/// The tokens of a text, to prompt with exactly these.
pub fn tokens_of(engine: &Engine, text: &str) -> Vec<u32> {
    engine.tokenize(&Prompt::Text(text.to_owned())).expect("the text is tokenised")
}
