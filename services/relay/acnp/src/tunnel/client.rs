//! The tunnel's near end: a TCP port, each of whose connections becomes a stream.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use super::{
    mode::{Balance, Mode},
    relay::relay,
};
use crate::{endpoint::Endpoint, proto::handshake::ClientKeys};

/// How long a TCP connection waits for the tunnel to come back before it is broken.
const WAIT: Duration = Duration::from_secs(15);
/// First pause between attempts to connect, and the longest.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// The tunnel's near end.
pub struct Client {
    listener: TcpListener,
    link: Arc<Link>,
}

/// The connection to the far end, made again when it is gone.
struct Link {
    endpoint: Endpoint,
    peer: SocketAddr,
    keys: ClientKeys,
    mode: Mode,
    connection: Mutex<Option<Balance>>,
}

impl Client {
    /// Takes TCP connections of `listener` to the server at `peer`.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        endpoint: Endpoint,
        peer: SocketAddr,
        keys: ClientKeys,
        mode: Mode,
    ) -> Self {
        let link = Arc::new(Link { endpoint, peer, keys, mode, connection: Mutex::new(None) });
        Self { listener, link }
    }

    /// The address at which TCP connections are taken.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes TCP connections for ever.
    ///
    /// # Errors
    /// The port takes no connections any more.
    pub async fn run(self) -> io::Result<()> {
        // So that the first flow need not wait for the handshake.
        let link = Arc::clone(&self.link);
        tokio::spawn(async move { link.connection().await.map(drop) });
        loop {
            match self.listener.accept().await {
                Ok((tcp, _)) => drop(tokio::spawn(carry(tcp, Arc::clone(&self.link)))),
                Err(error) if passes(&error) => {
                    tracing::warn!(%error, "a TCP connection could not be taken");
                    sleep(RETRY_MIN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether taking connections may succeed again: the system is short of something, or a peer went away.
fn passes(error: &io::Error) -> bool {
    let passing = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::ECONNABORTED,
        libc::EINTR,
        libc::EPROTO,
    ];
    error.raw_os_error().is_some_and(|code| passing.contains(&code))
}

async fn carry(tcp: TcpStream, link: Arc<Link>) {
    let opened = timeout(WAIT, async {
        loop {
            // The connection may go between the two; then there is another one.
            let Some(balance) = link.connection().await else { continue };
            if let Ok(parts) = balance.connection().open_stream().await {
                return (parts, balance);
            }
        }
    });
    let Ok((parts, balance)) = opened.await else {
        tracing::warn!("the server did not answer in time; a TCP connection is given up");
        let _ = socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO));
        return;
    };
    let passed = relay(tcp, parts, balance).await;
    tracing::debug!(?passed, "a flow has ended");
}

impl Link {
    /// The connection, made if it is not there; `None` when a long attempt came to nothing and the caller may look whether it still
    /// wants one.
    async fn connection(&self) -> Option<Balance> {
        let mut kept = self.connection.lock().await;
        if let Some(balance) = kept.as_ref().filter(|kept| kept.connection().close_reason().is_none()) {
            return Some(balance.clone());
        }
        *kept = None;
        let (began, mut pause) = (Instant::now(), RETRY_MIN);
        while began.elapsed() < WAIT {
            match self.endpoint.connect(self.peer, &self.keys).await {
                Ok(connection) => {
                    tracing::info!(peer = %self.peer, "connected");
                    let balance = Balance::new(connection, self.mode);
                    *kept = Some(balance.clone());
                    return Some(balance);
                }
                Err(error) => tracing::warn!(peer = %self.peer, %error, "no connection"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
        None
    }
}
