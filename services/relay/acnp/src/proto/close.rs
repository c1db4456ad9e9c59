//! Why a connection ends: the codes of CLOSE.

use bytes::Bytes;

/// Longest reason that is sent or kept, bytes.
pub const REASON_LEN_MAX: usize = 256;
/// The first code that belongs to the application.
pub const APPLICATION_CODES: u64 = 0x100;

/// A code of CLOSE; from [`APPLICATION_CODES`] on they are the application's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u64);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            fn name(self) -> Option<&'static str> {
                match self { $(Self::$name => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

codes! {
    /// All is well.
    NO_ERROR = 0x00,
    /// The implementation failed.
    INTERNAL = 0x01,
    /// The server does not want this client.
    REFUSED = 0x02,
    /// Data beyond a limit.
    FLOW_CONTROL = 0x03,
    /// A stream beyond the count allowed.
    STREAM_LIMIT = 0x04,
    /// A frame for a stream that cannot take it.
    STREAM_STATE = 0x05,
    /// Data or an end that contradicts a stream's final size.
    FINAL_SIZE = 0x06,
    /// A frame that cannot be read or has no business where it stands.
    FRAME_ENCODING = 0x07,
    /// A hello that contradicts itself or the specification.
    PARAMETERS = 0x08,
    /// More connection ids than agreed.
    CONNECTION_ID_LIMIT = 0x09,
    /// Anything else that the specification forbids.
    PROTOCOL = 0x0a,
    /// A key update out of turn.
    KEY_UPDATE = 0x0b,
    /// More forged packets than the cipher stands.
    AEAD_LIMIT = 0x0c,
    /// A bound of this side was reached.
    OVERLOADED = 0x0d,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// What a CLOSE says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code.
    pub code: Code,
    /// UTF-8 for people to read, at most [`REASON_LEN_MAX`] bytes.
    pub reason: Bytes,
}

/// The peer broke a rule, or a bound was reached: the connection has to end, and with what code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {reason}")]
pub struct Violation {
    /// The code of the CLOSE that follows.
    pub code: Code,
    /// What was wrong.
    pub reason: &'static str,
}

impl Violation {
    /// A violation with this code and reason.
    #[must_use]
    pub const fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

impl From<Violation> for Close {
    fn from(violation: Violation) -> Self {
        Self { code: violation.code, reason: Bytes::from_static(violation.reason.as_bytes()) }
    }
}
