//! How fast the engine is on this machine: prefill, decoding and first token, as one JSON object on standard
//! output.
//!
//! Beside tokens a second of wall time stand tokens a second of processor time, which say more on a busy machine.
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

use lowland_engine::{Config, Engine, Generate, Prompt, manifest::Task};
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
        best(|| all(&engine, &request, jobs)).rate(f64::from(DECODE_TOKENS - 1) * jobs as f64)
    };
    let one = decode(fresh(SHORT_PROMPT_TOKENS), 1);
    let four = decode(fresh(SHORT_PROMPT_TOKENS), 4);
    let long = decode(fresh(1024), 1);
    // The same short prompt once every slot has a buffer for 2048 positions: the same speed, or the cache is being copied.
    decode(fresh(1100), 4);
    let large = decode(fresh(SHORT_PROMPT_TOKENS), 1);
    serde_json::json!({
        "threads": threads,
        "load_ms": millis(load),
        "first_token_30_ms": millis(first.wall),
        "prefill_512": prefill.rate(f64::from(PREFILL_TOKENS)),
        "decode_1": one,
        "decode_4": four,
        "decode_1_after_1024": long,
        "decode_1_in_large_buffer": large,
    })
}

/// What some work took.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    processor: Duration,
}

impl Took {
    fn rate(self, tokens: f64) -> serde_json::Value {
        let per = |time: Duration| (tokens / time.as_secs_f64()).round();
        serde_json::json!({ "tokens_per_s": per(self.wall), "tokens_per_processor_s": per(self.processor) })
    }
}

fn timed(run: impl FnOnce()) -> Took {
    let (begin, processor) = (Instant::now(), processor_time());
    run();
    Took { wall: begin.elapsed(), processor: processor_time() - processor }
}

/// Of all threads of this process.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock writes into the struct that it is handed.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(status, 0, "every system has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

/// Tokens that no other prompt begins with.
fn tokens(seed: u32, length: u32) -> Vec<u32> {
    (0..length).map(|at| 1000 + (seed * 7919 + at * 37) % 20_000).collect()
}

fn best(mut run: impl FnMut() -> Took) -> Took {
    (0..REPEATS).map(|_| run()).min_by_key(|took| took.wall).expect("at least one repeat")
}

/// Until the first token.
fn first_token(engine: &Engine, request: Generate) -> Took {
    let mut job = None;
    let took = timed(|| {
        let started = start(engine, request).expect("the request is accepted");
        while !matches!(started.next(), Told::Tokens(_)) {}
        job = Some(started);
    });
    job.expect("it was started").wait();
    took
}

/// From the first token of the last job to start until the end of all; the end tokens are banned.
fn all(engine: &Engine, request: &Generate, jobs: usize) -> Took {
    let mut request = request.clone();
    let Task::Generate(model) = &engine.manifest().task else { panic!("the model writes no text") };
    request.sampling.logit_bias = model.eos.iter().map(|token| (*token, f32::NEG_INFINITY)).collect();
    let accepted = |_| start(engine, request.clone()).expect("the request is accepted");
    let jobs: Vec<_> = (0..jobs).map(accepted).collect();
    for job in &jobs {
        while !matches!(job.next(), Told::Tokens(_)) {}
    }
    timed(|| {
        for job in jobs {
            let answer = job.wait();
            assert_eq!(Some(answer.outcome.usage.output as u32), request.max_tokens);
        }
    })
}
