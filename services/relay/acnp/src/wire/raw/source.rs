//! Which of our addresses a packet leaves from when nobody says so: what the kernel's routes prefer.
//!
//! The checksum covers the source, so it has to be known before the kernel looks at the packet. A UDP socket that is connected
//! without sending anything tells it. Answers are kept for a short time.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
    sync::Mutex,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::Instant;

use super::Family;

/// How long an answer serves; routes that change are followed after it.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(2);

/// Answers that are kept at most.
const ANSWERS_MAX: usize = 1024;

/// Answers of the routes for one family.
pub(super) struct Sources {
    answers: Mutex<Answers>,
}

/// The socket that asks, one question at a time, and what it was told, and when.
struct Answers {
    socket: Socket,
    known: HashMap<SocketAddr, (IpAddr, Instant)>,
}

impl Sources {
    /// Makes the socket that asks, in the network namespace of the calling thread.
    pub(super) fn new(family: Family) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        Ok(Sources { answers: Mutex::new(Answers { socket, known: HashMap::new() }) })
    }

    /// The address that a packet to `destination` leaves from. An error says that no route leads there.
    pub(super) fn towards(&self, mut destination: SocketAddr) -> io::Result<IpAddr> {
        destination.set_port(1);
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Answers { socket, known } = &mut *answers;
        if let Some((source, asked)) = known.get(&destination)
            && now.duration_since(*asked) < ANSWER_AGE_MAX
        {
            return Ok(*source);
        }
        let source = ask(socket, destination)?;
        if known.len() >= ANSWERS_MAX {
            known.clear();
        }
        known.insert(destination, (source, now));
        Ok(source)
    }
}

/// Connects the socket and reads the address that it got; before, it forgets the one that it had.
fn ask(socket: &Socket, destination: SocketAddr) -> io::Result<IpAddr> {
    disconnect(socket)?;
    socket.connect(&destination.into())?;
    let source = socket.local_addr()?.as_socket().map(|address| address.ip());
    let unspecified = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    source
        .filter(|ip| !unspecified.contains(ip))
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))
}

fn disconnect(socket: &Socket) -> io::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the address is live and of the length that is given.
    match unsafe { libc::connect(socket.as_raw_fd(), &nobody, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
