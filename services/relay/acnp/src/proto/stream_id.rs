//! Stream ids: who opened a stream, which way it goes, and the how-many-eth it is.

/// An end of a connection, by its part in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Sends the first message.
    Client,
    /// Answers it.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Whether both ends send on a stream, or only the one that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Both ends send.
    Bi,
    /// Only the opener sends.
    Uni,
}

/// A stream's number, unique within its connection: opener in bit 0, direction in bit 1, then a count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The `index`-th stream of its kind.
    #[must_use]
    pub const fn new(opener: Side, direction: Direction, index: u64) -> Self {
        Self(index << 2 | (direction as u64) << 1 | opener as u64)
    }

    /// Who opened it.
    #[must_use]
    pub const fn opener(self) -> Side {
        if self.0 & 1 == 0 { Side::Client } else { Side::Server }
    }

    /// Which way it goes.
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.0 & 2 == 0 { Direction::Bi } else { Direction::Uni }
    }

    /// The how-many-eth of its kind, from 0.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0 >> 2
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?} {}", self.opener(), self.direction(), self.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_back_what_it_was_made_of() {
        for (opener, direction, id) in [
            (Side::Client, Direction::Bi, 28),
            (Side::Server, Direction::Bi, 29),
            (Side::Client, Direction::Uni, 30),
            (Side::Server, Direction::Uni, 31),
        ] {
            let stream = StreamId::new(opener, direction, 7);
            assert_eq!(stream.0, id);
            assert_eq!((stream.opener(), stream.direction(), stream.index()), (opener, direction, 7));
        }
    }
}
