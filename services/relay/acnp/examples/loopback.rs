//! What a gigabyte costs over the loopback: processor seconds of both ends together, of this transport on each wire and of quinn, both
//! encrypted (AES-GCM), both with datagrams of up to 1452 bytes. One line of JSON each.
//!
//! `cargo run --release --example loopback -- [MEGABYTES]`; rounds alternate, so that a busy machine disturbs all alike.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use lowland_acnp::{
    endpoint::{Endpoint, Settings, server_of},
    proto::{
        close::Code,
        congestion::Mode,
        connection::Config,
        handshake::{ClientKeys, StaticKey},
    },
    wire::Choice,
};

/// Bytes that are written at once.
const BLOCK: usize = 64 * 1024;
const ROUNDS: usize = 3;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Processor time of this process so far: user and system, seconds.
fn processor_secs() -> (f64, f64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills the structure that it is given; zeroes are a valid one.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let secs = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (secs(usage.ru_utime), secs(usage.ru_stime))
}

#[derive(Debug, Clone, Copy)]
enum Contender {
    Acnp(Choice, Mode),
    Quinn,
}

async fn acnp(choice: Choice, mode: Mode, bytes: usize) -> Result<usize, Failure> {
    let settings =
        Settings { transport: Arc::new(Config { congestion: mode, ..Config::default() }), qlog: None };
    let key = StaticKey::from_private([7; 32]);
    let keys = ClientKeys::pinned(key.public());
    let local: SocketAddr = "127.0.0.1:0".parse()?;
    let server = Endpoint::server(choice, local, &settings, server_of(key))?;
    let client = Endpoint::bind(choice, local, &settings, None)?;
    let address = server.local_addr();
    let serve = tokio::spawn(async move {
        let connection = server.accept().await.ok_or("no client")?;
        let (mut send, _recv) = connection.accept_stream().await?;
        let block = Bytes::from(vec![7; BLOCK]);
        for _ in 0..bytes / BLOCK {
            send.write_chunks(block.clone()).await?;
        }
        send.finish()?;
        connection.closed().await;
        Ok::<_, Failure>(())
    });
    let connection = client.connect(address, &keys).await?;
    let (mut send, mut recv) = connection.open_stream().await?;
    send.write_chunks(Bytes::from_static(b"go")).await?;
    let mut got = 0;
    while let Some(data) = recv.read_chunk(BLOCK).await? {
        got += data.len();
    }
    connection.close(Code::NO_ERROR, Bytes::new());
    serve.await??;
    Ok(got)
}

fn quinn_configs() -> Result<(quinn::ServerConfig, quinn::ClientConfig), Failure> {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let der = certified.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der.clone())?;
    let mut transport = quinn::TransportConfig::default();
    transport.stream_receive_window((16_u32 << 20).into()).receive_window((32_u32 << 20).into());
    transport.send_window(48 << 20);
    let transport = Arc::new(transport);
    let mut server = quinn::ServerConfig::with_single_cert(vec![der], key)?;
    server.transport_config(Arc::clone(&transport));
    let mut client = quinn::ClientConfig::with_root_certificates(Arc::new(roots))?;
    client.transport_config(transport);
    Ok((server, client))
}

async fn quinn(bytes: usize) -> Result<usize, Failure> {
    let (server, client_config) = quinn_configs()?;
    let local: SocketAddr = "127.0.0.1:0".parse()?;
    let server = quinn::Endpoint::server(server, local)?;
    let mut client = quinn::Endpoint::client(local)?;
    client.set_default_client_config(client_config);
    let address = server.local_addr()?;
    let serve = tokio::spawn(async move {
        let connection = server.accept().await.ok_or("no client")?.await?;
        let (mut send, _recv) = connection.accept_bi().await?;
        let block = Bytes::from(vec![7; BLOCK]);
        for _ in 0..bytes / BLOCK {
            send.write_chunk(block.clone()).await?;
        }
        send.finish()?;
        connection.closed().await;
        Ok::<_, Failure>(())
    });
    let connection = client.connect(address, "localhost")?.await?;
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(b"go").await?;
    let mut got = 0;
    while let Some(chunk) = recv.read_chunk(BLOCK, true).await? {
        got += chunk.bytes.len();
    }
    connection.close(0_u32.into(), b"");
    serve.await??;
    Ok(got)
}

async fn measure(contender: Contender, bytes: usize) -> Result<String, Failure> {
    let (before, began) = (processor_secs(), Instant::now());
    let got = match contender {
        Contender::Acnp(choice, mode) => acnp(choice, mode, bytes).await?,
        Contender::Quinn => quinn(bytes).await?,
    };
    let (secs, after) = (began.elapsed().as_secs_f64(), processor_secs());
    let (gigabytes, user, system) = (got as f64 / 1e9, after.0 - before.0, after.1 - before.1);
    let line = serde_json::json!({
        "run": "loopback", "contender": format!("{contender:?}"), "bytes": got, "complete": got == bytes / BLOCK * BLOCK,
        "cpu_secs_gb": (user + system) / gigabytes, "user_secs_gb": user / gigabytes,
        "system_secs_gb": system / gigabytes, "goodput_mbit": gigabytes * 8e3 / secs,
    });
    Ok(line.to_string())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let megabytes: usize = std::env::args().nth(1).map_or(Ok(1000), |text| text.parse())?;
    let mut contenders = vec![
        Contender::Acnp(Choice::Socket, Mode::LowLatency),
        Contender::Acnp(Choice::Socket, Mode::HIGH_BANDWIDTH),
        Contender::Acnp(Choice::Socket, Mode::Cubic),
        Contender::Quinn,
    ];
    if Endpoint::bind(Choice::Raw, "127.0.0.1:0".parse()?, &Settings::default(), None).is_ok() {
        contenders.push(Contender::Acnp(Choice::Raw, Mode::HIGH_BANDWIDTH));
    }
    for _ in 0..ROUNDS {
        for contender in &contenders {
            println!("{}", measure(*contender, megabytes * 1_000_000).await?);
        }
    }
    Ok(())
}
