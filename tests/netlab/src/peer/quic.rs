//! quinn's QUIC: a bidirectional stream a call, TLS by aws-lc, the server's key made at its start.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use quinn::{
    Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    congestion::{BbrConfig, CubicConfig},
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Congestion, Settings, socket};
use crate::wire::{Answer, Ask, Progress, read_answer, serve_one, write_request};

mod trust;

/// Bytes of a datagram: what fits an IPv4 packet of 1500, and one of IPv6.
const MTU_BYTES: u16 = 1472;
const MTU_BYTES_V6: u16 = 1452;

/// Streams that the other side may have open at once.
const STREAMS_MAX: u32 = 4096;

/// A stream's window in bandwidth-delay products: wide ones hold more gaps than quinn allows, and on a path without loss
/// they only fill the queue.
const STREAM_PRODUCTS: f64 = 4.0;
const STREAM_PRODUCTS_CLEAN: f64 = 1.2;

/// Bytes of a stream's window at the least and at the most.
const WINDOW_BYTES_MIN: f64 = 512.0 * 1024.0;
const WINDOW_BYTES_MAX: f64 = 32.0 * 1024.0 * 1024.0;

/// Round trip assumed before there is a sample.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Packets that may overtake one before it counts as lost, where packets overtake each other.
const REORDER_PACKETS: u32 = 100;

fn transport(address: SocketAddr, congestion: Congestion, settings: &Settings) -> TransportConfig {
    let products = if settings.loses { STREAM_PRODUCTS } else { STREAM_PRODUCTS_CLEAN };
    let window = (products * settings.product_bytes()).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX) as u32;
    let mtu = if address.is_ipv4() { MTU_BYTES } else { MTU_BYTES_V6 };
    let mut transport = TransportConfig::default();
    // The path's MTU is known: nothing is to be searched for, and a run of losses is no black hole.
    transport
        .min_mtu(mtu)
        .initial_mtu(mtu)
        .mtu_discovery_config(None)
        .stream_receive_window(VarInt::from_u32(window))
        .receive_window(VarInt::from_u32(window * 2))
        .send_window(u64::from(window) * 2)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .initial_rtt(INITIAL_RTT);
    if settings.reorders {
        transport.packet_threshold(REORDER_PACKETS);
    }
    match congestion {
        Congestion::Cubic => transport.congestion_controller_factory(Arc::new(CubicConfig::default())),
        Congestion::Bbr => transport.congestion_controller_factory(Arc::new(BbrConfig::default())),
    };
    transport
}

/// Opens connections to one server, and remembers its tickets.
pub(super) struct Dialer {
    endpoint: Endpoint,
    config: quinn::ClientConfig,
    to: SocketAddr,
}

impl Dialer {
    pub(super) fn new(to: SocketAddr, congestion: Congestion, settings: &Settings) -> io::Result<Self> {
        let mut tls = trust::client().map_err(io::Error::other)?;
        tls.enable_early_data = true;
        let quic = QuicClientConfig::try_from(tls).map_err(io::Error::other)?;
        let mut config = quinn::ClientConfig::new(Arc::new(quic));
        config.transport_config(Arc::new(transport(to, congestion, settings)));
        let socket = socket::udp(socket::any(to))?;
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))?;
        Ok(Self { endpoint, config, to })
    }

    pub(super) async fn dial(&self, early: bool) -> io::Result<Connection> {
        let connecting = self
            .endpoint
            .connect_with(self.config.clone(), self.to, trust::NAME)
            .map_err(io::Error::other)?;
        if early {
            let (connection, _) = connecting
                .into_0rtt()
                .map_err(|_| io::Error::new(io::ErrorKind::Unsupported, "no ticket to send early with"))?;
            return Ok(connection);
        }
        Ok(connecting.await?)
    }
}

/// One call on a stream of its own.
pub(super) async fn ask(
    connection: &Connection,
    ask: Ask,
    progress: Option<&Progress>,
) -> io::Result<Answer> {
    let why = |error: io::Error| match connection.close_reason() {
        Some(reason) => io::Error::new(error.kind(), reason.to_string()),
        None => error,
    };
    let (mut send, mut receive) = connection.open_bi().await?;
    write_request(&mut send, ask).await.map_err(why)?;
    send.finish().map_err(io::Error::other)?;
    read_answer(&mut receive, ask, progress).await.map_err(why)
}

pub(super) async fn serve(
    listen: SocketAddr,
    congestion: Congestion,
    settings: &Settings,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let made = rcgen::generate_simple_self_signed([trust::NAME.to_owned()]).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let tls = trust::server(made.cert.der().clone(), key).map_err(io::Error::other)?;
    let quic = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(quic));
    config.transport_config(Arc::new(transport(listen, congestion, settings)));
    let socket = socket::udp(listen)?;
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))?;
    ready(endpoint.local_addr()?);
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            // Whoever dials early is to be answered early: 0.5-RTT always succeeds for a server.
            if let Ok(connecting) = incoming.accept()
                && let Ok((connection, _)) = connecting.into_0rtt()
            {
                serve_connection(connection).await;
            }
        });
    }
    Ok(())
}

async fn serve_connection(connection: Connection) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        tokio::spawn(async move {
            if let Ok(true) = serve_one(&mut receive, &mut send).await {
                let _ = send.finish();
            }
        });
    }
}
