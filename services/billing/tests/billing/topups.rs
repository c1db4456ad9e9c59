//! Given top-ups that are asked for: each id counts once, and what cannot count is told so.

use lowland_billing::decide::{Facts, Fate, Request, fate};
use lowland_events::{
    Domain, EventId, Money, Subject,
    envelope::Headers,
    job::ProblemCode,
    log::Entry,
    request::{Rejected, TopupPosted},
    stream,
};
use lowland_host::commit;

use crate::world::{World, account, job, run};

/// Posts `body` as a plain client would, and gives what became of it.
async fn post_raw(world: &World, id: &str, body: &[u8]) -> Fate {
    let billing = world.settle().await;
    let entry = Entry {
        subject: Subject::request(&account("acme"), &job(id), "topup_posted").to_string(),
        id: EventId::derived(id, &format!("{body:?}"), 0),
        headers: Headers::default(),
        payload: body.to_vec().into(),
        expect: None,
    };
    let stored = world.log.append(entry).await.unwrap();
    let record = world.log.read(stream::REQUESTS, &[], stored.sequence, 1).await.unwrap().remove(0);
    fate(billing.state(), &Request::read(&record).unwrap())
}

fn rejected(fate: Fate) -> (ProblemCode, Option<String>, String) {
    match fate {
        Fate::Reject(problem) => (problem.code, problem.field, problem.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_id_counts_once_and_says_where_it_came_from() {
    run(async {
        let mut world = World::new().await;
        world.topup("acme", "t1", 500).await;
        let first = world.requests[0].clone();
        world.requests.push(first.clone());
        let billing = world.settle().await;
        assert_eq!(world.money("acme").await, (500, 0));
        assert_eq!(fate(billing.state(), &first), Fate::Counted, "delivered again after a crash");
        assert_eq!(world.chain(Domain::Account, "acme", "acme").await, ["topped_up"]);
        assert_eq!(world.stored().await[0].meta.causation.unwrap().to_string(), first.cause.id);
    });
}

#[test]
fn another_request_with_the_same_id_is_refused_even_if_both_wait() {
    run(async {
        let mut world = World::new().await;
        let post = |amount| TopupPosted { amount: Money(amount), reference: None };
        for (cause, amount) in [("one", 500), ("two", 700)] {
            let subject = Subject::request(&account("acme"), &job("t1"), "topup_posted");
            let draft = lowland_events::Draft::new(subject, post(amount), cause, "operator", world.now());
            world.post(draft).await;
        }
        let billing = world.settle().await;
        assert_eq!(world.money("acme").await, (500, 0));
        assert_eq!(rejected(fate(billing.state(), &world.requests[1])).0, ProblemCode::IdUsed);
    });
}

#[test]
fn amounts_that_cannot_be_are_refused_with_what_could() {
    run(async {
        let world = World::new().await;
        for (id, body) in [
            ("a", r#"{"amount":"0"}"#),
            ("b", r#"{"amount":"-5"}"#),
            ("c", r#"{"amount":"170141183460469231731687303715884105727"}"#),
            ("d", r#"{"amount":5}"#),
            ("e", r#"{"amount":"five"}"#),
        ] {
            let (code, field, message) = rejected(post_raw(&world, id, body.as_bytes()).await);
            assert_eq!((code, field.as_deref()), (ProblemCode::InvalidRequest, Some("amount")), "{message}");
        }
        for (id, body) in [("f", b"".as_slice()), ("g", b"\xff\x01noise"), ("h", b"{}"), ("i", b"[1,2]")] {
            assert_eq!(rejected(post_raw(&world, id, body).await).0, ProblemCode::InvalidRequest);
        }
        assert!(matches!(post_raw(&world, "good", br#"{"amount":"5"}"#).await, Fate::Enter));
    });
}

#[test]
fn the_rejection_is_the_same_event_however_often_it_is_made() {
    run(async {
        let mut world = World::new().await;
        world.topup("acme", "t1", 500).await;
        world.settle().await;
        let request = world.requests[0].clone();
        let facts = Facts { book: &world.book, topups: &[], source: "billing/test", now: world.now() };
        let problem =
            lowland_events::job::Problem { code: ProblemCode::IdUsed, message: "used".into(), field: None };
        for _ in 0..2 {
            commit(&world.log, &[request.rejection(problem.clone(), &facts)]).await.unwrap();
        }
        let filter = lowland_events::Filter::event(Domain::Request, "rejected");
        let answers = world.log.read(stream::REQUESTS, &[filter], 1, 10).await.unwrap();
        assert_eq!(answers.len(), 1);
        let body: Rejected = lowland_events::codec::from_body(&answers[0].payload).unwrap();
        assert_eq!((body.problem, body.request_sequence), (problem, request.sequence));
    });
}
