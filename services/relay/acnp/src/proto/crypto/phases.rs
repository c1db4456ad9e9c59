//! The keys of a direction over its updates (ACNP-32).

use super::{DoesNotOpen, HeaderKey, PacketKey, Secret, Suite};
use crate::proto::{PathId, Time};

/// The keys that this side sends with.
#[derive(Debug)]
pub struct Sending {
    suite: Suite,
    secret: Secret,
    /// Seals packets.
    pub key: PacketKey,
    /// Masks headers.
    pub header: HeaderKey,
    /// The bit that packets sealed with it bear.
    pub phase: bool,
    /// Packets sealed with it.
    pub sealed: u64,
}

impl Sending {
    /// The first keys of a secret.
    #[must_use]
    pub fn new(suite: Suite, secret: Secret) -> Self {
        let (key, header) = (secret.packet_key(suite), secret.header_key(suite));
        Self { suite, secret, key, header, phase: false, sealed: 0 }
    }

    /// Whether so many packets were sealed that the key should change (ACNP-33).
    #[must_use]
    pub fn worn(&self) -> bool {
        self.sealed >= self.suite.packets_max()
    }

    /// Goes on to the next key.
    pub fn update(&mut self) {
        self.secret = self.secret.next();
        self.key = self.secret.packet_key(self.suite);
        (self.phase, self.sealed) = (!self.phase, 0);
    }
}

/// The keys that this side receives with: current, next, and for a while the ones before.
#[derive(Debug)]
pub struct Receiving {
    suite: Suite,
    next_secret: Secret,
    current: PacketKey,
    next: PacketKey,
    previous: Option<(PacketKey, Time)>,
    phase: bool,
    /// Unmasks headers.
    pub header: HeaderKey,
}

impl Receiving {
    /// The first keys of a secret.
    #[must_use]
    pub fn new(suite: Suite, secret: &Secret) -> Self {
        let next_secret = secret.next();
        Self {
            suite,
            current: secret.packet_key(suite),
            next: next_secret.packet_key(suite),
            next_secret,
            previous: None,
            phase: false,
            header: secret.header_key(suite),
        }
    }

    /// The phase of the newest packet that opened.
    #[must_use]
    pub const fn phase(&self) -> bool {
        self.phase
    }

    /// Opens a packet of key phase `phase`; says whether it was the first of a new phase, to which these keys have moved then. The keys
    /// before are kept until `keep_until`.
    ///
    /// # Errors
    /// It was not sealed with any of the keys that it may have been.
    pub fn open(
        &mut self,
        now: Time,
        keep_until: Time,
        (path, number, phase): (PathId, u64, bool),
        header: &[u8],
        sealed: &[u8],
        content: &mut [u8],
    ) -> Result<bool, DoesNotOpen> {
        if phase == self.phase {
            return self.current.open(path, number, header, sealed, content).map(|()| false);
        }
        // While the old keys are kept the peer may not move on, so the other phase is theirs.
        if let Some((previous, until)) = &self.previous
            && now < *until
        {
            return previous.open(path, number, header, sealed, content).map(|()| false);
        }
        self.next.open(path, number, header, sealed, content)?;
        self.advance(keep_until);
        Ok(true)
    }

    fn advance(&mut self, keep_until: Time) {
        self.next_secret = self.next_secret.next();
        let next = self.next_secret.packet_key(self.suite);
        let current = std::mem::replace(&mut self.next, next);
        self.previous = Some((std::mem::replace(&mut self.current, current), keep_until));
        self.phase = !self.phase;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::proto::{ConnectionId, packet::ShortHeader};

    fn pair(suite: Suite) -> (Sending, Receiving) {
        let secret = Secret::new([7; 32]);
        (Sending::new(suite, secret.clone()), Receiving::new(suite, &secret))
    }

    fn seal(keys: &Sending, number: u64, content: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        let destination = ConnectionId::new(&[1; 4]).unwrap();
        ShortHeader { destination, key_phase: keys.phase, number, number_len: 2 }.write(&mut packet);
        let content_at = packet.len();
        packet.extend_from_slice(content);
        keys.key.seal(PathId(2), number, &mut packet, 0, content_at);
        keys.header.protect(&mut packet, 5, 0x3f);
        packet
    }

    fn open(keys: &mut Receiving, now: u64, packet: &[u8]) -> Result<(bool, Vec<u8>), DoesNotOpen> {
        let (mut packet, now) = (packet.to_vec(), Time::from_nanos(now));
        let number_len = keys.header.unprotect(&mut packet, 5, 0x3f).map_err(|_| DoesNotOpen)?;
        let number = crate::proto::packet::number::truncated(&packet[5..5 + number_len]);
        let (header, sealed) = packet.split_at(5 + number_len);
        let mut content = vec![0; sealed.len() - 16];
        let id = (PathId(2), number, header[0] & 0x20 != 0);
        let moved = keys.open(now, now + Duration::from_nanos(10), id, header, sealed, &mut content)?;
        Ok((moved, content))
    }

    #[test]
    fn a_packet_opens_as_it_was_and_not_when_a_bit_changed() {
        for suite in Suite::ALL {
            let (sending, mut receiving) = pair(suite);
            let packet = seal(&sending, 300, b"some frames");
            assert_eq!(open(&mut receiving, 0, &packet), Ok((false, b"some frames".to_vec())));
            for bit in 0..packet.len() * 8 {
                // The long and the fixed bit are looked at before.
                if !(6..8).contains(&bit) {
                    let mut packet = packet.clone();
                    packet[bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(open(&mut receiving, 0, &packet), Err(DoesNotOpen), "bit {bit} of {suite:?}");
                }
            }
        }
    }

    #[test]
    fn the_receiver_follows_an_update_and_opens_late_packets_for_a_while() {
        let (mut sending, mut receiving) = pair(Suite::Aes128Gcm);
        let late = seal(&sending, 1, b"from before");
        sending.update();
        let new = seal(&sending, 2, b"from after.");
        assert_eq!(open(&mut receiving, 100, &new), Ok((true, b"from after.".to_vec())));
        assert_eq!(open(&mut receiving, 109, &late), Ok((false, b"from before".to_vec())));
        assert_eq!(open(&mut receiving, 110, &late), Err(DoesNotOpen));
        sending.update();
        let third = seal(&sending, 3, b"the third..");
        assert_eq!(open(&mut receiving, 120, &third), Ok((true, b"the third..".to_vec())));
    }

    proptest! {
        #[test]
        fn noise_does_not_open(packet in prop::collection::vec(any::<u8>(), 0..80)) {
            let (_, mut receiving) = pair(Suite::ChaCha20Poly1305);
            if packet.len() >= 25 {
                prop_assert!(open(&mut receiving, 0, &packet).is_err());
            } else {
                prop_assert!(receiving.header.unprotect(&mut packet.clone(), 5, 0x3f).is_err());
            }
        }
    }
}
