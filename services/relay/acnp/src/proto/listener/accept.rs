//! From an Initial to a connection, or to the wish that its sender come again.

use std::sync::Arc;

use bytes::Bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::{Entry, Listener, Retry, Routed, UNFINISHED_MAX, UNFINISHED_RETRY};
use crate::proto::{
    ConnectionId, Meta, Time, Transmit,
    cid::FIRST_CID_LEN,
    connection::{Accepted, Connection},
    handshake::{RetryToken, ServerHandshake},
    packet::{DATAGRAM_LEN_MIN, Long, LongHeader, VERSION, long},
};

/// What a client's token has shown.
struct Address {
    validated: bool,
    retry: Option<RetryToken>,
}

impl Listener {
    pub(super) fn accept(
        &mut self,
        now: Time,
        meta: &Meta,
        datagram: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Routed {
        // ACNP-6
        if datagram.len() < DATAGRAM_LEN_MIN || self.unfinished >= UNFINISHED_MAX {
            return Routed::Dropped;
        }
        let Ok((header, Long::Initial { token, pattern, message }, _)) = long::read(datagram) else {
            return Routed::Dropped;
        };
        let now_ms = self.now_ms(now);
        let Some(server) = &self.server else { return Routed::Dropped };
        if header.destination.len() < FIRST_CID_LEN || self.entries.len() >= server.connections_max {
            return Routed::Dropped;
        }
        let retry = server.token_key.read_retry(meta.remote, now_ms, token);
        let validated = retry.is_some() || server.token_key.is_later(meta.remote.ip(), now_ms, token);
        let busy = server.retry == Retry::Always || self.unfinished >= UNFINISHED_RETRY;
        if !validated && busy {
            return self.retry(now_ms, meta, &header, out);
        }
        let address = Address { validated, retry };
        match self.establish(now, meta, &header, pattern, message, &address) {
            Some((entry, mut connection)) => {
                let handle = self.add(entry);
                connection.handle(now, meta, datagram);
                Routed::New(handle, Box::new(connection))
            }
            None => Routed::Dropped,
        }
    }

    fn establish(
        &mut self,
        now: Time,
        meta: &Meta,
        header: &LongHeader,
        pattern: u8,
        message: &[u8],
        address: &Address,
    ) -> Option<(Entry, Connection)> {
        let now_ms = self.now_ms(now);
        let handshake_rng = ChaCha20Rng::from_rng(&mut self.rng);
        let server = self.server.as_ref()?;
        let message =
            ServerHandshake::read(&server.keys, pattern, &header.source, message, handshake_rng).ok()?;
        // ACNP-23
        let early = server.early.is_some()
            && message
                .hello
                .time_ms
                .is_some_and(|time| self.replays.admit(now, now_ms, time, message.ephemeral));
        let later_token = Bytes::from(server.token_key.later(meta.remote.ip(), now_ms, &mut self.rng));
        let own_id = self.fresh_id();
        let first = address.retry.map_or(header.destination, |retry| retry.first_destination);
        let accepted = Accepted {
            message,
            from: *meta,
            client_id: header.source,
            own_id,
            reset_token: self.reset_key.token(&own_id),
            first_destination: first,
            retry_source: address.retry.map(|retry| retry.retry_source),
            validated: address.validated,
            early,
            later_token,
        };
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        let connection = Connection::accept(now, Arc::clone(&self.config), accepted, rng).ok()?;
        let initial = Some((header.destination, meta.remote));
        Some((Entry { ids: vec![own_id], initial, unfinished: true, ..Entry::default() }, connection))
    }

    /// Asks the client to come again with a token: then it receives at its address.
    fn retry(&mut self, now_ms: u64, meta: &Meta, header: &LongHeader, out: &mut Vec<u8>) -> Routed {
        let Some(server) = &self.server else { return Routed::Dropped };
        let source = ConnectionId::random(&mut self.rng, FIRST_CID_LEN);
        let token = RetryToken { first_destination: header.destination, retry_source: source };
        let token = server.token_key.retry(meta.remote, now_ms, &token, &mut self.rng);
        LongHeader { version: VERSION, destination: header.source, source }.write_retry(&token, out);
        Routed::Reply(Transmit { remote: meta.remote, local: meta.local, ecn: None, segment_size: None })
    }
}
