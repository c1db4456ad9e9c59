//! Which slot a new job takes, and whose turn it is: pure choices.

/// A slot that is free, as the choice sees it.
pub(super) struct Idle<'a> {
    pub(super) slot: usize,
    /// Tokens whose keys and values it still holds.
    pub(super) tokens: &'a [u32],
    /// When it was last used: larger is later.
    pub(super) used: u64,
}

/// The idle slot for a job of these tokens, and how many of its tokens can be reused: the longest common
/// prefix wins, then the slot that has been idle longest. The last `least` tokens are never reused, since the
/// first step reads that many.
pub(super) fn slot<'a>(
    idle: impl Iterator<Item = Idle<'a>>,
    tokens: &[u32],
    least: usize,
) -> Option<(usize, usize)> {
    let most = tokens.len().saturating_sub(least);
    idle.map(|idle| (common(idle.tokens, tokens).min(most), std::cmp::Reverse(idle.used), idle.slot))
        .max_by_key(|(reuse, used, _)| (*reuse, *used))
        .map(|(reuse, _, slot)| (slot, reuse))
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The next active slot after `last`, round the table.
pub(super) fn turn(active: &[bool], last: usize) -> Option<usize> {
    (1..=active.len()).map(|step| (last + step) % active.len()).find(|slot| active[*slot])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(idle: &[(&[u32], u64)], tokens: &[u32]) -> Option<(usize, usize)> {
        slot(
            idle.iter().enumerate().map(|(slot, (tokens, used))| Idle { slot, tokens, used: *used }),
            tokens,
            1,
        )
    }

    #[test]
    fn the_longest_common_prefix_wins() {
        assert_eq!(pick(&[(&[1, 2], 0), (&[1, 2, 3, 9], 5), (&[2], 1)], &[1, 2, 3, 4]), Some((1, 3)));
    }

    #[test]
    fn without_a_common_prefix_the_longest_idle_slot_is_taken() {
        assert_eq!(pick(&[(&[7], 3), (&[8], 2), (&[9], 4)], &[1, 2]), Some((1, 0)));
        assert_eq!(pick(&[], &[1]), None);
    }

    #[test]
    fn the_last_tokens_are_computed_even_if_they_are_held() {
        assert_eq!(pick(&[(&[1, 2, 3], 0)], &[1, 2, 3]), Some((0, 2)));
        let idle = Idle { slot: 0, tokens: &[1, 2, 3], used: 0 };
        assert_eq!(slot([idle].into_iter(), &[1, 2, 3], 2), Some((0, 1)));
    }

    #[test]
    fn turns_go_round() {
        let active = [true, false, true];
        assert_eq!(turn(&active, 0), Some(2));
        assert_eq!(turn(&active, 2), Some(0));
        assert_eq!(turn(&[false; 3], 1), None);
        assert_eq!(turn(&[true], 0), Some(0));
    }
}
