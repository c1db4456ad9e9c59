//! What becomes of requests.

use super::*;

#[test]
fn a_request_becomes_a_job_once() {
    let mut given = Given::a_worker().posted(1, "a/j", posted());
    assert_eq!(given.settle(), ["job.a.j.submitted"]);
    assert_eq!(given.requests, []);
    let mut again = given.posted(1, "a/j", posted());
    assert_eq!(again.settle(), NOTHING, "a redelivery");
    assert_eq!(again.requests, [], "is settled");
}

#[test]
fn the_job_hands_on_the_requests_trace_and_cause() {
    let given = Given::a_worker().posted(1, "a/j", posted());
    let round = given.round();
    let draft = round.decided[0].decision.drafts().next().unwrap();
    let trace = draft.meta.trace().expect("a trace context");
    assert_eq!(trace.trace(), EventId::of_record("REQUESTS", 101).bytes());
    assert_eq!(trace, given.requests[0].job_trace(given.config.sampling));
    assert_eq!(draft.meta.causation, Some(EventId::of_record("REQUESTS", 1)));
    assert_eq!(round.decided[0].decision.entries()[0].expect.as_ref().unwrap().last, 0);
}

#[test]
fn a_used_id_is_refused_whatever_became_of_its_job() {
    let open = Given::a_worker().submitted("a/j");
    let rejected = Problem { code: ProblemCode::UnknownModel, message: "no".into(), field: None };
    let ended = Given::a_worker().job("a/j", job::Rejected { problem: rejected });
    let mut forgotten = Given::a_worker();
    forgotten.facts.used.insert(key("a/j"), EventId::of_record("REQUESTS", 1));
    for given in [open, ended, forgotten] {
        let given = given.posted(2, "a/j", posted());
        assert_eq!(
            given.when(),
            [
                "request.a.j.rejected: IdUsed: id j names an earlier job of the account; use a new id for each job"
            ]
        );
    }
}

#[test]
fn the_same_id_of_another_account_is_another_job() {
    let given = Given::a_worker().submitted("a/j").posted(2, "b/j", posted());
    assert_eq!(given.when(), ["job.b.j.submitted"]);
}

#[test]
fn two_requests_of_one_id_at_once_are_one_job_and_one_refusal() {
    let mut given = Given::a_worker().posted(1, "a/j", posted()).posted(2, "a/j", posted());
    assert_eq!(given.settle(), ["job.a.j.submitted"]);
    assert!(given.when()[0].starts_with("request.a.j.rejected: IdUsed"));
}

#[test]
fn a_body_that_cannot_be_read_is_refused_in_words() {
    let error = BodyError::new("max_tokens", "invalid type: string \"x\", expected u32");
    let given = Given::a_worker().posted_badly(1, "a/j", error);
    assert_eq!(given.when(), ["job.a.j.rejected: InvalidRequest: invalid type: string \"x\", expected u32"]);
}

#[test]
fn waiting_jobs_are_bounded_by_account_also_within_a_round() {
    let mut given = Given::a_worker().submitted("a/1").posted(2, "a/2", posted()).posted(3, "a/3", posted());
    given.config.waiting_jobs_max = 2;
    let given = given.posted(4, "b/1", posted());
    assert_eq!(
        given.when(),
        [
            "job.a.2.submitted",
            "job.a.3.rejected: TooManyJobs: 2 jobs of the account wait already; at most 2 may, so post it again later, under a new id",
            "job.b.1.submitted"
        ]
    );
}

#[test]
fn waiting_text_is_bounded_by_account() {
    let each = 1 << 19;
    let most = WAITING_BYTES_MAX / each;
    let large = || Posted { prompt: Some("x".repeat(usize::try_from(each).unwrap())), ..posted() };
    let mut given = Given::a_worker();
    for n in 0..=most {
        given = given.posted(n, &format!("a/{n}"), large());
    }
    let decided = given.posted(most + 1, "b/1", large()).when();
    let refused: Vec<_> = decided.iter().filter(|line| line.contains("TooManyJobs")).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].starts_with(&format!("job.a.{most}.rejected")), "{refused:?}");
    let mut given = Given::a_worker();
    given = given.posted(1, "a/1", large());
    given.settle();
    assert_eq!(given.state.waiting(&key("a/1").account).bytes, each);
}

#[test]
fn a_round_is_bounded_and_the_next_goes_on() {
    let mut given = Given::a_worker();
    for n in 0..300 {
        given = given.posted(n, &format!("a/j{n}"), posted());
    }
    assert_eq!(given.round().decided.len(), ROUND_DECISIONS_MAX);
    assert_eq!(given.settle().len(), 300);
    assert_eq!(given.requests, []);
}
