//! What a connection tells its owner.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::proto::{ConnectionId, PathId, cid::ResetToken, close::Close, stream::StreamEvent};

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed: {0:?}")]
    Local(Close),
    /// The peer closed it.
    #[error("closed by the peer: {0:?}")]
    Peer(Close),
    /// Nothing was heard for too long.
    #[error("nothing was heard for too long")]
    Idle,
    /// The handshake took too long.
    #[error("the handshake took too long")]
    HandshakeTimeout,
    /// The peer does not know the connection any more.
    #[error("the peer has forgotten the connection")]
    Reset,
    /// The server speaks none of our versions.
    #[error("the server speaks another version")]
    Version,
}

/// Something for the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The handshake is over.
    Connected {
        /// Whether early packets were taken; if not, their data is on its way again.
        early_accepted: bool,
    },
    /// Something happened to streams.
    Stream(StreamEvent),
    /// There is a datagram to read.
    Datagram,
    /// A token for the next connection to this server.
    NewToken(Bytes),
    /// The peer's address of a path has changed, and has shown that it receives.
    Moved {
        /// The path.
        path: PathId,
        /// Its new address.
        remote: SocketAddr,
    },
    /// It is over. Nothing else comes after it.
    Closed(CloseReason),
}

/// Something that whoever sorts datagrams has to do for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: the handshake is over.
    Established,
    /// Further connection ids for a path.
    Ids {
        /// The path.
        path: PathId,
        /// How many.
        count: usize,
    },
    /// A short packet that belongs to nobody and ends in this token is this connection's: the peer has forgotten it.
    Expect(ResetToken),
    /// The peer uses this id no more.
    Retired(ConnectionId),
    /// The connection needs nothing any more and can be dropped.
    Drained,
}
