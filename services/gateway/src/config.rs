//! The gateway's settings, read once. Each says its unit and what it costs.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use lowland_host::Settings;

/// Where the gateway listens unless told otherwise.
pub const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// Largest request body, in bytes. A request travels inside `submitted` and again inside `assigned`, and the server
/// takes messages up to 1 MiB: a quarter of that is left for the reasons that an assignment carries.
pub const BODY_BYTES_MAX: usize = 768 << 10;
/// Most requests that are served at once. Each costs a mailbox: some KiB, and at worst 4 MiB.
pub const REQUESTS_MAX: usize = 1024;
/// Most requests of one account that are served at once.
pub const ACCOUNT_REQUESTS_MAX: usize = 256;
/// Time that a caller who announced it has for coming back, in milliseconds; meanwhile its job goes on and costs.
pub const RESUME_GRACE_MS: u64 = 10_000;
/// Time after which a stream's headers are sent although nothing has come yet, in milliseconds: proxies cut
/// connections that stay silent for a minute. Errors after that are events of the stream.
pub const HEADERS_WITHIN_MS: u64 = 30_000;
/// Pause of a stream after which a comment is sent, in milliseconds, so that nothing on the way takes it for dead.
pub const KEEP_ALIVE_MS: u64 = 15_000;
/// Time within which the log must have taken a request, in milliseconds; then the caller is told that it didn't.
pub const POST_WITHIN_MS: u64 = 8_000;
/// Time after a job's deadline in which its end must become known, in milliseconds; then nobody is there to decide it.
pub const ANSWER_GRACE_MS: u64 = 10_000;

/// The gateway's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen (`LOWLAND_LISTEN`).
    pub listen: SocketAddr,
    /// The file of API keys (`LOWLAND_KEYS`).
    pub keys: PathBuf,
    /// Largest request body, in bytes (`LOWLAND_BODY_BYTES_MAX`).
    pub body_bytes_max: usize,
    /// Most requests at once (`LOWLAND_REQUESTS_MAX`).
    pub requests_max: usize,
    /// Most requests of one account at once (`LOWLAND_ACCOUNT_REQUESTS_MAX`).
    pub account_requests_max: usize,
    /// Time for coming back (`LOWLAND_RESUME_GRACE_MS`).
    pub resume_grace: Duration,
    /// Time after which a stream's headers are sent in any case (`LOWLAND_HEADERS_WITHIN_MS`).
    pub headers_within: Duration,
    /// Pause after which a stream sends a comment (`LOWLAND_KEEP_ALIVE_MS`).
    pub keep_alive: Duration,
    /// Time within which the log must have taken a request; no environment variable.
    pub post_within: Duration,
    /// Time after a job's deadline in which its end must become known; no environment variable.
    pub answer_grace: Duration,
    /// Origins whose pages may use the API (`LOWLAND_CORS_ORIGINS`, a comma list or `*`). Any by default: keys are sent
    /// by the page itself, never by the browser on its own, so a strange page gains nothing.
    pub cors_origins: Vec<String>,
}

impl Config {
    /// The defaults, with what has none.
    #[must_use]
    pub fn new(listen: SocketAddr, keys: PathBuf) -> Self {
        Self {
            listen,
            keys,
            body_bytes_max: BODY_BYTES_MAX,
            requests_max: REQUESTS_MAX,
            account_requests_max: ACCOUNT_REQUESTS_MAX,
            resume_grace: Duration::from_millis(RESUME_GRACE_MS),
            headers_within: Duration::from_millis(HEADERS_WITHIN_MS),
            keep_alive: Duration::from_millis(KEEP_ALIVE_MS),
            post_within: Duration::from_millis(POST_WITHIN_MS),
            answer_grace: Duration::from_millis(ANSWER_GRACE_MS),
            cors_origins: vec!["*".into()],
        }
    }

    /// Reads the settings; what is wrong is noted in `settings`.
    pub fn read(settings: &mut Settings) -> Self {
        let listen = settings.or("LOWLAND_LISTEN", LISTEN_DEFAULT);
        let keys = settings.required("LOWLAND_KEYS", "the file of API keys (keys.toml)").unwrap_or_default();
        let defaults = Self::new(listen, keys);
        let origins = settings.or("LOWLAND_CORS_ORIGINS", "*".to_owned());
        Self {
            body_bytes_max: settings.or("LOWLAND_BODY_BYTES_MAX", defaults.body_bytes_max),
            requests_max: settings.or("LOWLAND_REQUESTS_MAX", defaults.requests_max),
            account_requests_max: settings.or("LOWLAND_ACCOUNT_REQUESTS_MAX", defaults.account_requests_max),
            resume_grace: millis(settings, "LOWLAND_RESUME_GRACE_MS", RESUME_GRACE_MS),
            headers_within: millis(settings, "LOWLAND_HEADERS_WITHIN_MS", HEADERS_WITHIN_MS),
            keep_alive: millis(settings, "LOWLAND_KEEP_ALIVE_MS", KEEP_ALIVE_MS),
            cors_origins: list(&origins),
            ..defaults
        }
        .checked(settings)
    }

    fn checked(self, settings: &mut Settings) -> Self {
        for (name, value) in [
            ("LOWLAND_BODY_BYTES_MAX", self.body_bytes_max),
            ("LOWLAND_REQUESTS_MAX", self.requests_max),
            ("LOWLAND_ACCOUNT_REQUESTS_MAX", self.account_requests_max),
        ] {
            if value == 0 {
                settings.problem(format!("{name}=0: nothing could be served; use at least 1"));
            }
        }
        for origin in &self.cors_origins {
            if origin.parse::<axum::http::HeaderValue>().is_err() {
                settings.problem(format!("LOWLAND_CORS_ORIGINS: {origin:?} is no origin"));
            }
        }
        self
    }
}

fn millis(settings: &mut Settings, name: &str, default: u64) -> Duration {
    Duration::from_millis(settings.or(name, default))
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &'static [(&'static str, &'static str)]) -> (Config, Result<(), lowland_host::Error>) {
        let mut settings = Settings::from_lookup(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        let config = Config::read(&mut settings);
        (config, settings.finish())
    }

    #[test]
    fn defaults_and_overrides() {
        let (config, result) = read(&[
            ("LOWLAND_KEYS", "/k.toml"),
            ("LOWLAND_RESUME_GRACE_MS", "5"),
            ("LOWLAND_CORS_ORIGINS", "https://a.example, https://b.example"),
        ]);
        assert!(result.is_ok());
        assert_eq!((config.listen, config.keys), (LISTEN_DEFAULT, PathBuf::from("/k.toml")));
        assert_eq!(config.resume_grace, Duration::from_millis(5));
        assert_eq!(config.cors_origins, ["https://a.example", "https://b.example"]);
    }

    #[test]
    fn every_problem_is_reported() {
        let (_, result) = read(&[("LOWLAND_LISTEN", "nowhere"), ("LOWLAND_REQUESTS_MAX", "0")]);
        let message = result.unwrap_err().to_string();
        for wanted in ["LOWLAND_LISTEN=\"nowhere\"", "LOWLAND_KEYS is not set", "LOWLAND_REQUESTS_MAX=0"] {
            assert!(message.contains(wanted), "{message}");
        }
    }
}
