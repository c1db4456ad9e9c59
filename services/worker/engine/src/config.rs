//! What an engine is told once, when it loads a model.

use std::path::PathBuf;

use crate::provider::Provider;

/// How a model is to be run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the arithmetic happens; asked for and missing is an error, never a silent fall to the CPU.
    pub provider: Provider,
    /// Threads within one operator (0: as many as the machine has cores). On the CPU more than the physical
    /// cores cost speed.
    pub threads: usize,
    /// Sequences at once. Each costs up to one context of key-value cache, which is kept while the slot is
    /// idle so that the next job can reuse its prefix.
    pub slots: usize,
    /// ONNX Runtime's shared library; without it `ORT_DYLIB_PATH` says where it is. One library a process.
    pub library: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self { provider: Provider::Cpu, threads: 0, slots: 4, library: None }
    }
}
