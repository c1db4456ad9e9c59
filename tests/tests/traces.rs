//! Traces of real jobs through a whole system, as a real OTLP receiver in this process gets them: one trace a job, every
//! service in it, nothing orphaned; also when a worker is killed in mid-stream, and when there is no collector to speak of.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    thread::sleep,
    time::{Duration, Instant},
};

use lowland_events::{
    Domain, Event, Filter, Stored, Subject,
    id::{AccountId, JobId},
    job, stream,
};
use lowland_tests::{
    collector::{Collector, Seen, tree},
    system::{Setting, System},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A caller's own place in a trace.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CALLERS_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";
/// What must never be in a span: a prompt.
const PROMPT: &str = "a prompt that is nobody's business";
/// One price for every model.
const PRICES: &str = r#"
currency = "EUR"

[[version]]
id = "one"
effective = "2020-01-01T00:00:00Z"
[version.models."*"]
input_tokens = "1"
output_tokens = "2"
"#;
/// Longest time for a job to end.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// Longest wait for spans to be given up, in seconds.
const GIVEN_UP_WITHIN_S: u32 = 60;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn up(workers: u8, token_ms: u32, endpoint: &str) -> System {
    System::of(&Setting {
        workers,
        models: vec![format!("echo:parrot:{token_ms}")],
        env: vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT".into(), endpoint.into()),
            ("OTEL_EXPORTER_OTLP_HEADERS".into(), "api-key=hunter2".into()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT".into(), "500".into()),
            ("LOWLAND_LOG_JSON".into(), "true".into()),
            ("LOWLAND_LOG".into(), "info,lowland_scheduler=debug".into()),
        ],
        prices: Some(PRICES.into()),
        ..Setting::default()
    })
}

/// A chat by HTTP; gives the job, the answer, and what the response says of the trace.
async fn chat(system: &System, text: &str, traceparent: Option<&str>) -> (String, Value, String) {
    let body = json!({"model": "parrot", "messages": [{"role": "user", "content": text}]});
    let url = format!("{}/v1/chat/completions", system.said("gateway_url"));
    let request = reqwest::Client::new().post(url).bearer_auth(system.said("api_key")).json(&body);
    let request =
        traceparent.into_iter().fold(request, |request, value| request.header("traceparent", value));
    let response = request.send().await.expect("the gateway answers");
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    let (job, trace) = (header("x-lowland-job"), header("traceresponse"));
    (job, response.json().await.expect("JSON"), trace)
}

/// Posts a job by bare NATS.
async fn publish(system: &System, job: &str, traceparent: Option<&str>) {
    let (user, password) = (system.said("nats_user"), system.said("nats_password"));
    let options = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
    let client = options.connect(system.said("nats_url")).await.expect("a tenant may connect");
    let account = AccountId::new(user).expect("an account");
    let subject = Subject::request(&account, &JobId::new(job).expect("an id"), "posted").to_string();
    let body = json!({"model": "parrot", "prompt": PROMPT}).to_string();
    let mut headers = async_nats::HeaderMap::new();
    traceparent.into_iter().for_each(|value| headers.insert("traceparent", value));
    client.publish_with_headers(subject, headers, body.into()).await.expect("it is published");
    client.flush().await.expect("it is sent");
}

/// The job's events, once `enough` says that they are.
async fn chain(system: &System, job: &str, enough: impl Fn(&[Stored]) -> bool) -> Vec<Stored> {
    let log = system.log().await;
    let filter = Filter::aggregate(Domain::Job, system.said("nats_user"), job);
    let until = Instant::now() + ENDS_WITHIN;
    loop {
        let records =
            log.read(stream::LOG, std::slice::from_ref(&filter), 0, 100).await.expect("it can be read");
        let events: Vec<Stored> =
            records.iter().map(|record| Stored::try_from(record).expect("ours")).collect();
        if enough(&events) {
            return events;
        }
        assert!(Instant::now() < until, "{job} has come no further than {:?}", names(&events));
        sleep(Duration::from_millis(50));
    }
}

fn names(events: &[Stored]) -> Vec<&str> {
    events.iter().map(|event| event.event.name()).collect()
}

fn is_complete(events: &[Stored]) -> bool {
    names(events).contains(&"completed")
}

/// The one span of this name, or of a name that begins so.
fn one<'a>(spans: &'a [Seen], name: &str) -> &'a Seen {
    let found: Vec<&Seen> = spans.iter().filter(|span| span.name.starts_with(name)).collect();
    assert_eq!(found.len(), 1, "spans called {name}:\n{}", tree(spans));
    found[0]
}

fn has(spans: &[Seen], names: &[&str]) -> bool {
    names.iter().all(|name| spans.iter().any(|span| span.name.starts_with(name)))
}

/// Every span is a part of one that is there too, or of `outside`; ids are given once; nothing is told that is secret.
fn is_whole(spans: &[Seen], outside: &str) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "an id is given twice:\n{}", tree(spans));
    for span in spans {
        assert!(
            span.parent == outside || ids.contains(span.parent.as_str()),
            "{} is orphaned:\n{}",
            span.name,
            tree(spans)
        );
        assert!(span.start <= span.end, "{span:?}");
        let said = format!("{span:?}");
        assert!(!said.contains(PROMPT) && !said.contains("hunter2"), "{said}");
    }
    assert_eq!(spans.iter().filter(|span| span.parent == outside).count(), 1, "one top:\n{}", tree(spans));
}

/// `inner` is a part of `outer`, in its time too.
fn lies_within(inner: &Seen, outer: &Seen) {
    assert_eq!(inner.parent, outer.id, "{} in {}", inner.name, outer.name);
    assert!(outer.start <= inner.start && inner.end <= outer.end, "{inner:?} lies outside of {outer:?}");
}

/// The parts of a job that every job has, however it was posted; gives the job's own span.
fn holds(spans: &[Seen], account: &str, name: &str, operation: &str) -> Seen {
    let (job, attempt) = (one(spans, "job"), one(spans, operation));
    let (admit, hold, place) = (one(spans, "admit"), one(spans, "hold"), one(spans, "place"));
    for part in [admit, hold, place, attempt] {
        lies_within(part, job);
    }
    lies_within(one(spans, "prefill"), attempt);
    lies_within(one(spans, "decode"), attempt);
    let charge = one(spans, "charge");
    assert_eq!(charge.parent, job.id);
    for pair in [admit, hold, place, attempt, charge].windows(2) {
        assert!(pair[0].end <= pair[1].start, "one after the other:\n{}", tree(spans));
    }
    assert!(one(spans, "prefill").end <= one(spans, "decode").start);
    let tellers = [
        (job, "scheduler"),
        (admit, "scheduler"),
        (place, "scheduler"),
        (hold, "billing"),
        (charge, "billing"),
    ];
    for (span, service) in tellers.into_iter().chain([(attempt, "worker")]) {
        assert_eq!(span.service, format!("lowland-{service}"), "{}", span.name);
        assert!(span.instance.starts_with(service), "{}", span.instance);
        assert!(!span.failed, "{span:?}");
    }
    for (span, attribute, value) in [
        (job, "lowland.id.account", account),
        (job, "lowland.id.job", name),
        (job, "lowland.outcome", "completed"),
        (job, "lowland.attempts", "1"),
        (hold, "lowland.id.job", name),
        (admit, "messaging.system", "nats"),
        (attempt, "gen_ai.operation.name", operation),
        (attempt, "gen_ai.request.model", "parrot"),
        (attempt, "gen_ai.response.finish_reasons", "stop"),
        (attempt, "lowland.id.job", name),
        (attempt, "lowland.attempt", "1"),
        (attempt, "lowland.worker", "w1"),
        (charge, "lowland.outcome", "completed"),
    ] {
        assert_eq!(span.attribute(attribute), value, "{attribute} of {}", span.name);
    }
    let tokens: u64 = attempt.attribute("gen_ai.usage.output_tokens").parse().expect("a number");
    assert!(tokens > 0 && !charge.attribute("lowland.amount").is_empty());
    assert_eq!(attempt.links, std::slice::from_ref(&place.id), "the attempt says what led to it");
    job.clone()
}

const PARTS: [&str; 6] = ["job", "admit", "hold", "place", "decode", "charge"];

#[test]
fn a_job_is_one_trace_through_every_service() {
    let (collector, runtime) = (Collector::start(), runtime());
    let system = up(1, 5, &collector.endpoint());
    let account = system.said("nats_user").to_owned();

    let (job, answer, said) = runtime.block_on(chat(&system, PROMPT, Some(CALLER)));
    assert_eq!(answer["choices"][0]["message"]["content"], PROMPT);
    let spans = collector.trace(CALLERS_TRACE, |spans| has(spans, &PARTS) && has(spans, &["POST", "send"]));
    is_whole(&spans, CALLERS_SPAN);
    let request = one(&spans, "POST /v1/chat/completions");
    assert_eq!((request.kind, request.service.as_str()), (2, "lowland-gateway"));
    assert_eq!(request.attribute("http.response.status_code"), "200");
    assert_eq!(
        (request.attribute("lowland.id.account"), request.attribute("lowland.id.job")),
        (&*account, &*job)
    );
    assert_eq!(
        said,
        format!("00-{CALLERS_TRACE}-{}-01", request.id),
        "the response names the request's span"
    );
    let send = one(&spans, "send");
    lies_within(send, request);
    let whole = holds(&spans, &account, &job, "chat");
    assert_eq!(whole.parent, send.id);
    assert!(request.start <= whole.start && whole.end <= request.end, "{}", tree(&spans));
    for event in runtime.block_on(chain(&system, &job, is_complete)) {
        assert_eq!(event.meta.trace().expect("a trace").trace_id(), CALLERS_TRACE, "{}", event.event.name());
    }

    by_bare_nats(&system, &collector, &runtime, &account);
    logs_name_the_trace(&system);
    system.down();
}

/// With a trace of its own, and without one.
fn by_bare_nats(system: &System, collector: &Collector, runtime: &Runtime, account: &str) {
    let (trace, span) = ("1af7651916cd43dd8448eb211c80319c", "17ad6b7169203331");
    let brought = format!("00-{trace}-{span}-01");
    runtime.block_on(publish(system, "bare-traced", Some(&brought)));
    let spans = collector.trace(trace, |spans| has(spans, &PARTS));
    is_whole(&spans, span);
    holds(&spans, account, "bare-traced", "text_completion");

    runtime.block_on(publish(system, "bare", None));
    let events = runtime.block_on(chain(system, "bare", is_complete));
    let request = events[0].meta.causation.expect("the request led to it");
    let trace = request.to_string().replace('-', "");
    let spans = collector.trace(&trace, |spans| has(spans, &PARTS));
    is_whole(&spans, "");
    let job = holds(&spans, account, "bare", "text_completion");
    assert_eq!(
        events[0].meta.trace().expect("a trace").trace_id(),
        job.trace,
        "its trace's id is its request's"
    );
    println!("{}", tree(&spans));
}

/// Lines about the job say whose it is and which trace, and no line says a prompt or a key.
fn logs_name_the_trace(system: &System) {
    let logs = system.command(&["logs", "-n", "1000"]);
    for secret in [PROMPT, "hunter2", system.said("api_key"), system.said("nats_password")] {
        assert!(!logs.contains(secret), "the logs say {secret:?}");
    }
    let scheduler = system.command(&["logs", "scheduler", "-n", "1000"]);
    let lines = scheduler.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let about: Vec<Value> = lines.filter(|line| line["trace_id"] == CALLERS_TRACE).collect();
    assert!(about.len() >= 2, "submitted and assigned, at least: {scheduler}");
    for line in about {
        assert!(line["job"].is_string() && line["account"].is_string(), "{line}");
        assert_eq!(line["service"], "scheduler");
        assert!(line["instance"].as_str().is_some_and(|name| name.starts_with("scheduler-")), "{line}");
    }
}

#[test]
fn a_killed_workers_attempt_is_told_beside_the_next() {
    let (collector, runtime) = (Collector::start(), runtime());
    let system = up(2, 50, &collector.endpoint());
    runtime.block_on(publish(&system, "struck", Some(CALLER)));
    let begun = runtime.block_on(chain(&system, "struck", |events| names(events).contains(&"started")));
    let worker = begun.iter().find_map(|event| match &event.event {
        Event::Job(job::Event::Assigned(assigned)) => Some(assigned.worker.to_string()),
        _ => None,
    });
    let pid = system.pids()[&format!("worker-{}", worker.expect("it is assigned"))];
    // SAFETY: a signal to a process of the system that this test started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    runtime.block_on(chain(&system, "struck", is_complete));

    let spans = collector.trace(CALLERS_TRACE, |spans| has(spans, &PARTS));
    println!("{}", tree(&spans));
    is_whole(&spans, CALLERS_SPAN);
    let attempts: Vec<&Seen> = spans.iter().filter(|span| span.name == "text_completion parrot").collect();
    let [first, second] = attempts[..] else { panic!("two attempts:\n{}", tree(&spans)) };
    let job = one(&spans, "job");
    for (attempt, number, teller) in [(first, "1", "lowland-scheduler"), (second, "2", "lowland-worker")] {
        lies_within(attempt, job);
        assert_eq!((attempt.attribute("lowland.attempt"), attempt.service.as_str()), (number, teller));
    }
    assert!(first.failed && first.attribute("error.type") == "worker_lost", "{first:?}");
    assert!(!second.failed && first.end <= second.start, "{}", tree(&spans));
    // The same worker may have it again, as a new process.
    assert_ne!(first.attribute("lowland.worker.instance"), second.attribute("lowland.worker.instance"));
    assert_eq!(spans.iter().filter(|span| span.name == "place").count(), 2, "{}", tree(&spans));
    assert_eq!(job.attribute("lowland.attempts"), "2");
    system.down();
}

#[test]
fn a_collector_that_never_answers_disturbs_nobody() {
    // Connections are accepted by the kernel, and nobody ever reads from them.
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let (system, runtime) = (up(1, 0, &endpoint), runtime());
    for _ in 0..20 {
        let (_, answer, _) = runtime.block_on(chat(&system, PROMPT, None));
        assert_eq!(answer["choices"][0]["message"]["content"], PROMPT);
    }
    let complaint = "the collector does not take spans";
    let complained = || system.command(&["logs", "scheduler", "-n", "1000"]).contains(complaint);
    let given_up = (0..GIVEN_UP_WITHIN_S).any(|_| {
        sleep(Duration::from_secs(1));
        complained()
    });
    assert!(given_up, "the batch is tried four times, and given up");
    for (name, url) in system.health() {
        let ready = runtime.block_on(async { reqwest::get(&url).await.expect("it answers").status() });
        assert_eq!(ready, 200, "{name}");
    }
    let logs = system.command(&["logs", "scheduler", "-n", "1000"]);
    assert_eq!(logs.matches(complaint).count(), 1, "said once a while: {logs}");
    system.down();
}
