//! Which ids somebody may have meant. Pure.

/// Ids that are suggested at most.
pub const SUGGESTED_MAX: usize = 5;
/// Letters that may differ: a slip of the finger, not another id.
const SLIPS_MAX: usize = 2;

/// Of `known`, what `given` may have meant: what begins or ends with it, or differs in a letter or two.
pub fn misses<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> =
        known.filter_map(|id| distance(given, id).map(|distance| (distance, id))).collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(SUGGESTED_MAX).map(|(_, id)| id).collect()
}

fn distance(given: &str, id: &str) -> Option<usize> {
    if id.eq_ignore_ascii_case(given) {
        return Some(0);
    }
    let part = given.len() >= 3 && (id.starts_with(given) || id.ends_with(given));
    if part {
        return Some(1);
    }
    let slips = slips(given.as_bytes(), id.as_bytes());
    (slips <= SLIPS_MAX && slips * 3 <= given.len()).then_some(slips + 1)
}

/// Levenshtein's distance, row by row; more than [`SLIPS_MAX`] where the lengths say so already.
fn slips(a: &[u8], b: &[u8]) -> usize {
    if a.len().abs_diff(b.len()) > SLIPS_MAX {
        return SLIPS_MAX + 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_parts_and_case_are_near_and_others_are_not() {
        let known = ["job-1", "JOB-10", "hello-world", "helo-wrld", "x"];
        assert_eq!(misses("job-10", known.into_iter()), ["JOB-10", "job-1"]);
        assert_eq!(misses("hello", known.into_iter()), ["hello-world"]);
        assert_eq!(misses("helloworld", known.into_iter()), ["hello-world"]);
        assert!(misses("y", known.into_iter()).is_empty());
    }

    #[test]
    fn distances_are_levenshteins() {
        assert_eq!(slips(b"abc", b"abc"), 0);
        assert_eq!(slips(b"abc", b"acb"), 2);
        assert_eq!(slips(b"abcd", b"abd"), 1);
        assert_eq!(slips(b"", b"abcd"), 3, "too far to count");
    }
}
