//! How fast the engine is on this machine: prefill, decoding and first token, as one JSON object on standard
//! output.
//!
//! `cargo bench -p lowland-engine --bench speed [-- MODEL_FOLDER]`; the library and the default model are
//! looked for where
//! `lowland fetch` puts them.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lowland_engine::{Config, Engine, Generate, Prompt};
use support::{Told, greedy, library, model, start};

const PREFILL_TOKENS: u32 = 512;
const SHORT_PROMPT_TOKENS: u32 = 30;
const DECODE_TOKENS: u32 = 96;
const REPEATS: u32 = 3;

fn main() {
    // The test harness's own flags (`--bench`) are not for us.
    let folder = env::args().skip(1).find(|argument| !argument.starts_with("--")).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| model("smollm2-135m-instruct"));
    let runs: Vec<serde_json::Value> = [1, 2].into_iter().map(|threads| measure(&folder, threads)).collect();
    println!(
        "{}",
        serde_json::json!({ "model": folder.file_name().map(|name| name.to_string_lossy()), "runs": runs })
    );
}

fn measure(folder: &Path, threads: usize) -> serde_json::Value {
    let begin = Instant::now();
    let config = Config { threads, slots: 4, library: Some(library()), ..Config::default() };
    let engine = Engine::load(folder, &config).expect("the model loads");
    let load = begin.elapsed();
    let mut prompts = (1..).map(|seed| move |length: u32| tokens(seed, length));
    let mut fresh = |length| greedy(Prompt::Tokens(prompts.next().expect("endless")(length)), 1);

    let first = best(|| first_token(&engine, fresh(SHORT_PROMPT_TOKENS)));
    let prefill = best(|| first_token(&engine, fresh(PREFILL_TOKENS)));
    let decode = |request: Generate, jobs: usize| {
        let request = Generate { max_tokens: Some(DECODE_TOKENS), ..request };
        let took = best(|| all(&engine, &request, jobs));
        (f64::from(DECODE_TOKENS - 1) * jobs as f64 / took.as_secs_f64()).round()
    };
    let (one, four, long) = (
        decode(fresh(SHORT_PROMPT_TOKENS), 1),
        decode(fresh(SHORT_PROMPT_TOKENS), 4),
        decode(fresh(1024), 1),
    );
    // The same short prompt once every slot has a buffer for 2048 positions: the same speed, or the cache is
    // being copied.
    decode(fresh(1100), 4);
    let large = decode(fresh(SHORT_PROMPT_TOKENS), 1);
    serde_json::json!({
        "threads": threads,
        "load_ms": millis(load),
        "first_token_30_ms": millis(first),
        "prefill_512_tokens_per_s": (f64::from(PREFILL_TOKENS) / prefill.as_secs_f64()).round(),
        "decode_1_tokens_per_s": one,
        "decode_4_tokens_per_s": four,
        "decode_1_after_1024_tokens_per_s": long,
        "decode_1_in_large_buffer_tokens_per_s": large,
    })
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

/// Tokens that no other prompt begins with.
fn tokens(seed: u32, length: u32) -> Vec<u32> {
    (0..length).map(|at| 1000 + (seed * 7919 + at * 37) % 20_000).collect()
}

fn best(mut run: impl FnMut() -> Duration) -> Duration {
    (0..REPEATS).map(|_| run()).min().expect("at least one repeat")
}

/// Until the first token.
fn first_token(engine: &Engine, request: Generate) -> Duration {
    let begin = Instant::now();
    let job = start(engine, request).expect("the request is accepted");
    while !matches!(job.next(), Told::Tokens(_)) {}
    let took = begin.elapsed();
    job.wait();
    took
}

/// From the first token of the last job to start until the end of all; the end token is banned.
fn all(engine: &Engine, request: &Generate, jobs: usize) -> Duration {
    let mut request = request.clone();
    request.sampling.logit_bias = vec![(0, f32::NEG_INFINITY), (2, f32::NEG_INFINITY)];
    let jobs: Vec<_> =
        (0..jobs).map(|_| start(engine, request.clone()).expect("the request is accepted")).collect();
    for job in &jobs {
        while !matches!(job.next(), Told::Tokens(_)) {}
    }
    let begin = Instant::now();
    for job in jobs {
        let answer = job.wait();
        assert_eq!(answer.outcome.usage.output, request.max_tokens.expect("it is set") as usize);
    }
    begin.elapsed()
}
