//! Transports at their best settings, behind one face: dial, ask, serve.

mod kcp;
mod pipeline;
mod quic;
mod settings;
mod socket;
mod tcp;

use std::{fmt, io, net::SocketAddr, str::FromStr, sync::Arc};

use pipeline::Pipeline;
pub use settings::Settings;

use crate::wire::{Answer, Ask, Progress};

/// A transport, and how it controls congestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The kernel's TCP.
    Tcp(Congestion),
    /// quinn's QUIC.
    Quinn(Congestion),
    /// tokio_kcp in its fastest mode, which controls nothing.
    Kcp,
}

/// A congestion controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Congestion {
    /// RFC 9438.
    Cubic,
    /// Model-based, version 1.
    Bbr,
}

/// All of them, by the names of the command line.
pub const PEERS: [(&str, Peer); 5] = [
    ("tcp-cubic", Peer::Tcp(Congestion::Cubic)),
    ("tcp-bbr", Peer::Tcp(Congestion::Bbr)),
    ("quinn-cubic", Peer::Quinn(Congestion::Cubic)),
    ("quinn-bbr", Peer::Quinn(Congestion::Bbr)),
    ("kcp", Peer::Kcp),
];

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PEERS.iter().find(|(_, peer)| peer == self).map_or("?", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || PEERS.map(|(name, _)| name).join(", ");
        let found = PEERS.iter().find(|(name, _)| *name == text).map(|(_, peer)| *peer);
        found.ok_or_else(|| format!("no transport `{text}`; there are {}", names()))
    }
}

impl Congestion {
    /// The kernel's name for it.
    fn kernel_name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }
}

/// What opens connections to one server.
pub struct Dialer {
    kind: DialerKind,
    to: SocketAddr,
}

enum DialerKind {
    Tcp(Congestion),
    Quic(Box<quic::Dialer>),
    Kcp(tokio_kcp::KcpConfig),
}

/// A connection on which calls can be made, many at a time.
#[derive(Clone)]
pub enum Connection {
    /// Calls share an ordered stream and are answered in their order.
    Ordered(Arc<Pipeline>),
    /// Each call has a stream of its own.
    Streams(quinn::Connection),
}

impl Dialer {
    /// Prepares to dial; nothing is sent yet.
    ///
    /// # Errors
    /// A socket or a key that cannot be had.
    pub fn new(peer: Peer, to: SocketAddr, settings: &Settings) -> io::Result<Self> {
        let kind = match peer {
            Peer::Tcp(congestion) => DialerKind::Tcp(congestion),
            Peer::Quinn(congestion) => {
                DialerKind::Quic(Box::new(quic::Dialer::new(to, congestion, settings)?))
            }
            Peer::Kcp => DialerKind::Kcp(kcp::config(settings)),
        };
        Ok(Self { kind, to })
    }

    /// Opens a connection. With `early`, requests may leave before the handshake ends, where the transport can.
    ///
    /// # Errors
    /// The transport's, or that it cannot send early.
    pub async fn dial(&self, early: bool) -> io::Result<Connection> {
        match &self.kind {
            DialerKind::Tcp(_) if early => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "TCP sends nothing before its handshake"))
            }
            DialerKind::Tcp(congestion) => {
                let (read, write) = tcp::dial(self.to, *congestion).await?.into_split();
                Ok(Connection::Ordered(Pipeline::new(read, write)))
            }
            DialerKind::Quic(dialer) => dialer.dial(early).await.map(Connection::Streams),
            DialerKind::Kcp(config) => {
                let (read, write) = tokio::io::split(kcp::dial(self.to, config).await?);
                Ok(Connection::Ordered(Pipeline::new(read, write)))
            }
        }
    }

    /// Whether one connection keeps calls apart, so that nothing is gained by several.
    pub fn multiplexes(&self) -> bool {
        matches!(self.kind, DialerKind::Quic(_))
    }
}

impl Connection {
    /// Makes a call and waits for its answer.
    ///
    /// # Errors
    /// The transport's.
    pub async fn ask(&self, ask: Ask, progress: Option<Arc<Progress>>) -> io::Result<Answer> {
        match self {
            Self::Ordered(pipeline) => pipeline.ask(ask, progress).await,
            Self::Streams(connection) => quic::ask(connection, ask, progress.as_deref()).await,
        }
    }

    /// Ends it, without waiting for the other side.
    pub fn close(&self) {
        match self {
            Self::Ordered(pipeline) => pipeline.close(),
            Self::Streams(connection) => connection.close(0u8.into(), b"done"),
        }
    }
}

/// Answers calls at `listen` until the process ends; calls `ready` with the address as soon as it does.
///
/// # Errors
/// An address that cannot be had.
pub async fn serve(
    peer: Peer,
    listen: SocketAddr,
    settings: &Settings,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    match peer {
        Peer::Tcp(congestion) => tcp::serve(listen, congestion, ready).await,
        Peer::Quinn(congestion) => quic::serve(listen, congestion, settings, ready).await,
        Peer::Kcp => kcp::serve(listen, settings, ready).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn conversation(peer: Peer) {
        let settings = Settings::default();
        let (told, address) = tokio::sync::oneshot::channel();
        let server = settings;
        tokio::spawn(async move {
            let listen = "127.0.0.1:0".parse().expect("an address");
            serve(peer, listen, &server, |at| told.send(at).expect("somebody waits")).await
        });
        let to = address.await.expect("the server listens");
        let connection =
            Dialer::new(peer, to, &settings).expect("a dialer").dial(false).await.expect("a connection");
        let calls = (0..20).map(|seed| {
            let connection = connection.clone();
            let ask = Ask { request: 1024, response: 4096 + seed * 1000, seed };
            tokio::spawn(async move { connection.ask(ask, None).await })
        });
        for call in calls.collect::<Vec<_>>() {
            assert!(call.await.expect("no panic").expect("an answer").content_ok);
        }
        connection.close();
    }

    #[tokio::test]
    async fn every_peer_answers_many_calls_at_once() {
        for (name, peer) in PEERS {
            // A kernel may lack BBR.
            if name != "tcp-bbr" {
                conversation(peer).await;
            }
        }
    }

    #[test]
    fn names_and_peers_match() {
        for (name, peer) in PEERS {
            assert_eq!(name.parse::<Peer>().map(|peer| peer.to_string()), Ok(name.to_owned()));
            assert_eq!(name.parse(), Ok(peer));
        }
        assert!("sctp".parse::<Peer>().is_err());
    }
}
