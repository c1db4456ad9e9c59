//! How a process connects: where to, as whom, and for how long it keeps trying.

use std::{fmt, sync::Arc, time::Duration};

use async_nats::{ConnectErrorKind, ConnectOptions};

use super::line::Line;
use crate::log::Error;

/// Longest wait for the server to take a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How often a silent connection is tried; two silences end it.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// First pause before connecting anew; it doubles with each failure.
const RECONNECT_PAUSE: Duration = Duration::from_millis(25);
/// Longest pause before connecting anew.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Messages that may wait to be written to the connection.
const WRITES_WAITING_MAX: usize = 8192;

/// Where to connect, and as whom.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// `nats://host:port`, or several, separated by commas.
    pub url: String,
    /// As whom.
    pub credentials: Credentials,
    /// The process's name, as the server's monitoring shows it.
    pub name: String,
    /// What answers are sent below, where the user may subscribe only there; `_INBOX` if absent.
    pub inbox_prefix: Option<String>,
}

/// As whom to connect. Printing one shows no secret.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody: for servers without users.
    #[default]
    None,
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// An nkey: the seed (`SU...`).
    NkeySeed(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password { .. } => "Password(...)",
            Self::NkeySeed(_) => "NkeySeed(...)",
        })
    }
}

/// Connects once; from then on the connection mends itself for ever.
pub(super) async fn connect(connection: &Connection) -> Result<Arc<Line>, Error> {
    let line = Line::unconnected();
    let heard = Arc::downgrade(&line);
    let options = options(connection).event_callback(move |event| {
        let line = heard.upgrade();
        async move {
            if let Some(line) = line {
                line.hear(&event);
            }
        }
    });
    let servers: Vec<_> = connection.url.split(',').map(|url| url.trim().to_owned()).collect();
    let client = options.connect(servers).await.map_err(|error| failed(&connection.url, &error))?;
    line.connected_by(client);
    Ok(line)
}

fn options(connection: &Connection) -> ConnectOptions {
    let mut options = ConnectOptions::new()
        .name(&connection.name)
        .connection_timeout(CONNECT_WAIT)
        .request_timeout(None)
        .ping_interval(PING_INTERVAL)
        .client_capacity(WRITES_WAITING_MAX)
        .read_buffer_capacity(u16::MAX)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_pause);
    if let Some(prefix) = &connection.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    match &connection.credentials {
        Credentials::None => options,
        Credentials::Password { user, password } => options.user_and_password(user.clone(), password.clone()),
        Credentials::NkeySeed(seed) => options.nkey(seed.clone()),
    }
}

fn reconnect_pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(16);
    RECONNECT_PAUSE.saturating_mul(1 << doublings).min(RECONNECT_PAUSE_MAX)
}

fn failed(url: &str, error: &async_nats::ConnectError) -> Error {
    let text = format!("{url}: {error}");
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::ServerParse => Error::Refused(text),
        _ => Error::Unanswered(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        assert_eq!(reconnect_pause(0), RECONNECT_PAUSE);
        assert_eq!(reconnect_pause(1), RECONNECT_PAUSE * 2);
        assert_eq!(reconnect_pause(usize::MAX), RECONNECT_PAUSE_MAX);
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = Credentials::Password { user: "u".into(), password: "hush".into() };
        assert!(!format!("{secret:?}").contains("hush"));
        assert!(!format!("{:?}", Credentials::NkeySeed("SUHUSH".into())).contains("HUSH"));
    }
}
