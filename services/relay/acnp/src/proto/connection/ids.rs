//! Connection ids of a path: those that we gave out, and those that the peer did.

use std::collections::VecDeque;

use crate::proto::{
    ConnectionId,
    cid::ResetToken,
    close::{Code, Violation},
    frame::NewCid,
};

/// Most ids of ours that a peer has for a path.
pub(super) const LOCAL_IDS_MAX: usize = 4;

/// An id that we gave out, with its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id {
    pub(super) sequence: u64,
    pub(super) id: ConnectionId,
    pub(super) token: Option<ResetToken>,
}

/// Ids that we gave the peer, and that it has not given back.
#[derive(Debug, Default)]
pub(super) struct LocalIds {
    ids: Vec<Id>,
    next: u64,
}

impl LocalIds {
    /// Adds an id; gives its number.
    pub(super) fn add(&mut self, id: ConnectionId, token: Option<ResetToken>) -> u64 {
        let sequence = self.next;
        self.ids.push(Id { sequence, id, token });
        self.next += 1;
        sequence
    }

    pub(super) fn contains(&self, id: &ConnectionId) -> bool {
        self.ids.iter().any(|own| own.id == *id)
    }

    pub(super) fn find(&self, sequence: u64) -> Option<&Id> {
        self.ids.iter().find(|own| own.sequence == sequence)
    }

    /// How many more the peer should get, when it keeps `kept`.
    pub(super) fn wanted(&self, kept: u64) -> usize {
        LOCAL_IDS_MAX.min(usize::try_from(kept).unwrap_or(usize::MAX)).saturating_sub(self.ids.len())
    }

    /// The peer gives an id back.
    ///
    /// # Errors
    /// It never had it.
    pub(super) fn retire(&mut self, sequence: u64) -> Result<Option<ConnectionId>, Violation> {
        if sequence >= self.next {
            return Err(Violation::new(Code::PROTOCOL, "an id that was never given is given back"));
        }
        let at = self.ids.iter().position(|own| own.sequence == sequence);
        Ok(at.map(|at| self.ids.swap_remove(at).id))
    }
}

/// Ids that the peer gave us.
#[derive(Debug)]
pub(super) struct RemoteIds {
    active: Id,
    spare: VecDeque<Id>,
    /// Ids with smaller numbers were asked back.
    retired_before: u64,
}

impl RemoteIds {
    pub(super) const fn new(id: ConnectionId, token: Option<ResetToken>) -> Self {
        Self { active: Id { sequence: 0, id, token }, spare: VecDeque::new(), retired_before: 0 }
    }

    /// The id to write to.
    pub(super) const fn active(&self) -> ConnectionId {
        self.active.id
    }

    /// Replaces the first id: the handshake has told the real one.
    pub(super) fn set_first(&mut self, id: ConnectionId, token: Option<ResetToken>) {
        self.active = Id { sequence: 0, id, token };
    }

    /// Whether the end of a packet is a reset token of the peer's.
    pub(super) fn is_reset(&self, token: &ResetToken) -> bool {
        self.spare.iter().chain([&self.active]).any(|id| id.token.as_ref() == Some(token))
    }

    /// Takes a further id; gives the numbers of those that have to be given back.
    ///
    /// # Errors
    /// There are more than `kept` now, or an id has two numbers.
    pub(super) fn add(&mut self, new: &NewCid, kept: usize) -> Result<Vec<u64>, Violation> {
        let mut back = Vec::new();
        if new.sequence < self.retired_before {
            back.push(new.sequence);
            return Ok(back);
        }
        let known =
            self.spare.iter().chain([&self.active]).find(|id| id.sequence == new.sequence || id.id == new.id);
        if let Some(known) = known {
            return if known.sequence == new.sequence && known.id == new.id {
                Ok(back)
            } else {
                Err(Violation::new(Code::PROTOCOL, "a connection id with two numbers"))
            };
        }
        self.spare.push_back(Id { sequence: new.sequence, id: new.id, token: Some(new.reset_token) });
        self.retired_before = self.retired_before.max(new.retire_before);
        self.spare.retain(|id| {
            let keep = id.sequence >= self.retired_before;
            if !keep {
                back.push(id.sequence);
            }
            keep
        });
        if self.active.sequence < self.retired_before {
            back.extend(self.change());
        }
        if self.spare.len() + 1 > kept {
            return Err(Violation::new(Code::CONNECTION_ID_LIMIT, "more connection ids than agreed"));
        }
        Ok(back)
    }

    /// Takes the next id into use, if there is one; gives the number of the one before, to be given back.
    pub(super) fn change(&mut self) -> Option<u64> {
        let next = self.spare.pop_front()?;
        Some(std::mem::replace(&mut self.active, next).sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::PathId;

    fn new(sequence: u64, retire_before: u64) -> NewCid {
        let id = ConnectionId::new(&sequence.to_be_bytes()).unwrap();
        NewCid { path: PathId(0), sequence, retire_before, id, reset_token: ResetToken([sequence as u8; 16]) }
    }

    #[test]
    fn ids_of_the_peer_are_kept_changed_and_given_back() {
        let mut ids = RemoteIds::new(ConnectionId::new(&[9]).unwrap(), None);
        assert_eq!(ids.add(&new(1, 0), 3), Ok(vec![]));
        assert_eq!(ids.add(&new(1, 0), 3), Ok(vec![]), "the same again");
        assert!(ids.is_reset(&ResetToken([1; 16])) && !ids.is_reset(&ResetToken([2; 16])));
        assert_eq!(ids.add(&new(2, 0), 3), Ok(vec![]));
        assert_eq!(ids.add(&new(3, 0), 3).unwrap_err().code, Code::CONNECTION_ID_LIMIT);
        let mut ids = RemoteIds::new(ConnectionId::new(&[9]).unwrap(), None);
        ids.add(&new(1, 0), 3).unwrap();
        assert_eq!(ids.add(&new(2, 2), 3), Ok(vec![1, 0]));
        assert_eq!(ids.active(), new(2, 0).id);
        assert_eq!(ids.add(&new(1, 0), 3), Ok(vec![1]), "it came late and goes back");
        assert_eq!(ids.change(), None);
        let twice = NewCid { sequence: 7, ..new(2, 0) };
        assert_eq!(ids.add(&twice, 3).unwrap_err().code, Code::PROTOCOL);
    }

    #[test]
    fn ids_of_ours_come_back_once() {
        let mut ids = LocalIds::default();
        let id = ConnectionId::new(&[1]).unwrap();
        assert_eq!(ids.add(id, None), 0);
        assert!(ids.contains(&id));
        assert_eq!(ids.wanted(2), 1);
        assert_eq!(ids.retire(0), Ok(Some(id)));
        assert_eq!(ids.retire(0), Ok(None));
        assert!(ids.retire(1).is_err());
        assert!(!ids.contains(&id));
    }
}
