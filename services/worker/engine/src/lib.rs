//! The inference engine: models from what people publish, run by ONNX Runtime, with no bus and no service around it.
//!
//! `import` turns GGUF, safetensors and onnxruntime-genai folders into one model-folder format; everything else reads
//! only that format.
pub mod import;
pub mod manifest;
