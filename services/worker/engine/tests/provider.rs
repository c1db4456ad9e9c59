//! What is said when a provider is asked for and is not there, with a library that has it compiled in.
//!
//! Needs the GPU build of ONNX Runtime (no GPU), which `lowland fetch onnxruntime-gpu` brings, and is built only with the
//! feature `gpu-library`, since that library is large.

mod support;

use lowland_engine::{Config, Engine, Error, Provider};
use support::{greedy, library_in, model, run, user};

fn load(provider: Provider) -> Result<Engine, Error> {
    let library = Some(library_in("onnxruntime-gpu-1.31.1"));
    Engine::load(&model("smollm2-135m-instruct"), &Config { provider, library, threads: 2, slots: 1 })
}

#[test]
fn a_provider_that_does_not_load_names_what_is_missing() {
    for provider in [Provider::Cuda { device: 0 }, Provider::TensorRt { device: 0 }] {
        let error = load(provider).unwrap_err();
        println!("{error}");
        assert!(matches!(&error, Error::Provider { provider: named, .. } if *named == provider), "{error}");
        let words = error.to_string();
        assert!(words.contains(".so"), "it names the library that is missing: {words}");
    }
}

#[test]
fn the_same_library_runs_on_the_cpu() {
    let engine = load(Provider::Cpu).unwrap();
    assert_eq!(run(&engine, greedy(user("Hello"), 2)).tokens().len(), 2);
}
