//! Who caused what: events in the order of a tree, each below the one that led to it. Pure.

use std::collections::BTreeMap;

use lowland_events::Stored;

/// An event's place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which of the events.
    pub event: usize,
    /// How far in it stands. Only where one event led to several does the tree branch; a plain line of causes stays
    /// where it is, or jobs of many attempts would run off the page.
    pub depth: usize,
    /// The event that led to it, if that is among them.
    pub cause: Option<usize>,
}

/// The order in which to tell `events`, which come in time order.
pub fn order(events: &[&Stored]) -> Vec<Place> {
    let by_id: BTreeMap<_, _> =
        events.iter().enumerate().rev().map(|(index, stored)| (stored.meta.id, index)).collect();
    let cause = |index: usize| {
        let id = events[index].meta.causation?;
        by_id.get(&id).copied().filter(|cause| *cause != index)
    };
    let causes: Vec<Option<usize>> = (0..events.len()).map(cause).collect();
    let mut effects: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, cause) in causes.iter().enumerate() {
        effects.entry(cause.unwrap_or(usize::MAX)).or_default().push(index);
    }
    let mut told = Vec::with_capacity(events.len());
    let mut seen = vec![false; events.len()];
    // A circle of causes has no root: whatever was not reached from one is told from its first event on.
    let roots = effects.get(&usize::MAX).cloned().unwrap_or_default().into_iter().chain(0..events.len());
    for root in roots {
        let mut ahead = vec![(root, 0)];
        while let Some((index, depth)) = ahead.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            told.push(Place { event: index, depth, cause: causes[index] });
            let next = effects.get(&index).map_or(&[][..], Vec::as_slice);
            let depth = depth + usize::from(next.len() > 1);
            ahead.extend(next.iter().rev().map(|effect| (*effect, depth)));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{
        Draft, Time,
        id::{AccountId, JobId},
        log::Record,
        request::CancelRequested,
        subject::Subject,
    };

    fn event(id: &str, cause: Option<&Stored>) -> Stored {
        let subject =
            Subject::request(&AccountId::new("acme").unwrap(), &JobId::new(id).unwrap(), "cancel_requested");
        let cause = cause.map_or_else(|| format!("no cause of {id}"), |cause| cause.meta.id.to_string());
        let entry = Draft::new(subject, CancelRequested::default(), &cause, "test/1", Time(0)).entry();
        let record = Record {
            stream: "REQUESTS".into(),
            sequence: 1,
            subject: entry.subject,
            headers: entry.headers,
            payload: entry.payload,
            stored_at: Time(0),
        };
        Stored::try_from(&record).unwrap()
    }

    #[test]
    fn branches_stand_in_and_lines_do_not() {
        let root = event("root", None);
        let line = event("line", Some(&root));
        let (one, two) = (event("one", Some(&line)), event("two", Some(&line)));
        let under_one = event("under", Some(&one));
        let other = event("other", None);
        let events = [&root, &other, &line, &one, &two, &under_one];
        let told: Vec<_> =
            order(&events).iter().map(|place| (place.event, place.depth, place.cause)).collect();
        let wanted =
            [(0, 0, None), (2, 0, Some(0)), (3, 1, Some(2)), (5, 1, Some(3)), (4, 1, Some(2)), (1, 0, None)];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_causes_itself_is_told_once() {
        let mut own = event("own", None);
        own.meta.causation = Some(own.meta.id);
        let mut a = event("a", None);
        let b = event("b", Some(&a));
        a.meta.causation = Some(b.meta.id);
        assert_eq!(order(&[&own, &a, &b]).len(), 3);
    }
}
