//! The Internet checksum (RFC 1071) of a datagram, fast.
//!
//! pnet_packet sums a 16-bit word at a time, and leaves out the last byte of an odd payload that does not lie behind its header. The sum is the same in any byte
//! order and any width of words (RFC 1071 section 2), so this one takes 32 bits at a time into 64, a loop that compilers vectorise.
//! Tests hold it to pnet's.

use std::net::IpAddr;

/// The protocol number of UDP.
const UDP: u8 = 17;

/// The checksum to stand in a UDP header (RFC 768, RFC 8200 section 8.1): over the pseudo-header, the header, whose own checksum
/// field is zero, and the payload. A sum of zero is sent as all ones, for zero means that there is none.
pub(super) fn udp(source: IpAddr, destination: IpAddr, header: &[u8; 8], payload: &[u8]) -> u16 {
    let length = (header.len() + payload.len()) as u32;
    let pseudo = address(source) + address(destination) + sum(&length.to_be_bytes()) + sum(&[0, UDP]);
    match !fold(pseudo + sum(header) + sum(payload)) {
        0 => u16::MAX,
        checksum => checksum,
    }
}

fn address(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(v4) => sum(&v4.octets()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    }
}

/// Sums words of the machine's byte order. 64 KiB of them stay far below 2^64.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let whole: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    whole + u64::from(u32::from_ne_bytes(last))
}

/// Folds the carries in, and turns the words to the network's byte order.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (sum as u16).to_be()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pnet_packet::udp::{UdpPacket, ipv4_checksum, ipv6_checksum};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_what_pnet_sums(
            header: [u8; 6], payload in prop::collection::vec(any::<u8>(), 0..3000),
            v4: [[u8; 4]; 2], v6: [[u8; 16]; 2],
        ) {
            let mut whole = [0; 8];
            whole[..6].copy_from_slice(&header);
            let packet = [&whole[..], &payload].concat();
            let packet = UdpPacket::new(&packet).unwrap();
            let nonzero = |sum| if sum == 0 { u16::MAX } else { sum };
            let [from, to] = v4.map(std::net::Ipv4Addr::from);
            prop_assert_eq!(
                udp(from.into(), to.into(), &whole, &payload),
                nonzero(ipv4_checksum(&packet, &from, &to))
            );
            let [from, to] = v6.map(std::net::Ipv6Addr::from);
            prop_assert_eq!(
                udp(from.into(), to.into(), &whole, &payload),
                nonzero(ipv6_checksum(&packet, &from, &to))
            );
        }
    }

    #[test]
    fn the_largest_datagram_does_not_overflow() {
        let payload = vec![0xff; 65_507];
        let whole = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
        let ip = std::net::Ipv4Addr::BROADCAST;
        let packet = [&whole[..], &payload].concat();
        let oracle = ipv4_checksum(&UdpPacket::new(&packet).unwrap(), &ip, &ip);
        assert_eq!(udp(ip.into(), ip.into(), &whole, &payload), oracle);
    }
}
