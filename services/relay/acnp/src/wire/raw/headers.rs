//! Builds the headers that go before a datagram: IPv4 or IPv6, and UDP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pnet_packet::{
    ip::IpNextHeaderProtocols,
    ipv4::{Ipv4Flags, Ipv4Packet, MutableIpv4Packet},
    ipv6::{Ipv6Packet, MutableIpv6Packet},
    udp::MutableUdpPacket,
};

use super::checksum;
use crate::wire::Ecn;

const IPV4_BYTES: usize = Ipv4Packet::minimum_packet_size();
const IPV6_BYTES: usize = Ipv6Packet::minimum_packet_size();
const UDP_BYTES: usize = 8;

/// Room for the headers of either family.
pub(super) const HEADERS_BYTES: usize = IPV6_BYTES + UDP_BYTES;

/// Hops that a packet may take: what RFC 1700 recommends, and Linux sends.
const HOPS: u8 = 64;

/// Writes the headers of one datagram into the reused `buffer`, and returns how long they are. `None` when the families differ or
/// the datagram is longer than an IP packet can say.
pub(super) fn build(
    buffer: &mut [u8; HEADERS_BYTES],
    source: SocketAddr,
    destination: SocketAddr,
    ecn: Option<Ecn>,
    payload: &[u8],
) -> Option<usize> {
    let udp_bytes = u16::try_from(UDP_BYTES + payload.len()).ok()?;
    let start = match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(buffer, from, to, ecn, udp_bytes)?,
        (IpAddr::V6(from), IpAddr::V6(to)) => ipv6(buffer, from, to, ecn, udp_bytes)?,
        _ => return None,
    };
    let header = buffer[start..].first_chunk_mut()?;
    udp(header, source.port(), destination.port(), udp_bytes)?;
    let sum = checksum::udp(source.ip(), destination.ip(), header, payload);
    MutableUdpPacket::new(header)?.set_checksum(sum);
    Some(start + UDP_BYTES)
}

/// The kernel fills in the checksum of this header (raw(7)), and the identification, which means nothing where fragments are
/// forbidden (RFC 6864 section 4).
fn ipv4(buffer: &mut [u8], from: Ipv4Addr, to: Ipv4Addr, ecn: Option<Ecn>, udp_bytes: u16) -> Option<usize> {
    let mut header = MutableIpv4Packet::new(&mut buffer[..IPV4_BYTES])?;
    header.set_version(4);
    header.set_header_length((IPV4_BYTES / 4) as u8);
    header.set_dscp(0);
    header.set_ecn(Ecn::bits(ecn));
    header.set_total_length(udp_bytes.checked_add(IPV4_BYTES as u16)?);
    header.set_identification(0);
    header.set_flags(Ipv4Flags::DontFragment);
    header.set_fragment_offset(0);
    header.set_ttl(HOPS);
    header.set_next_level_protocol(IpNextHeaderProtocols::Udp);
    header.set_checksum(0);
    header.set_source(from);
    header.set_destination(to);
    Some(IPV4_BYTES)
}

fn ipv6(buffer: &mut [u8], from: Ipv6Addr, to: Ipv6Addr, ecn: Option<Ecn>, udp_bytes: u16) -> Option<usize> {
    let mut header = MutableIpv6Packet::new(&mut buffer[..IPV6_BYTES])?;
    header.set_version(6);
    header.set_traffic_class(Ecn::bits(ecn));
    header.set_flow_label(0);
    header.set_payload_length(udp_bytes);
    header.set_next_header(IpNextHeaderProtocols::Udp);
    header.set_hop_limit(HOPS);
    header.set_source(from);
    header.set_destination(to);
    Some(IPV6_BYTES)
}

fn udp(header: &mut [u8; UDP_BYTES], from: u16, to: u16, bytes: u16) -> Option<()> {
    let mut packet = MutableUdpPacket::new(header)?;
    packet.set_source(from);
    packet.set_destination(to);
    packet.set_length(bytes);
    packet.set_checksum(0);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::raw::frame::{self, Capture, PACKET_HOST};
    use proptest::prelude::*;

    fn addresses() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
        let v4 = any::<[(Ipv4Addr, u16); 2]>().prop_map(|[from, to]| (from.into(), to.into()));
        let v6 = any::<[(Ipv6Addr, u16); 2]>().prop_map(|[from, to]| (from.into(), to.into()));
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_back(
            (from, to) in addresses(), mark in 0u8..4, payload in prop::collection::vec(any::<u8>(), 1..2000),
        ) {
            prop_assume!(from.port() != 0);
            let mut buffer = [0xa5; HEADERS_BYTES];
            let ecn = Ecn::from_bits(mark);
            let length = build(&mut buffer, from, to, ecn, &payload).unwrap();
            let frame = [&buffer[..length], &payload].concat();
            let capture = Capture { network: 0, packet_type: PACKET_HOST, interface: 0, gso_type: 0, gso_size: 0 };
            let parsed = frame::parse(&frame, capture).unwrap();
            prop_assert_eq!(&frame[parsed.start..parsed.end], &payload[..]);
            prop_assert_eq!((parsed.remote, parsed.local, parsed.ecn), (from, to, ecn));
        }
    }

    #[test]
    fn a_datagram_longer_than_ip_can_say_is_refused() {
        let mut buffer = [0; HEADERS_BYTES];
        let (v4, v6) = ("10.0.0.1:1".parse().unwrap(), "[fd00::1]:1".parse().unwrap());
        assert_eq!(build(&mut buffer, v4, v4, None, &vec![0; 65_508]), None);
        assert_eq!(build(&mut buffer, v4, v4, None, &vec![0; 65_507]), Some(28));
        assert_eq!(build(&mut buffer, v6, v6, None, &vec![0; 65_528]), None);
        assert_eq!(build(&mut buffer, v4, v6, None, &[0]), None);
    }
}
