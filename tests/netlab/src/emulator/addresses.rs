//! The plan of addresses: a small network for each line, the client's end `.1`, the server's `.2`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Version of the Internet Protocol on the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// 10.77.LINE.0/24
    #[default]
    V4,
    /// fd77:0:0:LINE::/64
    V6,
}

impl Family {
    /// Bits of the network's prefix.
    pub(super) fn prefix(self) -> u8 {
        match self {
            Self::V4 => 24,
            Self::V6 => 64,
        }
    }

    fn address(self, line: usize, end: u8) -> IpAddr {
        let line = u8::try_from(line).expect("a path has fewer than 256 lines");
        match self {
            Self::V4 => Ipv4Addr::new(10, 77, line, end).into(),
            Self::V6 => Ipv6Addr::new(0xfd77, 0, 0, line.into(), 0, 0, 0, end.into()).into(),
        }
    }
}

/// The client's address on a line.
pub fn client_address(family: Family, line: usize) -> IpAddr {
    family.address(line, 1)
}

/// The server's address on a line.
pub fn server_address(family: Family, line: usize) -> IpAddr {
    family.address(line, 2)
}
