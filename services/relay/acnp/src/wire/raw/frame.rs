//! Reads a captured frame, without trusting any of it: a pure function of bytes that anybody may have sent.
//!
//! The UDP checksum is not looked at: between interfaces of one machine the kernel leaves it partial, and what a datagram carries is
//! authenticated anyway.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use pnet_packet::{
    ip::IpNextHeaderProtocols,
    ipv4::{Ipv4Flags, Ipv4Packet},
    ipv6::Ipv6Packet,
    udp::UdpPacket,
};

use crate::wire::Ecn;

/// The kernel's name for a packet that was sent to this host (linux/if_packet.h).
pub(super) const PACKET_HOST: u8 = 0;

/// Kinds of offload in `struct virtio_net_hdr` (virtio 1.2 section 5.1.6.1): none, UDP fragments, UDP segments; and a bit beside.
const GSO_NONE: u8 = 0;
const GSO_UDP: u8 = 3;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

const UDP_BYTES: usize = UdpPacket::minimum_packet_size();

/// What the kernel says about a captured frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capture {
    /// Where in the frame the IP header begins: behind the link's header, if the device has any.
    pub(super) network: usize,
    /// For whom the packet was: [`PACKET_HOST`] and others.
    pub(super) packet_type: u8,
    /// The index of the interface.
    pub(super) interface: u32,
    /// The kind of merging.
    pub(super) gso_type: u8,
    /// Bytes of each merged datagram.
    pub(super) gso_size: u16,
}

/// A datagram, or several of one size, within a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) ecn: Option<Ecn>,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) stride: usize,
}

/// Why a frame is no datagram of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was sent by this host, or to another.
    NotToUs,
    /// It ends before its headers, or before the length that they state.
    Short,
    /// It is neither IPv4 nor IPv6.
    NotIp,
    /// It carries no UDP, or IPv6 extension headers before it.
    NotUdp,
    /// It is a fragment; ACNP's own packets forbid fragments.
    Fragment,
    /// It carries nothing, or nobody could be answered.
    Empty,
    /// It was merged in a way that is not UDP's.
    Merged,
}

/// An IP header: who, and where in the frame the UDP header begins and the packet ends.
struct Network {
    addresses: (SocketAddr, SocketAddr),
    ecn: Option<Ecn>,
    start: usize,
    end: usize,
}

/// Finds the datagrams in a frame.
pub(super) fn parse(frame: &[u8], capture: Capture) -> Result<Parsed, Refusal> {
    if capture.packet_type != PACKET_HOST {
        return Err(Refusal::NotToUs);
    }
    let packet = frame.get(capture.network..).ok_or(Refusal::Short)?;
    let network = match packet.first().map(|octet| octet >> 4) {
        Some(4) => ipv4(packet)?,
        Some(6) => ipv6(packet, capture.interface)?,
        Some(_) => return Err(Refusal::NotIp),
        None => return Err(Refusal::Short),
    };
    let datagram = packet.get(network.start..network.end).ok_or(Refusal::Short)?;
    let udp = UdpPacket::new(datagram).ok_or(Refusal::Short)?;
    let length = usize::from(udp.get_length());
    if length > datagram.len() || length < UDP_BYTES {
        return Err(Refusal::Short);
    }
    let (mut remote, mut local) = network.addresses;
    remote.set_port(udp.get_source());
    local.set_port(udp.get_destination());
    if length == UDP_BYTES || remote.port() == 0 {
        return Err(Refusal::Empty);
    }
    let start = capture.network + network.start + UDP_BYTES;
    let end = start + length - UDP_BYTES;
    let stride = stride(end - start, capture)?;
    Ok(Parsed { remote, local, ecn: network.ecn, start, end, stride })
}

fn ipv4(packet: &[u8]) -> Result<Network, Refusal> {
    let header = Ipv4Packet::new(packet).ok_or(Refusal::Short)?;
    let (start, end) = (usize::from(header.get_header_length()) * 4, usize::from(header.get_total_length()));
    if start < Ipv4Packet::minimum_packet_size() {
        return Err(Refusal::Short);
    }
    if header.get_next_level_protocol() != IpNextHeaderProtocols::Udp {
        return Err(Refusal::NotUdp);
    }
    if header.get_flags() & Ipv4Flags::MoreFragments != 0 || header.get_fragment_offset() != 0 {
        return Err(Refusal::Fragment);
    }
    let addresses = ((header.get_source(), 0).into(), (header.get_destination(), 0).into());
    Ok(Network { addresses, ecn: Ecn::from_bits(header.get_ecn()), start, end })
}

fn ipv6(packet: &[u8], interface: u32) -> Result<Network, Refusal> {
    let header = Ipv6Packet::new(packet).ok_or(Refusal::Short)?;
    if header.get_next_header() != IpNextHeaderProtocols::Udp {
        return Err(Refusal::NotUdp);
    }
    let start = Ipv6Packet::minimum_packet_size();
    let scoped = |ip: Ipv6Addr| {
        let scope = if ip.is_unicast_link_local() { interface } else { 0 };
        SocketAddrV6::new(ip, 0, 0, scope).into()
    };
    Ok(Network {
        addresses: (scoped(header.get_source()), scoped(header.get_destination())),
        ecn: Ecn::from_bits(header.get_traffic_class()),
        start,
        end: start + usize::from(header.get_payload_length()),
    })
}

/// Bytes of each datagram in `bytes` of them.
fn stride(bytes: usize, capture: Capture) -> Result<usize, Refusal> {
    match capture.gso_type & !GSO_ECN {
        GSO_UDP_L4 if capture.gso_size > 0 => Ok(usize::from(capture.gso_size).min(bytes)),
        GSO_NONE | GSO_UDP => Ok(bytes),
        _ => Err(Refusal::Merged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: Capture =
        Capture { network: 0, packet_type: PACKET_HOST, interface: 7, gso_type: 0, gso_size: 0 };

    /// A packet from 192.0.2.1:1024 to 192.0.2.2:53 that carries `payload` and is marked CE.
    fn packet(payload: &[u8]) -> Vec<u8> {
        let udp_bytes = (8 + payload.len()) as u16;
        let total = (20 + udp_bytes).to_be_bytes();
        let mut packet = vec![0x45, 0b11, total[0], total[1], 0, 0, 0x40, 0, 64, 17, 0, 0];
        packet.extend([192, 0, 2, 1, 192, 0, 2, 2, 4, 0, 0, 53]);
        packet.extend(udp_bytes.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        packet
    }

    /// The same from fe80::1 to fe80::2.
    fn packet6(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0x30, 0, 0, 0, (8 + payload.len()) as u8, 17, 64];
        packet.extend("fe80::1".parse::<Ipv6Addr>().unwrap().octets());
        packet.extend("fe80::2".parse::<Ipv6Addr>().unwrap().octets());
        packet.extend([4, 0, 0, 53, 0, (8 + payload.len()) as u8, 0, 0]);
        packet.extend(payload);
        packet
    }

    #[test]
    fn a_datagram_is_found_behind_any_link() {
        for link in [0, 14, 18] {
            let mut frame = vec![0xee; link];
            frame.extend(packet(b"hello"));
            frame.extend([0; 9]); // Ethernet pads short frames
            let parsed = parse(&frame, Capture { network: link, ..WHOLE }).unwrap();
            assert_eq!(&frame[parsed.start..parsed.end], b"hello");
            assert_eq!(parsed.remote, "192.0.2.1:1024".parse().unwrap());
            assert_eq!(parsed.local, "192.0.2.2:53".parse().unwrap());
            assert_eq!((parsed.ecn, parsed.stride), (Some(Ecn::Ce), 5));
        }
    }

    #[test]
    fn a_link_local_peer_keeps_its_interface() {
        let parsed = parse(&packet6(b"x"), WHOLE).unwrap();
        assert_eq!(parsed.remote, "[fe80::1%7]:1024".parse().unwrap());
        assert_eq!(parsed.ecn, Some(Ecn::Ce));
    }

    #[test]
    fn merged_datagrams_are_told_apart() {
        let merged = |gso_type, gso_size| {
            parse(&packet(&[0; 1000]), Capture { gso_type, gso_size, ..WHOLE }).map(|parsed| parsed.stride)
        };
        assert_eq!(merged(GSO_UDP_L4, 300), Ok(300));
        assert_eq!(merged(GSO_UDP_L4 | GSO_ECN, 300), Ok(300));
        assert_eq!(merged(GSO_UDP_L4, 3000), Ok(1000));
        assert_eq!(merged(GSO_UDP_L4, 0), Err(Refusal::Merged));
        assert_eq!(merged(GSO_UDP, 300), Ok(1000));
        assert_eq!(merged(1, 300), Err(Refusal::Merged));
    }

    #[test]
    fn what_is_no_datagram_of_ours_is_refused() {
        let changed = |at: usize, value: u8| {
            let mut packet = packet(b"hello");
            packet[at] = value;
            parse(&packet, WHOLE).map(|_| ())
        };
        assert_eq!(changed(6, 0x20), Err(Refusal::Fragment));
        assert_eq!(changed(7, 1), Err(Refusal::Fragment));
        assert_eq!(changed(9, 6), Err(Refusal::NotUdp));
        assert_eq!(changed(0, 0x44), Err(Refusal::Short));
        assert_eq!(changed(0, 0x4f), Err(Refusal::Short));
        assert_eq!(changed(0, 0x75), Err(Refusal::NotIp));
        assert_eq!(changed(3, 200), Err(Refusal::Short));
        assert_eq!(changed(25, 200), Err(Refusal::Short));
        assert_eq!(changed(25, 7), Err(Refusal::Short));
        assert_eq!(changed(25, 8), Err(Refusal::Empty));
        assert_eq!(changed(20, 0), Err(Refusal::Empty));
        assert_eq!(changed(8, 1), Ok(()));
        for packet_type in 1..=7 {
            let sent = parse(&packet(b"hello"), Capture { packet_type, ..WHOLE });
            assert_eq!(sent, Err(Refusal::NotToUs));
        }
    }

    fn captures() -> impl Strategy<Value = Capture> {
        (0usize..80, any::<(u32, u8, u16)>()).prop_map(|(network, (interface, gso_type, gso_size))| Capture {
            network,
            packet_type: PACKET_HOST,
            interface,
            gso_type,
            gso_size,
        })
    }

    /// Whatever is found lies within the frame.
    fn holds(frame: &[u8], capture: Capture) -> bool {
        parse(frame, capture).is_ok_and(|parsed| {
            assert!(parsed.start < parsed.end && parsed.end <= frame.len());
            assert!((1..=parsed.end - parsed.start).contains(&parsed.stride));
            true
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(frame in prop::collection::vec(any::<u8>(), 0..200), capture in captures()) {
            holds(&frame, capture);
        }

        #[test]
        fn damaged_packets_never_panic(
            v6: bool, damage in prop::collection::vec((0usize..80, any::<u8>()), 0..4), cut in 0usize..120,
            capture in captures(),
        ) {
            let mut frame = if v6 { packet6(&[7; 60]) } else { packet(&[7; 60]) };
            for (at, value) in damage {
                frame[at] = value;
            }
            frame.truncate(cut);
            holds(&frame, Capture { network: 0, ..capture });
        }
    }
}
