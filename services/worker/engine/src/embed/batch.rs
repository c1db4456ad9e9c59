//! Which texts are run together: similar lengths, and a bound on tokens, padding included.

/// Most tokens in one run, padding included. A run of more is no faster a token, takes more memory, and can't
/// be cancelled sooner.
pub(super) const BATCH_TOKENS_MAX: usize = 2048;

/// Indices of texts of these lengths, in batches whose padded size is at most [`BATCH_TOKENS_MAX`] (a longer
/// text runs alone).
pub(super) fn batches(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| lengths[*index]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        // Sorted upwards, so that this text is the longest of the batch it joins.
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * lengths[index] <= BATCH_TOKENS_MAX => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_runs_once_within_the_bound(lengths in prop::collection::vec(1usize..3000, 0..100)) {
            let batches = batches(&lengths);
            let mut all = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            for batch in batches {
                let longest = batch.iter().map(|index| lengths[*index]).max().unwrap();
                prop_assert!(batch.len() == 1 || batch.len() * longest <= BATCH_TOKENS_MAX);
            }
        }
    }
}
