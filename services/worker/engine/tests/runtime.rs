//! The engine with a real model: what a caller can rely on.

mod support;

use lowland_engine::{
    Config, Engine, Error, Finish, Generate, Outcome, Prompt, Provider, Sampling, Sink, Usage,
    WAITING_JOBS_MAX,
};
use support::{Told, altered, config, greedy, model, run, smollm, start, tokens_of, user};

const STORY: &str = "Once upon a time, in a small village by the sea, there lived";

#[test]
fn answers_sensibly() {
    let engine = smollm(1);
    assert!(engine.nodes()["CPUExecutionProvider"] > 100, "{:?}", engine.nodes());
    let answer = run(&engine, greedy(user("What is the capital of France? Answer in one sentence."), 40));
    assert!(answer.text().contains("Paris"), "{}", answer.text());
    assert_eq!(answer.finish(), "Stop");
    assert_eq!(answer.streamed(), answer.text());
    assert!(!answer.text().contains("<|im_end|>"), "special tokens are no text");
    let prompt = engine.count(&user("What is the capital of France? Answer in one sentence.")).unwrap();
    assert_eq!(answer.outcome.usage, Usage { prompt, cached: 0, output: answer.tokens().len() });
    assert_eq!(answer.ready, Some(Usage { prompt, cached: 0, output: 0 }));
}

#[test]
fn goes_on_from_every_prefix_as_if_it_had_not_stopped() {
    let engine = smollm(2);
    let sampled =
        Sampling { temperature: 0.8, top_p: 0.9, repetition_penalty: 1.1, seed: 11, ..Sampling::default() };
    for sampling in [Sampling { temperature: 0.0, ..Sampling::default() }, sampled] {
        let request = Generate {
            max_tokens: Some(14),
            sampling,
            stop: vec!["\n\n\n".to_owned()],
            ..Generate::new(Prompt::Text(STORY.to_owned()))
        };
        let whole = run(&engine, request.clone());
        let tokens = whole.tokens();
        assert_eq!(tokens.len(), 14);
        for published in 0..=tokens.len() {
            let resumed = run(&engine, Generate { forced: tokens[..published].to_vec(), ..request.clone() });
            assert_eq!(resumed.tokens(), tokens[published..], "after {published}");
            assert_eq!(resumed.text(), whole.text());
            assert_eq!(resumed.outcome.usage.output, tokens.len());
            assert_eq!(resumed.finish(), whole.finish());
            let streamed: String =
                whole.deltas[..published].iter().map(|delta| delta.text.as_str()).collect();
            assert_eq!(streamed + &resumed.streamed(), whole.text(), "the two attempts' texts join");
        }
    }
}

#[test]
fn a_finished_output_given_back_is_finished_at_once() {
    let engine = smollm(1);
    let request = greedy(user("What is the capital of France? Answer in one sentence."), 40);
    let whole = run(&engine, request.clone());
    let again = run(&engine, Generate { forced: whole.tokens(), ..request });
    assert!(again.deltas.is_empty());
    assert_eq!((again.finish(), again.text()), (whole.finish(), whole.text()));
}

#[test]
fn a_seed_gives_the_same_text_alone_and_in_company() {
    let engine = smollm(3);
    let request = |seed| Generate {
        max_tokens: Some(16),
        sampling: Sampling { seed, ..Sampling::default() },
        ..Generate::new(Prompt::Text(STORY.to_owned()))
    };
    let alone = run(&engine, request(1)).tokens();
    assert_eq!(run(&engine, request(1)).tokens(), alone);
    let jobs = [1, 2, 1].map(|seed| start(&engine, request(seed)).unwrap());
    let [first, other, second] = jobs.map(|job| job.wait().tokens());
    assert_eq!((&first, &second), (&alone, &alone));
    assert_ne!(other, alone);
}

#[test]
fn jobs_take_turns_and_a_long_prompt_stops_nobody() {
    let engine = smollm(2);
    let talker = start(&engine, greedy(Prompt::Text(STORY.to_owned()), 400)).unwrap();
    while !matches!(talker.next(), Told::Tokens(_)) {}
    let long = tokens_of(&engine, &"The quick brown fox jumps over the lazy dog. ".repeat(60));
    let reader = start(&engine, greedy(Prompt::Tokens(long.clone()), 1)).unwrap();
    assert!(matches!(reader.next(), Told::Ready(_)));
    let mut meanwhile = 0;
    let outcome = loop {
        if let Ok(told) = reader.try_next() {
            match told {
                Told::Done(outcome) => break outcome,
                _ => continue,
            }
        }
        match talker.next() {
            Told::Tokens(_) => meanwhile += 1,
            _ => panic!("the talker ended before the reader"),
        }
    };
    assert_eq!(outcome.usage.prompt, long.len());
    assert!(meanwhile >= long.len() / 64 - 1, "{meanwhile} tokens while {} were read", long.len());
    talker.cancel.cancel();
    assert_eq!(talker.wait().finish(), "Cancelled");
}

#[test]
fn cancelling_ends_a_job_within_a_step_and_frees_its_slot() {
    let engine = smollm(1);
    let job = start(&engine, greedy(Prompt::Text(STORY.to_owned()), 1000)).unwrap();
    let waiting = start(&engine, greedy(Prompt::Text(STORY.to_owned()), 1000)).unwrap();
    while !matches!(job.next(), Told::Tokens(_)) {}
    waiting.cancel.cancel();
    let waited = waiting.wait();
    assert_eq!((waited.finish().as_str(), waited.ready), ("Cancelled", None));
    job.cancel.cancel();
    let answer = job.wait();
    assert_eq!(answer.finish(), "Cancelled");
    assert!(answer.outcome.usage.output < 1000);
    assert_eq!(run(&engine, greedy(Prompt::Text(STORY.to_owned()), 3)).finish(), "Length");
}

#[test]
fn stop_sequences_cut_the_text_and_keep_the_count() {
    let engine = smollm(1);
    let free = run(&engine, greedy(Prompt::Text(STORY.to_owned()), 30));
    // The end of one word and the beginning of the next: it spans tokens.
    let words: Vec<&str> = free.text().split_whitespace().collect();
    let stop = format!("{} {}", &words[4][words[4].len() - 1..], &words[5][..1]);
    let at = free.text().find(&stop).unwrap();
    let cut =
        run(&engine, Generate { stop: vec![stop.clone()], ..greedy(Prompt::Text(STORY.to_owned()), 30) });
    assert_eq!((cut.text(), cut.finish().as_str()), (&free.text()[..at], "Stop"));
    assert_eq!(cut.streamed(), cut.text());
    assert_eq!(cut.outcome.usage.output, cut.tokens().len());
    assert_eq!(cut.tokens(), free.tokens()[..cut.tokens().len()]);
    assert!(engine.text(&cut.tokens()).unwrap().contains(&stop), "the token that completed it is counted");
}

#[test]
fn a_reused_prefix_is_counted_and_changes_nothing() {
    let engine = smollm(1);
    let first = tokens_of(&engine, &format!("{STORY} {}", "a fisherman and his daughter. ".repeat(20)));
    let mut second = first[..first.len() - 30].to_vec();
    second.extend(tokens_of(&engine, "One morning they found"));
    let fresh = run(&smollm(1), greedy(Prompt::Tokens(second.clone()), 20));

    let filled = run(&engine, greedy(Prompt::Tokens(first.clone()), 5));
    assert_eq!(filled.outcome.usage.cached, 0);
    let reused = run(&engine, greedy(Prompt::Tokens(second.clone()), 20));
    let common = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
    assert_eq!(reused.outcome.usage.cached, common);
    assert_eq!(reused.tokens(), fresh.tokens());

    let again = run(&engine, greedy(Prompt::Tokens(second.clone()), 20));
    assert_eq!(again.outcome.usage.cached, second.len() - 2, "a step reads two tokens at least");
    assert_eq!(again.tokens(), fresh.tokens());
}

#[test]
fn a_graph_that_can_not_share_its_cache_writes_the_same() {
    let folder = altered("smollm2-135m-instruct", "shared_kv", false.into());
    let (shared, swapped) = (smollm(1), Engine::load(folder.path(), &config(1)).unwrap());
    for end in ["a wise old", "a young girl"] {
        let request = greedy(Prompt::Text(format!("{STORY} {end}")), 12);
        let (one, other) = (run(&shared, request.clone()), run(&swapped, request));
        assert_eq!((one.tokens(), one.outcome.usage), (other.tokens(), other.outcome.usage));
    }
}

#[test]
fn the_context_bounds_the_output() {
    let folder = altered("smollm2-135m-instruct", "context_tokens", 32.into());
    let engine = Engine::load(folder.path(), &config(1)).unwrap();
    let sampling =
        Sampling { logit_bias: vec![(0, f32::NEG_INFINITY), (2, f32::NEG_INFINITY)], ..Sampling::default() };
    let answer = run(&engine, Generate { sampling, ..Generate::new(Prompt::Text(STORY.to_owned())) });
    assert_eq!(
        (answer.finish().as_str(), answer.outcome.usage.prompt + answer.outcome.usage.output),
        ("Length", 32)
    );
}

#[test]
fn an_idle_slot_goes_to_the_job_that_it_helps() {
    let engine = smollm(2);
    let [a, b] = ["Cats are animals that people keep at home.", "Ships are vessels that carry goods by sea."]
        .map(|text| tokens_of(&engine, text));
    for prompt in [&a, &b] {
        assert_eq!(run(&engine, greedy(Prompt::Tokens(prompt.clone()), 2)).outcome.usage.cached, 0);
    }
    for prompt in [&a, &b] {
        assert_eq!(
            run(&engine, greedy(Prompt::Tokens(prompt.clone()), 2)).outcome.usage.cached,
            prompt.len() - 2
        );
    }
}

#[test]
fn a_prompt_beyond_the_context_is_refused_with_both_numbers() {
    let engine = smollm(1);
    let context = engine.manifest().context_tokens;
    let refused = start(&engine, greedy(Prompt::Tokens(vec![100; context]), 1)).err();
    assert!(
        matches!(refused, Some(Error::PromptTooLong { prompt, context: limit }) if prompt == context && limit == context),
        "{refused:?}"
    );
    assert!(matches!(
        start(&engine, greedy(Prompt::Tokens(Vec::new()), 1)).err(),
        Some(Error::Invalid { field: "prompt", .. })
    ));
}

#[test]
fn log_probabilities_are_of_the_raw_distribution() {
    let engine = smollm(1);
    let request = |temperature| Generate {
        logprobs: Some(5),
        sampling: Sampling { temperature, top_k: 1, ..Sampling::default() },
        ..greedy(user("Say yes."), 4)
    };
    let (cold, warm) = (run(&engine, request(0.0)), run(&engine, request(3.0)));
    let of = |answer: &support::Answer| {
        answer.deltas.iter().flat_map(|delta| delta.logprobs.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(&cold), of(&warm), "temperature does not show");
    assert_eq!(of(&cold).len(), cold.tokens().len());
    for (entry, token) in of(&cold).iter().zip(cold.tokens()) {
        assert_eq!((entry.token, entry.top.len()), (token, 5));
        assert_eq!(entry.top[0], (token, entry.logprob), "greedy takes the likeliest");
        assert!(entry.top.windows(2).all(|pair| pair[0].1 >= pair[1].1) && entry.logprob <= 0.0);
        assert!(entry.top.iter().map(|(_, logprob)| logprob.exp()).sum::<f32>() <= 1.0 + 1e-5);
    }
}

#[test]
fn too_many_jobs_are_refused_and_the_waiting_ones_end_with_the_engine() {
    let engine = smollm(1);
    let jobs: Vec<_> = (0..=WAITING_JOBS_MAX)
        .map(|_| start(&engine, greedy(Prompt::Text(STORY.to_owned()), 1000)).unwrap())
        .collect();
    assert!(matches!(
        start(&engine, greedy(Prompt::Text(STORY.to_owned()), 1)).err(),
        Some(Error::Busy { slots: 1, .. })
    ));
    drop(engine);
    for job in jobs {
        assert!(matches!(job.wait().outcome.finish, Finish::Error(Error::Stopped(_))));
    }
}

struct Panics;

impl Sink for Panics {
    fn prompt_ready(&mut self, _: Usage) {}
    fn tokens(&mut self, _: lowland_engine::Delta) {
        panic!("this sink is broken");
    }
    fn done(self: Box<Self>, _: Outcome) {
        panic!("still broken");
    }
}

#[test]
fn a_panic_on_the_step_thread_reaches_every_job() {
    let engine = smollm(2);
    let bystander = start(&engine, greedy(Prompt::Text(STORY.to_owned()), 1000)).unwrap();
    while !matches!(bystander.next(), Told::Tokens(_)) {}
    engine.generate(greedy(Prompt::Text(STORY.to_owned()), 5), Box::new(Panics)).unwrap();
    let end = bystander.wait().finish();
    assert!(end.contains("this sink is broken"), "{end}");
    let refused = start(&engine, greedy(Prompt::Text(STORY.to_owned()), 1)).err();
    assert!(matches!(refused, Some(Error::Stopped(_))), "{refused:?}");
}

#[test]
fn a_folder_that_is_no_model_says_what_is_wrong() {
    let empty = tempfile::tempdir().unwrap();
    let error = Engine::load(empty.path(), &config(1)).unwrap_err();
    assert!(matches!(&error, Error::Folder { path, .. } if path.ends_with("model.json")), "{error}");
    for file in ["model.json", "tokenizer.json"] {
        std::fs::copy(model("smollm2-135m-instruct").join(file), empty.path().join(file)).unwrap();
    }
    let error = Engine::load(empty.path(), &config(1)).unwrap_err();
    assert!(matches!(&error, Error::Folder { path, .. } if path.ends_with("model.onnx")), "{error}");
}

#[test]
fn a_provider_that_the_library_lacks_is_an_error_not_the_cpu() {
    for (provider, name) in [
        (Provider::Cuda { device: 0 }, "CUDAExecutionProvider"),
        (Provider::TensorRt { device: 0 }, "TensorrtExecutionProvider"),
    ] {
        let error =
            Engine::load(&model("smollm2-135m-instruct"), &Config { provider, ..config(1) }).unwrap_err();
        assert!(
            matches!(&error, Error::Provider { provider: named, missing } if *named == provider && missing.contains(name)),
            "{error}"
        );
    }
}
