//! Which stream goes first (ACNP-65).

/// A stream's place among the others of its connection, as its sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all that is not; among each other the least served first.
    Urgent,
    /// By its share: a stream of weight 32 gets twice what one of 16 gets. 0 counts as 1.
    Weight(u8),
}

impl Default for Priority {
    fn default() -> Self {
        Self::Weight(16)
    }
}

impl Priority {
    /// What sending so many bytes costs in virtual time.
    pub(super) fn cost(self, bytes: u64) -> u64 {
        let weight = match self {
            Self::Urgent => 255,
            Self::Weight(weight) => u64::from(weight.max(1)),
        };
        // At least one step, so that empty frames don't hold a place for ever.
        (bytes * 255 / weight).max(1)
    }
}
