//! The largest value within a sliding window, in constant space (Nichols' filter, as in Linux `win_minmax`).

/// The largest of the values seen within the last `window` steps of any clock that only advances; wrap values in
/// [`std::cmp::Reverse`] for the smallest. Three values are kept: the best, and the best since it and since that.
#[derive(Debug, Clone, Copy)]
pub struct Windowed<V> {
    window: u64,
    best: Option<[(u64, V); 3]>,
}

impl<V: Copy + Ord> Windowed<V> {
    /// A filter over so many steps.
    #[must_use]
    pub const fn new(window: u64) -> Self {
        Self { window, best: None }
    }

    /// The largest value, if there was any since the beginning.
    #[must_use]
    pub fn current(&self) -> Option<V> {
        self.best.map(|best| best[0].1)
    }

    /// When the largest value was seen.
    #[must_use]
    pub fn seen_at(&self) -> Option<u64> {
        self.best.map(|best| best[0].0)
    }

    /// Forgets everything but this value.
    pub fn reset(&mut self, at: u64, value: V) {
        self.best = Some([(at, value); 3]);
    }

    /// Takes a value in; gives the largest.
    pub fn update(&mut self, at: u64, value: V) -> V {
        let new = (at, value);
        let Some(best) = &mut self.best else {
            self.reset(at, value);
            return value;
        };
        if value >= best[0].1 || at.saturating_sub(best[2].0) > self.window {
            self.reset(at, value);
            return value;
        }
        if value >= best[1].1 {
            best[1] = new;
            best[2] = new;
        } else if value >= best[2].1 {
            best[2] = new;
        }
        let age = at.saturating_sub(best[0].0);
        if age > self.window {
            *best = [best[1], best[2], new];
            if at.saturating_sub(best[0].0) > self.window {
                *best = [best[1], best[2], new];
            }
        } else if best[1].0 == best[0].0 && age > self.window / 4 {
            // A quarter went by without a second best.
            best[1] = new;
            best[2] = new;
        } else if best[2].0 == best[1].0 && age > self.window / 2 {
            best[2] = new;
        }
        best[0].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_forgotten_when_its_window_has_passed() {
        let mut filter = Windowed::new(10);
        assert_eq!(filter.update(0, 9), 9);
        for at in 1..=10 {
            assert_eq!(filter.update(at, 5), 9);
        }
        assert_eq!(filter.update(11, 4), 5);
        assert_eq!(filter.update(12, 12), 12);
        assert_eq!(filter.seen_at(), Some(12));
    }
}
