//! ONNX Runtime's log, handed to `tracing`.

use std::sync::Arc;

use ort::logging::{LogLevel, LoggerFunction};

/// The logger that the environment is given. Warnings are about the graph, which users can't change, so they
/// are kept low.
pub(crate) fn logger() -> LoggerFunction {
    Arc::new(|level, _category, _id, place, message| match level {
        LogLevel::Fatal | LogLevel::Error => tracing::error!(target: "onnxruntime", place, "{message}"),
        LogLevel::Warning => tracing::debug!(target: "onnxruntime", place, "{message}"),
        LogLevel::Info | LogLevel::Verbose => tracing::trace!(target: "onnxruntime", place, "{message}"),
    })
}
