//! Applications talk over endpoints: the same conversation on every wire.

mod pairs;

use std::{future::Future, time::Duration};

use bytes::Bytes;
use lowland_acnp::{
    endpoint::{Connection, ConnectionError, Endpoint, ReadError, WriteError},
    proto::{
        close::Code,
        connection::{CloseReason, Config},
    },
};
use pairs::{WIRES, connected, content, endpoints};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// Nothing here takes so long, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// Lets both ends of a connection talk, on every wire.
fn on_every_wire<F: Future<Output = ()>>(config: &Config, talk: impl Fn(Connection, Connection) -> F) {
    for wire in WIRES {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let Some(pair) = endpoints(wire, config.clone()) else { return };
            let (client, server) = connected(&pair).await;
            timeout(PATIENCE, talk(client, server)).await.unwrap_or_else(|_| panic!("the {wire} wire hangs"));
            leave(pair, wire).await;
        });
    }
}

/// All connections end once nobody holds them, and the endpoints with them.
async fn leave((client, server): (Endpoint, Endpoint), wire: &str) {
    let idle = async { tokio::join!(client.wait_idle(), server.wait_idle()) };
    assert!(timeout(PATIENCE, idle).await.is_ok(), "connections stay on the {wire} wire");
}

/// Sends back what comes on each stream.
async fn echo(connection: Connection) {
    while let Ok((mut send, mut recv)) = connection.accept_stream().await {
        tokio::spawn(async move {
            let mut buffer = vec![0; 10_000];
            while let Ok(len) = recv.read(&mut buffer).await
                && len > 0
            {
                send.write_all(&buffer[..len]).await.unwrap();
            }
            send.finish().unwrap();
        });
    }
}

#[test]
fn many_streams_at_once_each_keep_their_content() {
    on_every_wire(&Config::default(), |client, server| async move {
        let served = tokio::spawn(echo(server));
        let asks = (0..200).map(|seed| {
            let client = client.clone();
            tokio::spawn(async move {
                let (mut send, mut recv) = client.open_stream().await.unwrap();
                let sent = content(seed, seed * 37);
                send.write_all(&sent).await.unwrap();
                send.finish().unwrap();
                assert!(recv.read_to_end(1 << 20).await.unwrap() == sent);
            })
        });
        for ask in asks.collect::<Vec<_>>() {
            ask.await.unwrap();
        }
        client.close(Code::NO_ERROR, Bytes::new());
        served.await.unwrap();
    });
}

#[test]
fn much_data_goes_both_ways_at_once() {
    const LEN: usize = 8 << 20;
    on_every_wire(&Config::default(), |client, server| async move {
        let send = |connection: Connection, seed| async move {
            let (mut send, mut recv) = match seed {
                1 => connection.open_stream().await.unwrap(),
                _ => connection.accept_stream().await.unwrap(),
            };
            let write = async {
                send.write_all(&content(seed, LEN)).await.unwrap();
                send.finish().unwrap();
                assert_eq!(send.stopped().await, Ok(None));
            };
            let read = async {
                let got = recv.read_to_end(LEN).await.unwrap();
                assert!(got == content(3 - seed, LEN));
            };
            tokio::join!(write, read);
        };
        tokio::join!(send(client, 1), send(server, 2));
    });
}

#[test]
fn messages_and_datagrams_come_whole() {
    on_every_wire(&Config::default(), |client, server| async move {
        let send = async {
            for seed in 0..300 {
                client.send_message(content(seed, seed * 50).into()).await.unwrap();
            }
            client.send_datagram(Bytes::from_static(b"datagram")).unwrap();
            client
        };
        let read = async {
            let mut got = Vec::new();
            while got.len() < 300 {
                got.push(server.read_message().await.unwrap());
            }
            got.sort_by_key(Bytes::len);
            assert!(got.iter().enumerate().all(|(seed, message)| *message == content(seed, seed * 50)));
        };
        let (client, ()) = tokio::join!(send, read);
        loop {
            // A datagram may be lost; another is not for ever.
            client.send_datagram(Bytes::from_static(b"datagram")).unwrap();
            if let Ok(got) = timeout(Duration::from_millis(50), server.read_datagram()).await {
                assert_eq!(got.unwrap(), "datagram");
                break;
            }
        }
    });
}

#[test]
fn a_writer_waits_for_a_reader() {
    let mut config = Config::default();
    (config.streams.stream_window, config.streams.unsent) = (100_000, 50_000);
    on_every_wire(&config, |client, server| async move {
        let (mut send, _recv) = client.open_stream().await.unwrap();
        let sent = content(0, 1_000_000);
        let mut taken = 0;
        while let Ok(len) = timeout(Duration::from_millis(300), send.write(&sent[taken..])).await {
            taken += len.unwrap();
        }
        assert!((100_000..=200_000).contains(&taken), "{taken} bytes were taken");
        let (_send, mut recv) = server.accept_stream().await.unwrap();
        let write = async {
            send.write_all(&sent[taken..]).await.unwrap();
            send.finish().unwrap();
        };
        let (got, ()) = tokio::join!(recv.read_to_end(2_000_000), write);
        assert!(got.unwrap() == sent);
    });
}

#[test]
fn dropped_futures_lose_nothing() {
    on_every_wire(&Config::default(), |client, server| async move {
        let (mut send, _recv) = client.open_stream().await.unwrap();
        let sent = content(5, 300_000);
        let write = async {
            for piece in sent.chunks(1000) {
                send.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            send.finish().unwrap();
        };
        let read = async {
            let mut accepted = None;
            while accepted.is_none() {
                accepted = timeout(Duration::from_micros(50), server.accept_stream()).await.ok();
            }
            let (_send, mut recv) = accepted.unwrap().unwrap();
            let (mut got, mut buffer) = (Vec::new(), [0; 777]);
            loop {
                match timeout(Duration::from_micros(1), recv.read(&mut buffer)).await {
                    Ok(Ok(0)) => return got,
                    Ok(len) => got.extend_from_slice(&buffer[..len.unwrap()]),
                    Err(_) => {}
                }
            }
        };
        let ((), got) = tokio::join!(write, read);
        assert!(got == sent);
    });
}

#[test]
fn streams_are_reset_and_stopped() {
    on_every_wire(&Config::default(), |client, server| async move {
        let (mut send, mut recv) = client.open_stream().await.unwrap();
        send.write_all(b"some").await.unwrap();
        let (mut back, mut got) = server.accept_stream().await.unwrap();
        let mut some = [0; 4];
        got.read_exact(&mut some).await.unwrap();
        send.reset(42).unwrap();
        assert_eq!(got.read_chunk(10).await, Err(ReadError::Reset(42)));
        recv.stop(43).unwrap();
        assert_eq!(back.stopped().await, Ok(Some(43)));
        assert_eq!(back.write_chunk(&Bytes::from_static(b"x")).await, Err(WriteError::Stopped(43)));
    });
}

#[test]
fn a_close_says_why_and_what_has_arrived_can_be_read() {
    on_every_wire(&Config::default(), |client, server| async move {
        let (mut send, _recv) = client.open_stream().await.unwrap();
        send.write_all(b"the last words").await.unwrap();
        send.finish().unwrap();
        client.close_when_sent(Code(0x123), Bytes::from_static(b"enough")).await.unwrap();
        let ConnectionError::Closed(CloseReason::Peer(close)) = server.closed().await else {
            panic!("{:?}", server.close_reason());
        };
        assert_eq!((close.code, &close.reason[..]), (Code(0x123), &b"enough"[..]));
        let (_send, mut recv) = server.accept_stream().await.unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"the last words");
        assert!(server.open_stream().await.is_err() && client.open_stream().await.is_err());
    });
}

#[test]
fn what_was_written_arrives_though_everything_is_dropped() {
    on_every_wire(&Config::default(), |client, server| async move {
        let sent = content(9, 500_000);
        let (mut send, recv) = client.open_stream().await.unwrap();
        send.write_all(&sent).await.unwrap();
        drop((client, send, recv));
        let (_send, mut recv) = server.accept_stream().await.unwrap();
        assert!(recv.read_to_end(1 << 20).await.unwrap() == sent);
    });
}

#[tokio::test]
async fn early_data_is_answered_before_the_handshake_is_over() {
    let pair = endpoints("memory", Config::default()).unwrap();
    let client = pair.0.begin(pair.1.local_addr(), &pairs::keys()).unwrap();
    let (mut send, mut recv) = client.open_stream().await.unwrap();
    send.set_repeatable();
    send.write_all(b"question").await.unwrap();
    send.finish().unwrap();
    tokio::spawn(echo(pair.1.accept().await.unwrap()));
    assert_eq!(recv.read_to_end(100).await.unwrap(), b"question");
    assert_eq!(client.established().await, Ok(true));
}

#[tokio::test]
async fn nobody_answers_and_a_wrong_key_is_refused() {
    let config = Config { handshake_timeout: Duration::from_millis(300), ..Config::default() };
    let (client, server) = endpoints("memory", config).unwrap();
    let nobody = "10.9.9.9:9".parse().unwrap();
    assert!(client.connect(nobody, &pairs::keys()).await.is_err());
    let other = lowland_acnp::proto::handshake::StaticKey::from_private([8; 32]).public();
    let wrong = lowland_acnp::proto::handshake::ClientKeys::pinned(other);
    assert!(client.connect(server.local_addr(), &wrong).await.is_err());
    server.close();
    assert!(server.accept().await.is_none());
}
