//! tokio_kcp in its fastest mode: no delay, a tick each 10 ms, resend at the second duplicate, no congestion control.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::UdpSocket;
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig, KcpStream};

use super::{Settings, socket};
use crate::wire::serve_one;

/// Bytes of a datagram: what fits an IPv4 packet of 1500.
const MTU_BYTES: usize = 1472;

/// Packets that the window holds at the least.
const WINDOW_PACKETS_MIN: f64 = 256.0;

/// Send window in bandwidth-delay products.
const SEND_PRODUCTS: f64 = 2.0;

pub(super) fn config(settings: &Settings) -> KcpConfig {
    let packets = (SEND_PRODUCTS * settings.product_bytes() / MTU_BYTES as f64).max(WINDOW_PACKETS_MIN);
    // The window on the wire has 16 bits; the receiver's is larger, so that the sender's counts.
    let send = packets.min(f64::from(u16::MAX / 2)) as u16;
    KcpConfig {
        mtu: MTU_BYTES,
        nodelay: KcpNoDelayConfig::fastest(),
        wnd_size: (send, send.saturating_mul(2)),
        session_expire: Duration::from_secs(90),
        flush_write: true,
        flush_acks_input: true,
        stream: true,
        allow_recv_empty_packet: false,
    }
}

pub(super) async fn dial(to: SocketAddr, config: &KcpConfig) -> io::Result<KcpStream> {
    let udp = UdpSocket::from_std(socket::udp(socket::any(to))?)?;
    KcpStream::connect_with_socket(config, udp, to).await.map_err(io::Error::other)
}

pub(super) async fn serve(
    listen: SocketAddr,
    settings: &Settings,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let udp = UdpSocket::from_std(socket::udp(listen)?)?;
    let mut listener = KcpListener::from_socket(config(settings), udp).await.map_err(io::Error::other)?;
    ready(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(stream);
            while let Ok(true) = serve_one(&mut read, &mut write).await {}
        });
    }
}
