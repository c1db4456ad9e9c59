//! The tunnel's far end: each stream becomes a TCP connection to the service.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use super::{
    mode::{Balance, Mode},
    relay::{TCP_BROKEN, relay},
};
use crate::{
    endpoint::{Connection, Endpoint, RecvStream, SendStream},
    proto::close::Code,
};

/// How long the service has to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The tunnel's far end.
pub struct Server {
    endpoint: Endpoint,
    to: String,
}

impl Server {
    /// Serves clients of `endpoint` with what `to` offers: `HOST:PORT`, looked up for each connection.
    #[must_use]
    pub fn new(endpoint: Endpoint, to: String) -> Self {
        Self { endpoint, to }
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    /// Serves until the endpoint is closed.
    pub async fn run(self) {
        while let Some(connection) = self.endpoint.accept().await {
            tokio::spawn(serve(connection, self.to.clone()));
        }
    }
}

async fn serve(connection: Connection, to: String) {
    let remote = connection.remote();
    tracing::info!(%remote, "a client has come");
    // The client's mode is its own; this side's data has its own say.
    let balance = Balance::new(connection.clone(), Mode::Auto);
    let ended = loop {
        match connection.accept_stream().await {
            Ok(parts) => {
                tokio::spawn(carry(parts, to.clone(), balance.clone()));
            }
            Err(error) => break error,
        }
    };
    tracing::info!(%remote, %ended, "a client has gone");
    connection.close(Code::NO_ERROR, bytes::Bytes::new());
}

async fn carry((mut send, mut recv): (SendStream, RecvStream), to: String, balance: Balance) {
    match connect(&to).await {
        Ok(tcp) => {
            let passed = relay(tcp, (send, recv), balance).await;
            tracing::debug!(?passed, "a flow has ended");
        }
        Err(error) => {
            tracing::warn!(to, %error, "the service cannot be reached");
            let _ = send.reset(TCP_BROKEN);
            let _ = recv.stop(TCP_BROKEN);
        }
    }
}

async fn connect(to: &str) -> io::Result<TcpStream> {
    timeout(CONNECT_TIMEOUT, TcpStream::connect(to)).await?
}
