//! What an application can be told of: each error says which call can fail by it.

use std::io;

use crate::proto::{connection::CloseReason, connection::DatagramError, handshake::HandshakeFailed};

/// The connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// It ended for this reason.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The endpoint's wire is broken, or its runtime is gone.
    #[error("the endpoint has stopped")]
    Stopped,
}

/// A connection could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The keys don't make a handshake.
    #[error(transparent)]
    Keys(#[from] HandshakeFailed),
    /// It ended before it was established.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Data was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The peer wants no more, for this reason of its application's.
    #[error("the peer stopped the stream with code {0}")]
    Stopped(u64),
    /// The stream was ended or reset.
    #[error("the stream is closed")]
    Closed,
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// No more data comes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The peer gave the stream up, with this code of its application's.
    #[error("the peer reset the stream with code {0}")]
    Reset(u64),
    /// The stream was stopped.
    #[error("the stream is closed")]
    Closed,
    /// There is more than the caller takes.
    #[error("the content is longer than {0} bytes")]
    TooLong(usize),
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// A datagram was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendDatagramError {
    /// The peer takes none, or none of this size.
    #[error(transparent)]
    Datagram(#[from] DatagramError),
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl From<ConnectionError> for io::Error {
    fn from(error: ConnectionError) -> Self {
        let kind = match &error {
            ConnectionError::Closed(CloseReason::Local(_)) | ConnectionError::Stopped => {
                io::ErrorKind::NotConnected
            }
            ConnectionError::Closed(CloseReason::Idle | CloseReason::HandshakeTimeout) => {
                io::ErrorKind::TimedOut
            }
            ConnectionError::Closed(CloseReason::Peer(_)) => io::ErrorKind::ConnectionAborted,
            ConnectionError::Closed(CloseReason::Reset | CloseReason::Version) => {
                io::ErrorKind::ConnectionReset
            }
        };
        Self::new(kind, error)
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(_) => Self::new(io::ErrorKind::BrokenPipe, error),
            WriteError::Closed => Self::new(io::ErrorKind::NotConnected, error),
            WriteError::Connection(error) => error.into(),
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(_) => Self::new(io::ErrorKind::ConnectionReset, error),
            ReadError::Closed => Self::new(io::ErrorKind::NotConnected, error),
            ReadError::TooLong(_) => Self::new(io::ErrorKind::InvalidData, error),
            ReadError::Connection(error) => error.into(),
        }
    }
}
