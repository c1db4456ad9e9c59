//! Sets of bytes of a stream, as spans from a beginning to before an end.

use std::{collections::BTreeMap, ops::Range};

/// Spans that neither overlap nor touch, by their beginnings.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans(BTreeMap<u64, u64>);

impl Spans {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn first(&self) -> Option<Range<u64>> {
        self.0.first_key_value().map(|(start, end)| *start..*end)
    }

    /// Adds a span, joined with those that it overlaps or touches.
    pub(super) fn insert(&mut self, span: Range<u64>) {
        if span.is_empty() {
            return;
        }
        let (mut start, mut end) = (span.start, span.end);
        while let Some((&other, &other_end)) = self.0.range(..=end).next_back()
            && other_end >= start
        {
            self.0.remove(&other);
            (start, end) = (start.min(other), end.max(other_end));
        }
        self.0.insert(start, end);
    }

    /// Takes a span out.
    pub(super) fn remove(&mut self, span: Range<u64>) {
        if span.is_empty() {
            return;
        }
        while let Some((&other, &other_end)) = self.0.range(..span.end).next_back()
            && other_end > span.start
        {
            self.0.remove(&other);
            if other_end > span.end {
                self.0.insert(span.end, other_end);
            }
            if other < span.start {
                self.0.insert(other, span.start);
                break;
            }
        }
    }

    /// The parts of `span` that are in none of these.
    pub(super) fn gaps(&self, span: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at =
            self.0.range(..=span.start).next_back().map_or(span.start, |(_, end)| span.start.max(*end));
        std::iter::from_fn(move || {
            if at >= span.end {
                return None;
            }
            let next =
                self.0.range(at..span.end).next().map_or((span.end, span.end), |(start, end)| (*start, *end));
            let gap = at..next.0;
            at = next.1;
            Some(gap)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_are_the_set_of_their_bytes(steps in prop::collection::vec((any::<bool>(), 0..60_u64, 0..20_u64), 0..40), from in 0..60_u64, len in 0..30_u64) {
            let (mut spans, mut naive) = (Spans::default(), std::collections::BTreeSet::new());
            for (insert, start, len) in steps {
                let span = start..start + len;
                if insert {
                    naive.extend(span.clone());
                    spans.insert(span);
                } else {
                    naive.retain(|byte| !span.contains(byte));
                    spans.remove(span);
                }
                let bytes: Vec<u64> = spans.0.iter().flat_map(|(start, end)| *start..*end).collect();
                prop_assert_eq!(bytes, naive.iter().copied().collect::<Vec<_>>());
                let touching = spans.0.iter().zip(spans.0.iter().skip(1)).any(|((_, end), (start, _))| end >= start);
                prop_assert!(!touching);
            }
            let gaps: Vec<u64> = spans.gaps(from..from + len).flatten().collect();
            prop_assert_eq!(gaps, (from..from + len).filter(|byte| !naive.contains(byte)).collect::<Vec<_>>());
        }
    }
}
