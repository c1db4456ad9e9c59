//! What the protocol costs by itself: two connections in one thread, datagrams handed from one to the other, no wire between.
//! Prints CPU seconds a gigabyte for both ends together. `cargo run --release -p lowland-acnp --example core -- [megabytes]`

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use lowland_acnp::proto::{
    Direction, Meta, Time,
    connection::{Config, Connection, Demand},
    handshake::{ClientKeys, ServerKeys, StaticKey, TokenKey},
    listener::{Handle, Listener, Retry, Routed, ServerConfig},
};

/// Datagrams that are sent together.
const BATCH: usize = 32;
/// Bytes that are written at once.
const CHUNK: usize = 1 << 16;

fn listener(server: Option<ServerConfig>) -> Listener {
    Listener::new(Arc::new(Config::default()), server, 0, [1; 32], &[2; 32])
}

fn serve(listener: &mut Listener, handle: Handle, connection: &mut Connection) {
    while let Some(demand) = connection.poll_demand() {
        let ids = listener.serve(handle, &demand);
        if let Demand::Ids { path, .. } = demand {
            connection.supply_ids(path, ids);
        }
    }
    while connection.poll_event().is_some() {}
}

fn main() {
    let megabytes = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1000_u64);
    let own = StaticKey::from_private([3; 32]);
    let keys = ClientKeys::pinned(own.public());
    let mut server_side = listener(Some(ServerConfig {
        keys: ServerKeys { own, shared: None, client_key_required: false },
        retry: Retry::WhenBusy,
        early: None,
        connections_max: 10,
        token_key: TokenKey::new([4; 32]),
    }));
    let mut client_side = listener(None);
    let (client_at, server_at) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let meta = |remote| Meta { remote, local: None, ecn: None };
    let began = Instant::now();
    let now = || Time::from_nanos(began.elapsed().as_nanos() as u64);
    let (client_handle, mut client) =
        client_side.connect(now(), keys, meta(server_at), Bytes::new()).expect("the keys are good");
    let mut server: Option<(Handle, Box<Connection>)> = None;
    let (mut out, mut reply) = (Vec::new(), Vec::new());
    let (total, chunk) = (megabytes << 20, Bytes::from(vec![7; CHUNK]));
    let (mut stream, mut read, mut datagrams) = (None, 0, 0_u64);
    while read < total {
        serve(&mut client_side, client_handle, &mut client);
        if client.is_established() {
            let stream = *stream.get_or_insert_with(|| client.open(Direction::Uni).expect("one is allowed"));
            while client.write(stream, chunk.clone()).is_ok() {}
        }
        client.handle_timeout(now());
        while let Some(transmit) = client.poll_transmit(now(), BATCH, &mut out) {
            let stride = transmit.segment_size.unwrap_or(out.len());
            for datagram in out.chunks_mut(stride) {
                datagrams += 1;
                match server_side.handle(now(), &meta(client_at), datagram, &mut reply) {
                    Routed::New(handle, connection) => server = Some((handle, connection)),
                    Routed::To(_) => {
                        if let Some((_, server)) = &mut server {
                            server.handle(now(), &meta(client_at), datagram);
                        }
                    }
                    Routed::Reply(_) | Routed::Dropped => {}
                }
            }
        }
        let Some((handle, server)) = &mut server else { continue };
        serve(&mut server_side, *handle, server);
        if let Some(stream) = stream {
            while let Ok(Some(data)) = server.read(stream, usize::MAX) {
                read += data.len() as u64;
            }
        }
        server.handle_timeout(now());
        while let Some(transmit) = server.poll_transmit(now(), BATCH, &mut out) {
            let stride = transmit.segment_size.unwrap_or(out.len());
            out.chunks_mut(stride).for_each(|datagram| client.handle(now(), &meta(server_at), datagram));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let gigabytes = total as f64 / 1e9;
    println!(
        "{:.2} s a GB, {:.1} Gbit/s, {datagrams} datagrams",
        seconds / gigabytes,
        gigabytes * 8.0 / seconds
    );
}
