//! ONNX Runtime's log, handed to `tracing`, and overheard while a provider registers.
//!
//! The status of a failed registration often says no more than "not available"; which file is missing stands in the log.

use std::{cell::RefCell, sync::Arc};

use ort::logging::{LogLevel, LoggerFunction};

/// Lines kept while listening.
const HEARD_LINES_MAX: usize = 16;

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The logger that the environment is given.
pub(crate) fn logger() -> LoggerFunction {
    Arc::new(|level, _category, _id, place, message| {
        overhear(level, message);
        match level {
            LogLevel::Fatal | LogLevel::Error => tracing::error!(target: "onnxruntime", place, "{message}"),
            LogLevel::Warning => tracing::debug!(target: "onnxruntime", place, "{message}"),
            LogLevel::Info | LogLevel::Verbose => tracing::trace!(target: "onnxruntime", place, "{message}"),
        }
    })
}

fn overhear(level: LogLevel, message: &str) {
    if level < LogLevel::Warning {
        return;
    }
    HEARD.with_borrow_mut(|heard| {
        if let Some(lines) = heard.as_mut().filter(|lines| lines.len() < HEARD_LINES_MAX) {
            lines.push(message.trim().to_owned());
        }
    });
}

/// Runs `act` and returns what ONNX Runtime logged as a warning or worse on this thread meanwhile.
pub(crate) fn listen<T>(act: impl FnOnce() -> T) -> (T, Vec<String>) {
    HEARD.set(Some(Vec::new()));
    let result = act();
    (result, HEARD.take().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hears_warnings_and_only_while_listening() {
        overhear(LogLevel::Error, "before");
        let ((), heard) = listen(|| {
            overhear(LogLevel::Error, " error ");
            overhear(LogLevel::Info, "chatter");
        });
        assert_eq!(heard, ["error"]);
        overhear(LogLevel::Error, "after");
        assert!(listen(|| ()).1.is_empty());
    }
}
