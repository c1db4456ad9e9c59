//! The packet numbers that were received, as ranges.

use std::{collections::BTreeMap, ops::RangeInclusive};

/// A set of numbers of at most so many ranges; the lowest are forgotten when there are more, and all below is taken for received.
#[derive(Debug)]
pub(super) struct Received {
    /// First and last numbers.
    ranges: BTreeMap<u64, u64>,
    ranges_max: usize,
    /// Everything below counts as received.
    floor: u64,
}

impl Received {
    pub(super) const fn new(ranges_max: usize) -> Self {
        Self { ranges: BTreeMap::new(), ranges_max, floor: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn largest(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(_, last)| *last)
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        number < self.floor
            || self.ranges.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    pub(super) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let last = self.ranges.remove(&(number + 1)).unwrap_or(number);
        match self.ranges.range_mut(..number).next_back() {
            Some((_, before)) if *before + 1 == number => *before = last,
            _ => {
                self.ranges.insert(number, last);
            }
        }
        if self.ranges.len() > self.ranges_max
            && let Some((_, last)) = self.ranges.pop_first()
        {
            self.floor = self.floor.max(last + 1);
        }
    }

    /// The ranges from the largest numbers down.
    pub(super) fn iter_down(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges.iter().rev().map(|(first, last)| *first..=*last)
    }

    /// Forgets ranges that lie wholly below `number`, and what part of one does.
    pub(super) fn forget_below(&mut self, number: u64) {
        self.floor = self.floor.max(number);
        while let Some(range) = self.ranges.first_entry()
            && *range.key() < number
        {
            let (_, last) = range.remove_entry();
            if last >= number {
                self.ranges.insert(number, last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(numbers in prop::collection::vec(0..80_u64, 0..60), below in 0..80_u64) {
            let mut received = Received::new(100);
            let mut naive = std::collections::BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(received.contains(number), !naive.insert(number));
                received.insert(number);
            }
            received.forget_below(below);
            let all: Vec<u64> = received.iter_down().flat_map(Iterator::rev).collect();
            prop_assert_eq!(all, naive.iter().rev().copied().filter(|number| *number >= below).collect::<Vec<_>>());
            prop_assert!((0..80).all(|number| received.contains(number) == (number < below || naive.contains(&number))));
        }
    }

    #[test]
    fn there_are_no_more_ranges_than_allowed() {
        let mut received = Received::new(3);
        (0..10).for_each(|number| received.insert(number * 2));
        assert_eq!(received.iter_down().collect::<Vec<_>>(), [18..=18, 16..=16, 14..=14]);
        assert!(received.contains(5) && received.contains(12) && !received.contains(15));
    }
}
