//! What a fuzzer calls with whatever it thinks of: each takes bytes from the network's side, and must come back.
//!
//! No panic, no endless loop, and nothing that was read and written again may read differently.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Meta, Time,
    connection::{Config, Connection},
    frame::{Frame, Frames},
    handshake::{ClientKeys, Hello, ServerKeys, StaticKey, TokenKey},
    listener::{Listener, Retry, Routed, ServerConfig},
    packet::{DATAGRAM_LEN_MIN, long},
};

/// Steps that a connection may take for one datagram.
const STEPS_MAX: usize = 1000;

fn meta() -> Meta {
    Meta { remote: ([10, 0, 0, 2], 2000).into(), local: None, ecn: None }
}

fn server_key() -> StaticKey {
    StaticKey::from_private([11; 32])
}

fn listener(server: bool) -> Listener {
    let server = server.then(|| ServerConfig {
        keys: ServerKeys { own: server_key(), shared: None, client_key_required: false },
        retry: Retry::WhenBusy,
        early: None,
        connections_max: 100,
        token_key: TokenKey::new([12; 32]),
    });
    Listener::new(Arc::new(Config::default()), server, 1_700_000_000_000, [1; 32], &[2; 32])
}

/// Lets a connection say what it has to, and its timers run out once.
fn settle(connection: &mut Connection) {
    let mut out = Vec::new();
    for now in [Time::ZERO, Time::from_nanos(1 << 34)] {
        connection.handle_timeout(now);
        let steps =
            (0..STEPS_MAX).take_while(|_| connection.poll_transmit(now, 16, &mut out).is_some()).count();
        assert!(steps < STEPS_MAX, "a connection never stops sending");
        while connection.poll_event().is_some() {}
    }
}

/// A datagram that comes to a server, to a client in its handshake, and to the reader of long headers.
pub fn fuzz_packet(data: &[u8]) {
    let _ = long::read(data);
    let (mut datagram, mut out) = (data.to_vec(), Vec::new());
    if let Routed::New(_, mut connection) =
        listener(true).handle(Time::ZERO, &meta(), &mut datagram, &mut out)
    {
        settle(&mut connection);
    }
    let keys = ClientKeys::pinned(server_key().public());
    let Ok((_, mut client)) = listener(false).connect(Time::ZERO, keys, meta(), Bytes::new()) else { return };
    settle(&mut client);
    client.handle(Time::ZERO, &meta(), &mut data.to_vec());
    settle(&mut client);
}

/// A hello, and an Initial whose message the data has changed: where it is XORed tells its first two bytes.
pub fn fuzz_handshake(data: &[u8]) {
    if let Ok(hello) = Hello::decode(data) {
        let again = hello.encode();
        assert_eq!(Hello::decode(&again).expect("it was just written").encode(), again);
    }
    let [high, low, change @ ..] = data else { return };
    let keys = ClientKeys::pinned(server_key().public());
    let Ok((_, mut client)) = listener(false).connect(Time::ZERO, keys, meta(), Bytes::new()) else { return };
    let (mut initial, mut out) = (Vec::new(), Vec::new());
    client.poll_transmit(Time::ZERO, 1, &mut initial);
    let from = usize::from(u16::from_be_bytes([*high, *low])) % DATAGRAM_LEN_MIN;
    initial.iter_mut().skip(from).zip(change).for_each(|(byte, change)| *byte ^= change);
    if let Routed::New(_, mut server) = listener(true).handle(Time::ZERO, &meta(), &mut initial, &mut out) {
        settle(&mut server);
        if server.poll_transmit(Time::ZERO, 1, &mut out).is_some() {
            client.handle(Time::ZERO, &meta(), &mut out);
        }
    }
    settle(&mut client);
}

/// The content of a packet.
pub fn fuzz_frames(data: &[u8]) {
    let frames: Vec<_> = Frames::new(Bytes::copy_from_slice(data)).map_while(Result::ok).collect();
    let mut again = Vec::new();
    frames.iter().for_each(|frame| frame.write(&mut again));
    let mut reread = Frames::new(again.into());
    for frame in frames {
        let read = reread.next();
        if matches!(frame, Frame::Ack(_)) {
            // What it need not say it leaves out.
            assert!(matches!(read, Some(Ok(Frame::Ack(_)))), "it reads differently");
        } else {
            assert_eq!(read, Some(Ok(frame)), "it reads differently");
        }
    }
}
