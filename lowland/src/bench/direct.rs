//! The engine by itself, called in this process through the trait that the worker calls it through: what a pipeline's
//! latency is compared with.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use lowland_events::{id::ModelId, job::Sampling};
use lowland_worker::engine::{
    Engine, Generate, Progress, Prompt, Work,
    echo::{Config, EchoEngine},
};

use super::{latency::Times, load::prompt, system::MODEL};

/// Times from the call to the first output.
pub fn first_tokens(count: usize, pace: Duration, prompt_chars: usize) -> Result<Times> {
    let engine = EchoEngine::new(Config::new(ModelId::new(MODEL)?));
    let mut times = Times::default();
    for _ in 0..count {
        std::thread::sleep(pace);
        times.add(first_token(&engine, prompt_chars)?);
    }
    Ok(times)
}

fn first_token(engine: &dyn Engine, chars: usize) -> Result<Duration> {
    let (sender, told) = mpsc::channel();
    let generate = Generate {
        prompt: Prompt::Text(prompt(chars)),
        forced: Vec::new(),
        sampling: sampling(u32::try_from(chars)?),
    };
    let began = Instant::now();
    let sink = Box::new(move |progress| drop(sender.send(progress)));
    let _running =
        engine.start(Work::Generate(generate), sink).map_err(|failure| anyhow!("{:?}", failure.problem))?;
    while !matches!(told.recv()?, Progress::Output(_)) {}
    Ok(began.elapsed())
}

fn sampling(max_tokens: u32) -> Sampling {
    Sampling {
        max_tokens: Some(max_tokens),
        temperature: 0.0,
        top_p: 1.0,
        top_k: 0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
        seed: 0,
        stop: Vec::new(),
        logprobs: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_answers() {
        let times = first_tokens(3, Duration::ZERO, 8).unwrap();
        assert_eq!(times.percentiles().count, 3);
    }
}
