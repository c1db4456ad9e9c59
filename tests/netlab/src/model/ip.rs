//! The few fields of an IP header that a path may touch: its length and its congestion mark (RFC 3168).

/// Codepoints of the two ECN bits.
const NOT_CAPABLE: u8 = 0b00;
const MARKED: u8 = 0b11;

/// Bytes of the header before the transport's, without extension headers.
pub(super) fn header_bytes(packet: &[u8]) -> usize {
    match packet.first().map(|first| first >> 4) {
        Some(4) => usize::from(packet[0] & 0x0f) * 4,
        Some(6) => 40,
        _ => packet.len(),
    }
}

/// Marks a packet as having met congestion, if its sender said that it understands. Returns whether it is marked now.
pub(super) fn mark(packet: &mut [u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) if packet.len() >= 20 => mark_v4(packet),
        Some(6) if packet.len() >= 40 => mark_v6(packet),
        _ => false,
    }
}

fn mark_v4(packet: &mut [u8]) -> bool {
    let before = u16::from_be_bytes([packet[0], packet[1]]);
    if before as u8 & MARKED == NOT_CAPABLE {
        return false;
    }
    packet[1] |= MARKED;
    let after = u16::from_be_bytes([packet[0], packet[1]]);
    let sum = update(u16::from_be_bytes([packet[10], packet[11]]), before, after);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    true
}

fn mark_v6(packet: &mut [u8]) -> bool {
    if packet[1] >> 4 & MARKED == NOT_CAPABLE {
        return false;
    }
    packet[1] |= MARKED << 4;
    true
}

/// A checksum after one of its words changed (RFC 1624, equation 3).
fn update(sum: u16, before: u16, after: u16) -> u16 {
    let mut total = u32::from(!sum) + u32::from(!before) + u32::from(after);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(header: &[u8]) -> u16 {
        let mut total: u32 =
            header.chunks(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        !(total as u16)
    }

    fn header(tos: u8) -> Vec<u8> {
        let mut header = vec![0x45, tos, 0, 40, 1, 2, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let checksum = sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header.extend([0; 20]);
        header
    }

    #[test]
    fn a_mark_keeps_the_checksum_right() {
        for tos in [0b01, 0b10] {
            let mut packet = header(tos);
            assert!(mark(&mut packet));
            assert_eq!(packet[1] & 3, 3);
            assert_eq!(sum(&packet[..20]), 0);
        }
    }

    #[test]
    fn who_does_not_understand_marks_gets_none() {
        let mut packet = header(0);
        assert!(!mark(&mut packet));
        assert_eq!(packet, header(0));
        assert!(!mark(&mut []) && !mark(&mut [0x45]) && !mark(&mut [0x60; 8]));
    }

    #[test]
    fn version_six_has_its_bits_elsewhere() {
        let mut packet = vec![0; 48];
        packet[..2].copy_from_slice(&[0x60, 0x20]);
        assert!(mark(&mut packet));
        assert_eq!(packet[1], 0x30);
    }
}
