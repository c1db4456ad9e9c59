//! The transport for applications, asynchronous: endpoints, connections, streams, messages and datagrams over a wire.
//!
//! One task an endpoint drives all of its connections; it holds no thread and ends with the last of them. Every future may be dropped at any
//! time without loss, unless its documentation says otherwise.

mod cell;
mod connection;
mod driver;
#[expect(clippy::module_inception, reason = "the endpoint itself, beside its parts")]
mod endpoint;
mod error;
mod hub;
pub mod keys;
mod messages;
mod qlog;
mod settings;
mod stream;

pub use connection::Connection;
pub use endpoint::{Endpoint, EndpointStats};
pub use error::{ConnectError, ConnectionError, ReadError, SendDatagramError, WriteError};
pub use messages::{MESSAGE_LEN_MAX, MESSAGE_TOO_LONG, MESSAGES_TOO_MANY};
pub use settings::{Settings, server_config, server_of};
pub use stream::{RecvStream, SendStream};
