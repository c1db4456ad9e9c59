//! How many repairs a flight needs, if losses follow Gilbert's model.
//!
//! A flight of n packets under r repairs that all cover it is whole if at most r of the n + r are lost (but for one in some 250, when a
//! random system of equations is singular). Repairs are taken to follow at once: the distance that they keep only helps. The number lost is
//! had by a walk over the packets, state by state.

/// A path in Gilbert's model, per packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gilbert {
    rate: f64,
    /// Correlation of a packet's loss with that of the next.
    correlation: f64,
}

/// Probabilities by the number lost so far, capped at the last place, with the latest packet arrived or lost.
struct Walk {
    arrived: Vec<f64>,
    lost: Vec<f64>,
}

impl Gilbert {
    /// A path that loses this share of packets in bursts of this mean length; bursts are no shorter than independent loss makes them.
    pub(super) fn new(rate: f64, burst_mean: f64) -> Self {
        let rate = rate.clamp(1e-6, 0.9);
        let end = (1.0 / burst_mean.max(1.0)).min(1.0 - rate);
        let begin = rate * end / (1.0 - rate);
        Self { rate, correlation: (1.0 - begin - end).clamp(0.0, 0.999) }
    }

    /// For r from 0 to `repairs_max`: the probability that a flight of `packets` under r repairs is not whole.
    pub(super) fn failures(self, packets: usize, repairs_max: usize) -> Vec<f64> {
        let places = repairs_max + 2;
        let mut walk = Walk { arrived: vec![0.0; places], lost: vec![0.0; places] };
        (walk.arrived[0], walk.lost[0]) = (1.0 - self.rate, self.rate);
        (0..packets).for_each(|_| walk.step(self.rate, self.correlation));
        let mut failures = vec![walk.beyond(0)];
        for repairs in 1..=repairs_max {
            walk.step(self.rate, self.correlation);
            failures.push(walk.beyond(repairs));
        }
        failures
    }

    /// The fewest repairs, up to `repairs_max`, that bring the failure under `target`; as many as may be if that is not reached. None if
    /// the failure is not even halved by `worth` of them, which is what such a flight may spend again and again.
    pub(super) fn repairs(self, packets: usize, repairs_max: usize, worth: usize, target: f64) -> usize {
        let failures = self.failures(packets, repairs_max);
        match failures.iter().position(|failure| *failure < target) {
            Some(repairs) if repairs <= worth => repairs,
            _ if failures[worth.min(repairs_max)] > failures[0] / 2.0 => 0,
            Some(repairs) => repairs,
            None => repairs_max,
        }
    }
}

impl Walk {
    /// One more packet, whose loss has this correlation with that of the one before.
    fn step(&mut self, rate: f64, correlation: f64) {
        let (after_arrival, after_loss) = (rate * (1.0 - correlation), rate + (1.0 - rate) * correlation);
        let last = self.arrived.len() - 1;
        let mut carried = 0.0;
        for k in 0..=last {
            let lost = self.arrived[k] * after_arrival + self.lost[k] * after_loss;
            let arrived = self.arrived[k] + self.lost[k] - lost;
            (self.arrived[k], self.lost[k]) = (arrived, carried);
            carried = lost;
        }
        self.lost[last] += carried;
    }

    /// The probability that more than so many are lost.
    fn beyond(&self, losses: usize) -> f64 {
        self.arrived[losses + 1..].iter().chain(&self.lost[losses + 1..]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_bursts_the_number_lost_is_binomial() {
        let failures = Gilbert::new(0.05, 1.0).failures(5, 3);
        assert!((failures[0] - (1.0 - 0.95_f64.powi(5))).abs() < 1e-9, "{failures:?}");
        let beyond_one = 1.0 - 0.95_f64.powi(6) - 6.0 * 0.05 * 0.95_f64.powi(5);
        assert!((failures[1] - beyond_one).abs() < 1e-9, "{failures:?}");
    }

    #[test]
    fn large_flights_need_a_smaller_share_and_bursts_a_larger() {
        let repairs = |rate, burst, packets| Gilbert::new(rate, burst).repairs(packets, 60, 60, 1e-3);
        assert_eq!((repairs(0.01, 1.0, 5), repairs(0.05, 1.0, 5)), (2, 3));
        assert_eq!((repairs(0.01, 1.0, 47), repairs(0.05, 1.0, 47)), (4, 9));
        assert!(repairs(0.05, 4.0, 47) > repairs(0.05, 1.0, 47));
    }

    #[test]
    fn nothing_is_spent_where_nothing_helps() {
        assert_eq!(Gilbert::new(0.05, 20.0).repairs(1, 2, 2, 1e-3), 0);
        assert_eq!(Gilbert::new(0.05, 20.0).repairs(3, 60, 2, 1e-3), 0, "not what is saved up either");
    }
}
