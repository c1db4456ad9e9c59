//! Network namespaces, joined by veth or by two TUN devices between which this process carries packets.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::fd::AsRawFd,
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
};

/// Two namespaces that reach each other, removed when this is dropped.
///
/// The left one has 10.99.0.1 and fd99::1, the right one 10.99.0.2 and fd99::2, with an MTU of 1500.
pub(crate) struct Namespaces {
    left: String,
    right: String,
}

/// Which of the two.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Runs a command, and says which if it fails.
fn run(command: &str) -> io::Result<()> {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().expect("a command")).args(words).output()?;
    let why = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(io::Error::other(format!("{command}: {why}"))) }
}

impl Namespaces {
    /// Two namespaces without anything between them. `None`, with the reason printed, where that is not allowed.
    fn new() -> Option<Namespaces> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("acnp{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let namespaces = Namespaces { left: format!("{name}l"), right: format!("{name}r") };
        for side in [&namespaces.left, &namespaces.right] {
            if let Err(error) = run(&format!("ip netns add {side}")) {
                println!("SKIPPED: network namespaces need root and iproute2: {error}");
                return None;
            }
        }
        Some(namespaces)
    }

    /// Two namespaces joined by veth.
    pub(crate) fn veth() -> Option<Namespaces> {
        let namespaces = Self::new()?;
        namespaces.add_veth("v0", "10.99.0");
        Some(namespaces)
    }

    /// Joins them by another pair of veth, on which they have the addresses 1 and 2 of `network`.
    pub(crate) fn add_veth(&self, device: &str, network: &str) {
        let Namespaces { left, right } = self;
        run(&format!("ip link add {device} netns {left} type veth peer name {device} netns {right}"))
            .expect("veth");
        self.address(device, network);
    }

    /// Two namespaces, each with a TUN device; threads carry the packets across until a device goes away.
    pub(crate) fn tun() -> Option<Namespaces> {
        let namespaces = Self::new()?;
        let devices = (|| Ok((namespaces.enter(Side::Left, tun)?, namespaces.enter(Side::Right, tun)?)))();
        let (left, right) = match devices {
            Ok(devices) => devices,
            Err(error) => {
                let error: io::Error = error;
                println!("SKIPPED: TUN devices cannot be made here: {error}");
                return None;
            }
        };
        namespaces.address("t0", "10.99.0");
        for (mut from, mut to) in [(left.try_clone().unwrap(), right.try_clone().unwrap()), (right, left)] {
            thread::spawn(move || {
                let mut packet = [0; 2048];
                while let Ok(length) = from.read(&mut packet) {
                    // What the other side does not take is lost, as on any path.
                    let _ = to.write(&packet[..length]);
                }
            });
        }
        Some(namespaces)
    }

    fn address(&self, device: &str, network: &str) {
        for (side, number) in [(&self.left, 1), (&self.right, 2)] {
            let ip = |rest: String| run(&format!("ip -n {side} {rest}")).expect("ip");
            let v6 = if network == "10.99.0" { "fd99" } else { "fd98" };
            ip(format!("addr add {network}.{number}/24 dev {device}"));
            ip(format!("addr add {v6}::{number}/64 dev {device} nodad"));
            ip(format!("link set {device} txqueuelen 10000 up"));
            ip("link set lo up".into());
        }
    }

    /// Runs `make` on a thread within one of the namespaces; sockets that it makes belong there for ever.
    pub(crate) fn enter<T: Send>(&self, side: Side, make: impl FnOnce() -> T + Send) -> T {
        let name = match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        };
        let runtime = tokio::runtime::Handle::try_current();
        let within = move || {
            let namespace = File::open(format!("/run/netns/{name}")).expect("the namespace is there");
            // SAFETY: this changes the calling thread alone, and it ends with this closure.
            let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(entered, 0, "{}", io::Error::last_os_error());
            let _guard = runtime.as_ref().map(tokio::runtime::Handle::enter);
            make()
        };
        thread::scope(|scope| scope.spawn(within).join().expect("the thread ends well"))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for side in [&self.left, &self.right] {
            let _ = run(&format!("ip netns delete {side}"));
        }
    }
}

/// Makes the TUN device `t0` in the namespace of the calling thread.
fn tun() -> io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: `ifreq` is plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b't' as libc::c_char;
    request.ifr_name[1] = b'0' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request is live, and of the type that this call takes.
    match unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &request) } {
        0 => Ok(device),
        _ => Err(io::Error::last_os_error()),
    }
}
