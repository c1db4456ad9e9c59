//! The packets under way, by number.

use std::{collections::VecDeque, ops::RangeInclusive};

use super::rate::Stamp;
use crate::proto::Time;

/// A packet under way.
#[derive(Debug, Clone)]
pub struct Sent<T> {
    /// Bytes of its datagram.
    pub size: u32,
    /// It tries a larger datagram: its loss says nothing of congestion.
    pub is_mtu_probe: bool,
    /// What was known when it left.
    pub stamp: Stamp,
    /// When the last repair left that covers it.
    pub repaired_at: Time,
    /// What it carried.
    pub payload: T,
}

/// Packets under way. A packet costs a slot in a ring; those below the largest acknowledged are listed apart, so that an ACK costs what it
/// says that is new, and a search per range.
#[derive(Debug)]
pub(super) struct Ledger<T> {
    slots: VecDeque<Option<Sent<T>>>,
    /// Number of the first slot.
    base: u64,
    next: u64,
    /// Under way below `seen`: lost, or late. Ascending.
    late: VecDeque<u64>,
    /// Everything below was looked at when an ACK named it or a larger one.
    seen: u64,
    live: usize,
}

impl<T> Ledger<T> {
    pub(super) const fn new() -> Self {
        Self { slots: VecDeque::new(), base: 0, next: 0, late: VecDeque::new(), seen: 0, live: 0 }
    }

    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Gives out the next number; `None` for a packet whose fate does not matter.
    pub(super) fn push(&mut self, sent: Option<Sent<T>>) {
        if self.slots.is_empty() {
            self.base = self.next;
        }
        self.next += 1;
        if sent.is_some() || !self.slots.is_empty() {
            self.live += usize::from(sent.is_some());
            self.slots.push_back(sent);
        }
    }

    pub(super) fn sent(&self, number: u64) -> Option<&Sent<T>> {
        let at = number.checked_sub(self.base)?;
        self.slots.get(usize::try_from(at).ok()?)?.as_ref()
    }

    pub(super) fn sent_mut(&mut self, number: u64) -> Option<&mut Sent<T>> {
        let at = number.checked_sub(self.base)?;
        self.slots.get_mut(usize::try_from(at).ok()?)?.as_mut()
    }

    fn slot(&mut self, number: u64) -> Option<Sent<T>> {
        let at = usize::try_from(number.checked_sub(self.base)?).ok()?;
        let sent = self.slots.get_mut(at)?.take()?;
        self.live -= 1;
        Some(sent)
    }

    /// Takes a packet out wherever it stands.
    pub(super) fn take(&mut self, number: u64) -> Option<Sent<T>> {
        let sent = self.slot(number)?;
        if number < self.seen
            && let Ok(at) = self.late.binary_search(&number)
        {
            self.late.remove(at);
        }
        self.trim();
        Some(sent)
    }

    /// Lists what lies between the largest number seen so far and `largest` among what may be late.
    pub(super) fn see(&mut self, largest: u64) {
        for number in self.seen.max(self.base)..=largest {
            if self.sent(number).is_some() {
                self.late.push_back(number);
            }
        }
        self.seen = self.seen.max(largest + 1);
    }

    /// Takes out the packets of a range that was seen, the largest number first.
    pub(super) fn take_range(&mut self, range: &RangeInclusive<u64>, mut each: impl FnMut(u64, Sent<T>)) {
        let from = self.late.partition_point(|number| number < range.start());
        let to = self.late.partition_point(|number| number <= range.end());
        if from == to {
            return;
        }
        for at in (from..to).rev() {
            let number = self.late[at];
            if let Some(sent) = self.slot(number) {
                each(number, sent);
            }
        }
        self.late.drain(from..to);
        self.trim();
    }

    /// The oldest packet that may be late.
    pub(super) fn oldest_late(&self) -> Option<(u64, &Sent<T>)> {
        let number = *self.late.front()?;
        self.sent(number).map(|sent| (number, sent))
    }

    /// All packets under way, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Sent<T>)> {
        (self.base..).zip(&self.slots).filter_map(|(number, sent)| Some((number, sent.as_ref()?)))
    }

    /// Takes everything out.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Sent<T>> + use<T> {
        self.late.clear();
        self.live = 0;
        std::mem::take(&mut self.slots).into_iter().flatten()
    }

    fn trim(&mut self) {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
    }
}
