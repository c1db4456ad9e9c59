//! The order in which streams are served: by class, and within a class by virtual time (start-time fair queueing, Goyal et al. 1996).

use std::collections::BTreeSet;

use super::Priority;
use crate::proto::StreamId;

/// Classes, first served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    UrgentLost,
    UrgentNew,
    FairLost,
    FairNew,
}

impl Class {
    pub(super) const fn of(priority: Priority, lost: bool) -> Self {
        match (priority, lost) {
            (Priority::Urgent, true) => Self::UrgentLost,
            (Priority::Urgent, false) => Self::UrgentNew,
            (Priority::Weight(_), true) => Self::FairLost,
            (Priority::Weight(_), false) => Self::FairNew,
        }
    }

    /// Whether it holds streams with new data only.
    pub(super) const fn is_new(self) -> bool {
        matches!(self, Self::UrgentNew | Self::FairNew)
    }
}

/// Where a stream stands: its class and its virtual time.
pub(super) type Place = (Class, u64);

/// Streams with something to send.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    queues: [BTreeSet<(u64, StreamId)>; 4],
    /// Virtual time of the last that was served: who comes anew is not owed what others got before.
    time: [u64; 4],
}

impl Schedule {
    pub(super) fn insert(&mut self, class: Class, served: u64, stream: StreamId) -> Place {
        let time = served.max(self.time[class as usize]);
        self.queues[class as usize].insert((time, stream));
        (class, time)
    }

    pub(super) fn remove(&mut self, (class, time): Place, stream: StreamId) {
        self.queues[class as usize].remove(&(time, stream));
    }

    /// The stream to serve next; without `new`, only those that have lost data.
    pub(super) fn first(&self, new: bool) -> Option<(Place, StreamId)> {
        let classes = [Class::UrgentLost, Class::UrgentNew, Class::FairLost, Class::FairNew];
        classes.into_iter().filter(|class| new || !class.is_new()).find_map(|class| {
            self.queues[class as usize].first().map(|(time, stream)| ((class, *time), *stream))
        })
    }

    pub(super) fn on_served(&mut self, (class, time): Place) {
        self.time[class as usize] = self.time[class as usize].max(time);
    }

    /// Whether anything that is urgent waits.
    pub(super) fn has_urgent(&self) -> bool {
        !self.queues[Class::UrgentLost as usize].is_empty()
            || !self.queues[Class::UrgentNew as usize].is_empty()
    }
}
