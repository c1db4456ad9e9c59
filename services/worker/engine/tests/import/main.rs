//! Imported models against references recorded elsewhere (`tests/golden`, each file beside the recipe that made it).

#[path = "../support/mod.rs"]
mod support;

mod bert;
mod checkpoints;
mod dequantise;
mod folders;
mod gguf_file;
mod gguf_hostile;
mod golden;
mod graphs;
mod quality;
mod run;
mod tokenizers;
