//! Packets that are covered together, and their repairs.

use super::Class;
use crate::proto::Time;
use std::{collections::VecDeque, time::Duration};

/// Packets that are covered together.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) class: Class,
    /// Packet numbers, times and bytes of those covered, in order.
    pub(super) packets: VecDeque<(u64, Time, usize)>,
    /// Whether nothing was sent for so long before it that no company is to be expected.
    pub(super) alone: bool,
    /// Packets of any kind sent after the last of it.
    pub(super) since: u32,
    /// Once closed.
    pub(super) plan: Option<Plan>,
    /// Whether so many packets need a small share of repairs, so that it is not worked out at each poll.
    pub(super) cheap: (usize, bool),
}

/// The repairs of a flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) repairs: usize,
    pub(super) issued: usize,
    /// When the first is due, and how long after each the next.
    pub(super) start: Time,
    pub(super) gap: Duration,
    /// Packets to let pass before the first, unless `deadline` comes.
    pub(super) spacing: u32,
    pub(super) deadline: Time,
}

impl Flight {
    /// An open flight without packets, which get into it at once.
    pub(super) const fn new(class: Class, alone: bool) -> Self {
        Self { class, packets: VecDeque::new(), alone, since: 0, plan: None, cheap: (0, false) }
    }

    /// The last of its packets, of which there is always one.
    pub(super) fn last(&self) -> (u64, Time, usize) {
        self.packets.back().copied().unwrap_or_default()
    }

    /// When its next repair is due.
    /// When its next repair is due; none while it is open.
    pub(super) fn due(&self) -> Option<Time> {
        let plan = self.plan?;
        let spaced = plan.start + plan.gap * plan.issued as u32;
        Some(if self.since >= plan.spacing { spaced } else { spaced.max(plan.deadline) })
    }

    /// Counts a repair as sent; whether it was the last.
    pub(super) fn issue(&mut self) -> bool {
        let Some(plan) = &mut self.plan else { return true };
        plan.issued += 1;
        plan.issued >= plan.repairs
    }

    /// Whether its repairs should have been sent a while ago.
    pub(super) fn is_late(&self, now: Time, late: Duration) -> bool {
        self.plan.is_some_and(|plan| plan.deadline + late < now)
    }
}
