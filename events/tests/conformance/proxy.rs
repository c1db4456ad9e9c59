//! A TCP proxy in front of a server: it can cut the connection just as an acknowledgement comes back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub(crate) struct Proxy {
    address: SocketAddr,
    armed: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// In front of the server on `port`.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Arc::new(AtomicBool::new(false));
        let disarming = armed.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, port, disarming.clone()));
            }
        });
        Self { address, armed, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The next acknowledgement of a stored message cuts the connection instead of arriving.
    pub(crate) fn lose_acknowledgement(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries bytes both ways until either side ends, or an acknowledgement is to be lost.
async fn carry(mut client: TcpStream, port: u16, armed: Arc<AtomicBool>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            Ok(count) = client.read(&mut from_client) => {
                if count == 0 || server.write_all(&from_client[..count]).await.is_err() {
                    return;
                }
            }
            Ok(count) = server.read(&mut from_server) => {
                let said = &from_server[..count];
                if is_acknowledgement(said) && armed.swap(false, Ordering::SeqCst) {
                    return;
                }
                if count == 0 || client.write_all(said).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

fn is_acknowledgement(said: &[u8]) -> bool {
    let stored = b"\"seq\":";
    said.windows(stored.len()).any(|window| window == stored)
}
