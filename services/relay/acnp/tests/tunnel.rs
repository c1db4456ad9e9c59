//! A tunnel over the loopback with real TCP at both ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lowland_acnp::{
    endpoint::{Endpoint, Settings, server_of},
    proto::{
        connection::Config,
        handshake::{ClientKeys, StaticKey},
    },
    tunnel::{Client, Mode, Server},
    wire::Choice,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(120);

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn key() -> StaticKey {
    StaticKey::from_private([7; 32])
}

fn settings() -> Settings {
    let config = Config { keep_alive: Some(Duration::from_millis(500)), ..Config::default() };
    Settings { transport: Arc::new(config), qlog: None }
}

/// A service that sends back what it gets, and ends when its client does.
async fn echo_service() -> SocketAddr {
    let listener = TcpListener::bind(local()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = tcp.into_split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    address
}

fn far_end(at: SocketAddr, to: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let endpoint = Endpoint::server(Choice::Socket, at, &settings(), server_of(key())).unwrap();
    let server = Server::new(endpoint, to.to_string());
    (server.local_addr(), tokio::spawn(server.run()))
}

async fn near_end(peer: SocketAddr, mode: Mode) -> SocketAddr {
    let endpoint = Endpoint::client(Choice::Socket, peer, &settings()).unwrap();
    let listener = TcpListener::bind(local()).await.unwrap();
    let client = Client::new(listener, endpoint, peer, ClientKeys::pinned(key().public()), mode);
    let address = client.local_addr().unwrap();
    tokio::spawn(client.run());
    address
}

/// Sends `content`, ends that direction, and gives what comes back until the other ends.
async fn ask(at: SocketAddr, content: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let (mut from, mut to) = TcpStream::connect(at).await?.into_split();
    let write = tokio::spawn(async move {
        to.write_all(&content).await?;
        to.shutdown().await?;
        std::io::Result::Ok(to)
    });
    let mut answer = Vec::new();
    timeout(PATIENCE, from.read_to_end(&mut answer)).await.expect("an answer in time")?;
    write.await.unwrap()?;
    Ok(answer)
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_direction_ends_by_itself_and_nothing_is_lost() {
    let (peer, _server) = far_end(local(), echo_service().await);
    for mode in [Mode::Latency, Mode::Bandwidth, Mode::Auto] {
        let near = near_end(peer, mode).await;
        for len in [0, 1, 1000, 3_000_000] {
            assert!(ask(near, content(len)).await.unwrap() == content(len), "{len} bytes in mode {mode:?}");
        }
        let many: Vec<_> = (0..50).map(|len| tokio::spawn(ask(near, content(len * 999)))).collect();
        for (len, one) in many.into_iter().enumerate() {
            assert!(one.await.unwrap().unwrap() == content(len * 999));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_pass_both_ways_at_once() {
    const LEN: usize = 64 << 20;
    let (peer, _server) = far_end(local(), echo_service().await);
    let near = near_end(peer, Mode::Auto).await;
    assert!(ask(near, content(LEN)).await.unwrap() == content(LEN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_there_breaks_the_connection() {
    let nobody = TcpListener::bind(local()).await.unwrap().local_addr().unwrap();
    let (peer, _server) = far_end(local(), nobody);
    let near = near_end(peer, Mode::Auto).await;
    let answer = ask(near, content(100)).await;
    assert!(answer.is_err(), "an end that looks whole: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tunnel_outlives_its_server() {
    let service = echo_service().await;
    // A runtime of its own, so that its end takes everything of the server with it.
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (peer, _server) = first.spawn(async move { far_end(local(), service) }).await.unwrap();
    let near = near_end(peer, Mode::Auto).await;
    assert_eq!(ask(near, content(10)).await.unwrap(), content(10));
    first.shutdown_background();
    let asked = tokio::spawn(ask(near, content(20)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (again, _server) = loop {
        // The old socket goes with its runtime, soon.
        let bound = Endpoint::server(Choice::Socket, peer, &settings(), server_of(key()));
        if let Ok(endpoint) = bound {
            let server = Server::new(endpoint, service.to_string());
            break (server.local_addr(), tokio::spawn(server.run()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(again, peer);
    // What was asked in between may break; what is asked now does not, once the client has heard.
    let _ = asked.await.unwrap();
    assert_eq!(ask(near, content(30)).await.unwrap(), content(30));
}
