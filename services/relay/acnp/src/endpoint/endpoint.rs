//! One local address and all of its connections.

use std::{io, net::SocketAddr, sync::Arc};

use aws_lc_rs::hmac;
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    cell::Cell,
    connection::Connection,
    driver::Driver,
    error::{ConnectError, ConnectionError},
    hub::Hub,
    settings::Settings,
};
use crate::{
    proto::{
        Meta,
        close::Code,
        handshake::{ClientKeys, StaticKey},
        listener::{Listener, ServerConfig},
    },
    wire::{Choice, Counts, Wire},
};

/// One local address and all of its connections; a clone is the same one.
///
/// Once the last clone and the last connection are gone, so is its task.
#[derive(Clone)]
pub struct Endpoint(Arc<Door>);

/// With its end no new connection is possible.
struct Door(Arc<Hub>);

impl Drop for Door {
    fn drop(&mut self) {
        refuse_waiting(&self.0);
        self.0.tell(|queue| queue.orphaned = true);
    }
}

/// A server that comes back with the same key can tell its old clients that it has forgotten them.
fn reset_seed(key: &StaticKey) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.private());
    let tag = hmac::sign(&key, b"acnp stateless reset");
    std::array::from_fn(|at| tag.as_ref()[at])
}

/// Closes the door, and those that wait before it.
fn refuse_waiting(hub: &Hub) {
    let waiting = {
        let mut queue = hub.lock();
        queue.closed = true;
        std::mem::take(&mut queue.came)
    };
    for cell in waiting {
        Connection::new(cell).close(Code::REFUSED, Bytes::new());
    }
    hub.came.notify_waiters();
}

/// What an endpoint has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointStats {
    /// Connections that are kept now.
    pub connections: usize,
    /// What went through the wire.
    pub wire: Counts,
}

impl Endpoint {
    /// An endpoint that begins connections, at any free port of the family of `peer`.
    ///
    /// # Errors
    /// The wire cannot be had.
    pub fn client(choice: Choice, peer: SocketAddr, settings: &Settings) -> io::Result<Self> {
        let any: SocketAddr = if peer.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        Self::bind(choice, any, settings, None)
    }

    /// An endpoint that accepts connections, and can begin them.
    ///
    /// # Errors
    /// The wire cannot be had.
    pub fn server(
        choice: Choice,
        local: SocketAddr,
        settings: &Settings,
        server: ServerConfig,
    ) -> io::Result<Self> {
        Self::bind(choice, local, settings, Some(server))
    }

    /// An endpoint at `local`. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The wire cannot be had.
    pub fn bind(
        choice: Choice,
        local: SocketAddr,
        settings: &Settings,
        server: Option<ServerConfig>,
    ) -> io::Result<Self> {
        Ok(Self::on(Wire::bind(choice, local)?, settings, server))
    }

    /// An endpoint on a wire. To be called within a tokio runtime.
    #[must_use]
    pub fn on(wire: Wire, settings: &Settings, server: Option<ServerConfig>) -> Self {
        let epoch = Instant::now();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let epoch_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let config = Arc::clone(&settings.transport);
        let closed = server.is_none();
        let payload_len_max = config.payload_len_max;
        let reset_seed = server.as_ref().map_or_else(rand::random, |server| reset_seed(&server.keys.own));
        let listener = Listener::new(config, server, epoch_ms, rand::random(), &reset_seed);
        let hub = Hub::new(wire, epoch, listener, settings.qlog.clone());
        hub.lock().closed = closed;
        tokio::spawn(Driver::new(Arc::clone(&hub), payload_len_max));
        Self(Arc::new(Door(hub)))
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.0.0
    }

    /// Connects to a server, and waits until the connection is established.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, server: SocketAddr, keys: &ClientKeys) -> Result<Connection, ConnectError> {
        let connection = self.begin(server, keys)?;
        connection.established().await?;
        Ok(connection)
    }

    /// Begins a connection to a server and gives it at once: streams that are marked as repeatable are sent with the first datagram
    /// (0-RTT), others once the server has answered.
    ///
    /// # Errors
    /// The keys don't make a handshake, or the endpoint has stopped.
    pub fn begin(&self, server: SocketAddr, keys: &ClientKeys) -> Result<Connection, ConnectError> {
        let hub = self.hub();
        if hub.lock().stopped {
            return Err(ConnectionError::Stopped.into());
        }
        let to = Meta { remote: server, local: None, ecn: None };
        let token = hub.take_token(server);
        let (handle, core) = hub.listener().connect(hub.now(), keys.clone(), to, token)?;
        let cell = Cell::new(handle, Arc::clone(hub), core);
        hub.tell(|queue| queue.begun.push(Arc::clone(&cell)));
        Ok(Connection::new(cell))
    }

    /// The next connection that comes in, at once, so that early data can be answered; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Connection> {
        let hub = self.hub();
        loop {
            let mut came = std::pin::pin!(hub.came.notified());
            came.as_mut().enable();
            {
                let mut queue = hub.lock();
                if let Some(cell) = queue.came.pop_front() {
                    return Some(Connection::new(cell));
                }
                if queue.closed {
                    return None;
                }
            }
            came.await;
        }
    }

    /// Accepts no connection any more. Those that are there go on.
    pub fn close(&self) {
        refuse_waiting(self.hub());
    }

    /// Waits until there is no connection any more: all are closed, and the peers had time to hear of it.
    pub async fn wait_idle(&self) {
        let hub = self.hub();
        loop {
            let mut idle = std::pin::pin!(hub.idle.notified());
            idle.as_mut().enable();
            {
                let queue = hub.lock();
                if queue.stopped || queue.connections + queue.begun.len() == 0 {
                    return;
                }
            }
            idle.await;
        }
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.hub().wire.local_addr()
    }

    /// What carries its datagrams: `raw`, `socket`, `memory`.
    #[must_use]
    pub fn wire_name(&self) -> &'static str {
        self.hub().wire.name()
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        EndpointStats { connections: self.hub().lock().connections, wire: self.hub().wire.counts() }
    }
}
