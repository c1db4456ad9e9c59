//! Which ids belong to which connection.

use super::{Entry, Handle, Listener, TOKENS_MAX};
use crate::proto::{ConnectionId, cid::ResetToken};

/// Attempts to draw an id that is not in use; with short ids and many connections some are.
const DRAWS_MAX: usize = 64;

impl Listener {
    /// An id that is not in use.
    pub(super) fn fresh_id(&mut self) -> ConnectionId {
        let len = self.config.cid_len;
        let mut id = ConnectionId::random(&mut self.rng, len);
        for _ in 0..DRAWS_MAX {
            if !self.ids.contains_key(&id) {
                break;
            }
            id = ConnectionId::random(&mut self.rng, len);
        }
        id
    }

    pub(super) fn add(&mut self, entry: Entry) -> Handle {
        let handle = Handle(self.next);
        self.next += 1;
        self.ids.extend(entry.ids.iter().map(|id| (*id, handle)));
        self.initials.extend(entry.initial.map(|initial| (initial, handle)));
        self.unfinished += usize::from(entry.unfinished);
        self.entries.insert(handle, entry);
        handle
    }

    /// Gives a connection a further id.
    pub(super) fn issue(&mut self, handle: Handle) -> (ConnectionId, ResetToken) {
        let id = self.fresh_id();
        if let Some(entry) = self.entries.get_mut(&handle) {
            entry.ids.push(id);
            self.ids.insert(id, handle);
        }
        (id, self.reset_key.token(&id))
    }

    pub(super) fn forget_id(&mut self, handle: Handle, id: &ConnectionId) {
        if let Some(entry) = self.entries.get_mut(&handle) {
            entry.ids.retain(|own| own != id);
            self.ids.remove(id);
        }
    }

    pub(super) fn expect(&mut self, handle: Handle, token: &ResetToken) {
        let Some(entry) = self.entries.get_mut(&handle) else { return };
        self.tokens.insert(token.0, handle);
        entry.tokens.push_back(token.0);
        if entry.tokens.len() > TOKENS_MAX {
            entry.tokens.pop_front().map(|oldest| self.tokens.remove(&oldest));
        }
    }

    pub(super) fn forget(&mut self, handle: Handle) {
        self.on_finished(handle);
        if let Some(entry) = self.entries.remove(&handle) {
            entry.ids.iter().for_each(|id| {
                self.ids.remove(id);
            });
            entry.tokens.iter().for_each(|token| {
                self.tokens.remove(token);
            });
            entry.initial.map(|initial| self.initials.remove(&initial));
        }
    }
}
