//! The kernel's TCP. Its buffers are set for the whole namespace, its controller here.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::BufReader,
    net::{TcpListener, TcpSocket, TcpStream},
};

use super::Congestion;
use crate::wire::serve_one;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

fn prepared(address: SocketAddr, congestion: Congestion) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    let name = congestion.kernel_name();
    socket.set_tcp_congestion(name.as_bytes()).map_err(|error| {
        let hint = format!("this kernel has no {name}: {error} (modprobe tcp_{name} may bring it)");
        io::Error::new(error.kind(), hint)
    })?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub(super) async fn dial(to: SocketAddr, congestion: Congestion) -> io::Result<TcpStream> {
    let socket = TcpSocket::from_std_stream(prepared(to, congestion)?.into());
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(super) async fn serve(
    listen: SocketAddr,
    congestion: Congestion,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let socket = prepared(listen, congestion)?;
    socket.set_reuse_address(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    ready(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let (read, mut write) = stream.into_split();
            let mut read = BufReader::new(read);
            while let Ok(true) = serve_one(&mut read, &mut write).await {}
        });
    }
}
