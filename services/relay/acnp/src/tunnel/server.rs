//! The tunnel's far end: each stream becomes a TCP connection to the service.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use super::relay::{TCP_BROKEN, Urgency, relay};
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
    urgency: Option<Urgency>,
}

impl Server {
    /// Serves clients of `endpoint` with what `to` offers: `HOST:PORT`, looked up for each connection.
    #[must_use]
    pub fn new(endpoint: Endpoint, to: String) -> Self {
        Self { endpoint, to, urgency: Some(super::client::URGENCY) }
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    /// Serves until the endpoint is closed.
    pub async fn run(self) {
        while let Some(connection) = self.endpoint.accept().await {
            tokio::spawn(serve(connection, self.to.clone(), self.urgency));
        }
    }
}

async fn serve(connection: Connection, to: String, urgency: Option<Urgency>) {
    let remote = connection.remote();
    tracing::info!(%remote, "a client has come");
    let ended = loop {
        match connection.accept_stream().await {
            Ok(parts) => {
                tokio::spawn(carry(parts, to.clone(), urgency));
            }
            Err(error) => break error,
        }
    };
    tracing::info!(%remote, %ended, "a client has gone");
    connection.close(Code::NO_ERROR, bytes::Bytes::new());
}

async fn carry((mut send, mut recv): (SendStream, RecvStream), to: String, urgency: Option<Urgency>) {
    match connect(&to).await {
        Ok(tcp) => {
            let passed = relay(tcp, (send, recv), urgency).await;
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
