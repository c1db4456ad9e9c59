//! The scheduler's settings: bounds that an operator may want to move. What the fold depends on is no setting but a
//! constant, so that every replay gives the same state.

use lowland_host::{Settings, trace::Sampling};

use crate::admission::TEXT_BYTES_MAX;

/// Jobs of one account that may wait for a place at once, unless set otherwise.
pub const WAITING_JOBS_MAX: u64 = 10_000;

/// Bytes of the texts of one account's jobs that may wait for a place at once.
pub const WAITING_BYTES_MAX: u64 = 64 << 20;

/// The scheduler's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Jobs of one account that may wait for a place at once; each costs memory of about its request's size here.
    pub waiting_jobs_max: u64,
    /// Most text in a request, in bytes: no setting, but lowered to what the log's messages can carry.
    pub text_bytes_max: usize,
    /// Which jobs' traces are recorded, where it is not the sender who says: the host's, which reads it for every service.
    pub sampling: Sampling,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            waiting_jobs_max: WAITING_JOBS_MAX,
            text_bytes_max: TEXT_BYTES_MAX,
            sampling: Sampling::default(),
        }
    }
}

impl Config {
    /// Reads `LOWLAND_WAITING_JOBS_MAX` (jobs an account; default 10,000).
    pub fn read(settings: &mut Settings) -> Self {
        let waiting_jobs_max = settings.or("LOWLAND_WAITING_JOBS_MAX", WAITING_JOBS_MAX);
        if waiting_jobs_max == 0 {
            settings.problem("LOWLAND_WAITING_JOBS_MAX=0: no account could ever post a job; use 1 or more");
        }
        Self { waiting_jobs_max, ..Self::default() }
    }

    /// The same, for a log whose messages have at most `payload_bytes_max` bytes: half of one is left for what an
    /// assignment says besides the text.
    #[must_use]
    pub fn for_payloads_of(self, payload_bytes_max: usize) -> Self {
        Self { text_bytes_max: self.text_bytes_max.min(payload_bytes_max / 2), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Option<&'static str>) -> (Config, Result<(), String>) {
        let mut settings = Settings::from_lookup(move |_| value.map(str::to_owned));
        let config = Config::read(&mut settings);
        (config, settings.finish().map_err(|error| error.to_string()))
    }

    #[test]
    fn has_a_default_and_refuses_nonsense() {
        assert_eq!(read(None), (Config::default(), Ok(())));
        assert_eq!(read(Some("7")).0.waiting_jobs_max, 7);
        assert!(read(Some("0")).1.unwrap_err().contains("LOWLAND_WAITING_JOBS_MAX=0"));
        assert!(read(Some("many")).1.is_err());
    }
}
