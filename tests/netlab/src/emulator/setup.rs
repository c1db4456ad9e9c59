//! Devices, addresses and kernel settings of the two ends.

use std::{
    fmt, fs, io,
    process::{Command, Stdio},
};

use super::{Family, Namespace, client_address, device::Device, server_address};
use crate::path::MTU;

/// Packets that a device holds until the emulator reads them. Many, for the path's own queue is to be the one that counts.
const DEVICE_QUEUE_PACKETS: usize = 20_000;

/// Bytes that a TCP socket may buffer: several bandwidth-delay products of every path here.
const TCP_BUFFER_BYTES: usize = 64 << 20;

/// Why a path could not be opened.
#[derive(Debug)]
pub struct Error {
    doing: String,
    why: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.why)?;
        match self.why.kind() {
            io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "\nThe lab makes network namespaces and devices: run it as root (sudo), in a container with --privileged."
                )
            }
            io::ErrorKind::NotFound => {
                write!(f, "\nThe lab needs Linux with /dev/net/tun, and `ip` of the package iproute2.")
            }
            _ => Ok(()),
        }
    }
}

// The cause is part of the text.
impl std::error::Error for Error {}

impl Error {
    pub(super) fn of(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |why| Self { doing, why }
    }
}

/// Refuses early what would fail on the way.
///
/// # Errors
/// This process may not make namespaces and devices.
pub fn check_rights() -> Result<(), Error> {
    // SAFETY: takes nothing, cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        let why = io::Error::new(io::ErrorKind::PermissionDenied, "not root");
        return Err(Error { doing: "open an emulated path".to_owned(), why });
    }
    Ok(())
}

/// The devices of each line: the client's, the server's.
pub(super) fn devices(
    client: &Namespace,
    server: &Namespace,
    lines: usize,
    family: Family,
) -> Result<Vec<[Device; 2]>, Error> {
    for end in [client, server] {
        loopback(end)?;
    }
    let device = |end: &Namespace, line, address| {
        let open = || open_device(line, &format!("{address}/{}", family.prefix()));
        end.within(open).map_err(Error::of(format!("open the device of line {line}")))
    };
    (0..lines)
        .map(|line| {
            Ok([
                device(client, line, client_address(family, line))?,
                device(server, line, server_address(family, line))?,
            ])
        })
        .collect()
}

fn open_device(line: usize, address: &str) -> io::Result<Device> {
    let name = format!("line{line}");
    let device = Device::open(&name)?;
    let (mtu, queue) = (MTU.to_string(), DEVICE_QUEUE_PACKETS.to_string());
    ip(&["link", "set", &name, "mtu", &mtu, "txqueuelen", &queue])?;
    if address.contains(':') {
        fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "0")?;
        ip(&["-6", "addr", "add", address, "dev", &name, "nodad"])?;
    } else {
        ip(&["addr", "add", address, "dev", &name])?;
    }
    ip(&["link", "set", &name, "up"])?;
    Ok(device)
}

/// Brings the loopback device up and sets what transports need to be at their best.
pub(super) fn loopback(end: &Namespace) -> Result<(), Error> {
    let set = || {
        settings()?;
        ip(&["link", "set", "lo", "up"])
    };
    end.within(set).map_err(Error::of("set up a namespace"))
}

fn settings() -> io::Result<()> {
    let buffers = format!("4096 131072 {TCP_BUFFER_BYTES}");
    let wanted = [
        ("ipv4/tcp_rmem", buffers.as_str()),
        ("ipv4/tcp_wmem", buffers.as_str()),
        ("ipv4/tcp_slow_start_after_idle", "0"),
        ("ipv4/tcp_no_metrics_save", "1"),
        // No router, so nothing but the peers' own packets on the lines.
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv6/conf/default/router_solicitations", "0"),
        ("ipv6/conf/default/addr_gen_mode", "1"),
    ];
    for (name, value) in wanted {
        let file = format!("/proc/sys/net/{name}");
        match fs::write(&file, value) {
            // A kernel without IPv6 has none of its settings.
            Err(error) if error.kind() == io::ErrorKind::NotFound && name.starts_with("ipv6") => {}
            done => done.map_err(|error| io::Error::new(error.kind(), format!("{file}: {error}")))?,
        }
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {}", arguments.join(" "), said.trim())))
}

/// Packets that the devices of a namespace dropped on their way out, before anybody read them.
pub(super) fn missed(end: &Namespace) -> u64 {
    end.within(|| fs::read_to_string("/proc/thread-self/net/dev")).map_or(0, |text| transmit_drops(&text))
}

/// The twelfth figure of a device's row in `/proc/net/dev`, summed over the lines.
fn transmit_drops(text: &str) -> u64 {
    text.lines()
        .filter_map(|row| row.trim().strip_prefix("line"))
        .filter_map(|row| row.split_once(':'))
        .filter_map(|(_, figures)| figures.split_whitespace().nth(11))
        .filter_map(|figure| figure.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_read_from_the_twelfth_figure() {
        let text = "Inter-|   Receive  | Transmit\n face |bytes ...\n    lo: 1 2 3 4 5 6 7 8 9 10 11 99 13 14 15 16\n line0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n line1: 0 0 0 0 0 0 0 0 0 0 0 3 0 0 0 0\n";
        assert_eq!(transmit_drops(text), 15);
    }
}
