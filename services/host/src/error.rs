//! Why a service could not start or go on.

use lowland_events::log;

/// Why a service could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings are missing or wrong; every one of them is named.
    #[error("the settings are not usable:\n{}", .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<String>),
    /// The log failed in a way that repeating does not mend.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// An append failed in a way that repeating does not mend.
    #[error(transparent)]
    Append(#[from] log::AppendError),
    /// A port could not be bound, a file not be read.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Something that this service alone knows.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// An I/O error while doing `what`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }
}
