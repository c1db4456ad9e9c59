//! Client and server come to the same secrets in every pattern, and to none where a key differs.

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::proto::{ConnectionId, PathId, crypto::Suite};

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn source() -> ConnectionId {
    ConnectionId::new(&[5; 4]).unwrap()
}

fn hello() -> Hello {
    Hello { early_secret: Some([8; 32]), time_ms: Some(77), ..Hello::new(EARLY_LIMITS, Suite::ALL.to_vec()) }
}

fn server_keys(shared: bool) -> ServerKeys {
    let shared = shared.then_some(SharedKey([6; 32]));
    ServerKeys { own: StaticKey::generate(&mut rng(1)), shared, client_key_required: false }
}

fn all_clients() -> [(ClientKeys, bool); 5] {
    let (server, own) = (server_keys(false).own.public(), StaticKey::generate(&mut rng(2)));
    let pinned = ClientKeys::pinned(server);
    let shared = SharedKey([6; 32]);
    [
        (pinned.clone(), false),
        (pinned.clone().with_own(own.clone()), false),
        (ClientKeys::shared(shared.clone()), true),
        (pinned.clone().with_shared(shared.clone()), true),
        (pinned.with_own(own).with_shared(shared), true),
    ]
}

/// Whether two secrets are the same, by sealing with one and opening with the other.
fn same(one: &Secret, other: &Secret) -> bool {
    let mut packet = b"header content".to_vec();
    one.packet_key(Suite::Aes128Gcm).seal(PathId(0), 1, &mut packet, 0, 7);
    let (header, sealed) = packet.split_at(7);
    other.packet_key(Suite::Aes128Gcm).open(PathId(0), 1, header, sealed, &mut [0; 7]).is_ok()
}

#[test]
fn both_sides_come_to_the_same_secrets_in_every_pattern() {
    for (keys, shared) in all_clients() {
        let mut client = ClientHandshake::new(&keys, &source(), &hello(), rng(3)).unwrap();
        let pattern = client.pattern();
        let read =
            ServerHandshake::read(&server_keys(shared), pattern as u8, &source(), client.message(), rng(4));
        let read = read.map_err(|_| pattern).unwrap();
        assert_eq!(read.hello, hello());
        assert_eq!(read.client_key.is_some(), pattern.has_client_key());
        let answer = Hello { early_accepted: true, ..Hello::new(EARLY_LIMITS, vec![Suite::Aes256Gcm]) };
        let (message, server) = read.handshake.answer(&answer).unwrap();
        // What is not the answer does no harm to the one that comes after it.
        assert!(client.read(&message[1..]).is_err());
        let mut forged = message.clone();
        forged[40] ^= 1;
        assert!(client.read(&forged).is_err());
        let (heard, secrets) = client.read(&message).unwrap();
        assert_eq!(heard, answer);
        assert!(same(&secrets.client, &server.client) && same(&secrets.server, &server.server));
        assert!(!same(&secrets.client, &secrets.server));
    }
}

#[test]
fn another_key_pattern_or_id_opens_nothing() {
    let keys = server_keys(false);
    let client =
        ClientHandshake::new(&ClientKeys::pinned(keys.own.public()), &source(), &hello(), rng(3)).unwrap();
    let read = |keys: &ServerKeys, pattern: u8, id: &ConnectionId| {
        ServerHandshake::read(keys, pattern, id, client.message(), rng(4)).is_ok()
    };
    assert!(read(&keys, 0, &source()));
    assert!(!read(&keys, 1, &source()));
    assert!(!read(&keys, 9, &source()));
    assert!(!read(&keys, 0, &ConnectionId::new(&[5; 5]).unwrap()));
    assert!(!read(&ServerKeys { own: StaticKey::generate(&mut rng(9)), ..keys.clone() }, 0, &source()));
    assert!(!read(&ServerKeys { client_key_required: true, ..keys.clone() }, 0, &source()));
    assert!(!read(&server_keys(true), 0, &source()), "who has a shared key takes nobody without it");
}

#[test]
fn a_wrong_shared_key_ends_in_nothing() {
    for keys in [
        ClientKeys::shared(SharedKey([1; 32])),
        ClientKeys::pinned(server_keys(true).own.public()).with_shared(SharedKey([1; 32])),
    ] {
        let mut client = ClientHandshake::new(&keys, &source(), &hello(), rng(3)).unwrap();
        let read = ServerHandshake::read(
            &server_keys(true),
            client.pattern() as u8,
            &source(),
            client.message(),
            rng(4),
        );
        if let Ok(read) = read {
            let (message, _) = read.handshake.answer(&hello()).unwrap();
            assert!(client.read(&message).is_err());
        }
    }
}

proptest! {
    #[test]
    fn no_message_panics(message in prop::collection::vec(any::<u8>(), 0..300), pattern in 0..6_u8) {
        let keys = server_keys(matches!(pattern, 2..=4));
        prop_assert!(ServerHandshake::read(&keys, pattern, &source(), &message, rng(4)).is_err());
        let keys = ClientKeys::pinned(keys.own.public());
        prop_assert!(ClientHandshake::new(&keys, &source(), &hello(), rng(3)).unwrap().read(&message).is_err());
    }
}
