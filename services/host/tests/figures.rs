//! Figures from the handle to whoever reads them: merged samples, the sampler on a log, the health port.

use std::time::Duration;

use lowland_events::{
    Domain, Event, Filter, Stored,
    id::InstanceId,
    log::{SharedLog, Start, memory::MemoryLog},
    metric::{self, Sampled},
    stream,
};
use lowland_host::{
    Figures, Host,
    figures::{
        Description, SERIES_MAX, Totals,
        description::{LOG_SECONDS, TOKENS},
        encoding,
        totals::{INSTANCES_MAX, Latest},
    },
    health,
    sampler::{self, FIGURES_MS, UNDER_WAY_MAX},
};
use proptest::prelude::*;

static COUNT: Description = Description::counter("count_total", &["kind"], "A count.");
static LEVEL: Description = Description::gauge("level", &[], "A level.");
static TIMES: Description = Description::histogram("times_seconds", LOG_SECONDS, &["kind"], "Times.");
static SIZES: Description = Description::histogram("sizes", TOKENS, &[], "Sizes.");

fn id(name: &str) -> InstanceId {
    InstanceId::new(name).unwrap()
}

/// The golden sample's bytes were made by PyPI's `hdrhistogram`.
#[test]
fn what_other_libraries_encode_is_read_and_adds_up_with_ours() {
    let golden = include_bytes!("../../../schemas/golden/metric.sampled.v1.labelled.msgpack");
    let event = Event::decode(Domain::Metric, "sampled", 1, &golden.to_vec().into()).unwrap();
    let Event::Metric(metric::Event::Sampled(theirs)) = event else { panic!("{event:?}") };
    let mut totals = Totals::default();
    totals.add(&theirs).unwrap();
    let (series, cells) = totals.histograms.pop_first().unwrap();
    let values: Vec<_> = cells
        .iter_recorded()
        .map(|cell| (cells.lowest_equivalent(cell.value_iterated_to()), cell.count_at_value()))
        .collect();
    assert_eq!(values, [(1500, 2), (2500, 1), (40_000, 1), (1_200_000 / 1024 * 1024, 1)]);
    let own = Figures::default();
    own.histogram(&TIMES, &["a"]).record(1500);
    totals.add(&theirs).unwrap();
    let renamed = own.sample(0).histograms.into_values().map(|bytes| (series.clone(), bytes)).collect();
    totals.add(&Sampled { histograms: renamed, ..Sampled::default() }).unwrap();
    assert_eq!(totals.histograms[&series].count_at(1500), 3);
    assert_eq!(totals.histograms[&series].len(), 6);
}

/// What some process records.
#[derive(Debug, Clone)]
struct Recorded {
    instance: u8,
    value: u64,
    times: u64,
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let value = prop_oneof![0_u64..5000, 0_u64..100_000_000, Just(u64::MAX)];
    (0_u8..4, value, 1_u64..4).prop_map(|(instance, value, times)| Recorded { instance, value, times })
}

fn record(figures: &Figures, what: &Recorded) {
    figures.counter(&COUNT, &["a"]).add(what.times);
    figures.histogram(&TIMES, &["a"]).record_n(what.value, what.times);
    figures.histogram(&SIZES, &[]).record_n(what.value, what.times);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However often each process is sampled, and in whatever order samples arrive: the latest of each, added up, is
    /// what one process would have that had recorded everything.
    #[test]
    fn merged_samples_are_one_histogram_of_all_values(
        all in prop::collection::vec((recorded(), any::<bool>()), 0..200),
        late in any::<bool>(),
    ) {
        let one = Figures::default();
        let each: Vec<Figures> = (0..4).map(|_| Figures::default()).collect();
        let mut arrived = Vec::new();
        for (number, (what, sampled)) in all.iter().enumerate() {
            record(&one, what);
            let own = &each[usize::from(what.instance)];
            record(own, what);
            if *sampled {
                arrived.push((what.instance, own.sample(number as u64)));
            }
        }
        arrived.extend((0_u8..).zip(&each).map(|(n, own)| (n, own.sample(1000))));
        if late {
            arrived.reverse();
        }
        let mut latest = Latest::default();
        for (instance, sample) in arrived {
            latest.take(&id(&format!("i{instance}")), sample);
            latest.take(&id(&format!("i{instance}")), Sampled { uptime_ms: 2000, ..Sampled::default() });
        }
        let mut whole = Totals::default();
        whole.add(&one.sample(0)).unwrap();
        prop_assert_eq!(latest.totals().unwrap(), whole);
    }
}

#[test]
fn instances_are_bounded_and_the_longest_silent_goes_first() {
    let mut latest = Latest::default();
    for n in 0..=INSTANCES_MAX {
        latest.take(&id("a"), Sampled::default());
        latest.take(&id(&format!("i{n}")), Sampled::default());
    }
    let kept: Vec<_> = latest.samples().map(|(instance, _)| instance.to_string()).collect();
    assert_eq!(kept.len(), INSTANCES_MAX);
    assert!(kept.contains(&"a".to_owned()) && !kept.contains(&"i0".to_owned()));
}

/// The samples that a log holds of a host, oldest first.
async fn samples(log: &SharedLog, host: &Host) -> Vec<Sampled> {
    let ours = Filter::aggregate(Domain::Metric, host.service.as_str(), host.instance.as_str());
    let records = log.read(stream::METRICS, &[ours], 0, 1000).await.unwrap();
    let sampled = |record| match Stored::try_from(record).unwrap().event {
        Event::Metric(metric::Event::Sampled(sampled)) => sampled,
        other => panic!("{other:?} among samples"),
    };
    records.iter().map(sampled).collect()
}

fn over_memory() -> (MemoryLog, SharedLog, Host) {
    let memory = MemoryLog::default();
    let log: SharedLog = std::sync::Arc::new(memory.clone());
    (memory, log.clone(), Host::over(log, "billing"))
}

#[tokio::test(start_paused = true)]
async fn figures_go_with_every_fourth_sign_of_life() {
    let (_memory, log, host) = over_memory();
    log.ensure(&stream::metrics()).await.unwrap();
    host.figures.counter(&COUNT, &["a"]).add(7);
    let _sampling = sampler::Sampling::of(sampler::beat(host.clone(), 500, |_| {}));
    tokio::time::sleep(Duration::from_millis(2 * FIGURES_MS + 100)).await;
    let samples = samples(&log, &host).await;
    let bare: Vec<bool> = samples.iter().map(Sampled::is_bare).collect();
    assert_eq!(bare, [false, true, true, true, false, true, true, true, false]);
    assert_eq!(samples[8].counters[r#"count_total{kind="a"}"#], 7);
    assert_eq!(samples[0].counters, samples[8].counters, "sampling itself changes no figure");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_went_is_made_again_and_what_was_lost_is_counted() {
    let (memory, log, host) = over_memory();
    let _sampling = sampler::Sampling::of(sampler::sample(host.clone()));
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(FIGURES_MS + 100)).await;
        assert!(!samples(&log, &host).await.is_empty());
        memory.restart();
        tokio::time::sleep(Duration::from_millis(FIGURES_MS)).await;
    }
    assert!(host.figures.sample(0).counters[r#"lowland_samples_lost_total{why="failed"}"#] >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_does_not_answer_holds_nothing_up() {
    let (_memory, _log, host) = over_memory();
    let slow = Host::over(std::sync::Arc::new(slow::Slow(host.log.clone())), "billing");
    let _sampling = sampler::Sampling::of(sampler::sample(slow.clone()));
    tokio::time::sleep(Duration::from_millis(10 * FIGURES_MS + 100)).await;
    let lost = slow.figures.sample(0).counters[r#"lowland_samples_lost_total{why="busy"}"#];
    assert_eq!(lost, 11 - UNDER_WAY_MAX as u64);
}

#[tokio::test]
async fn appends_are_counted_by_what_became_of_them() {
    let (_memory, _log, host) = over_memory();
    let subject = "lowland.job.a.j.submitted".parse().unwrap();
    let event = lowland_events::instance::Stopped { reason: "r".into() };
    let draft = lowland_events::Draft::new(subject, event, "c", "test/1", host.clock.now());
    assert!(host.log.append(draft.entry()).await.is_err());
    host.log.ensure(&stream::log()).await.unwrap();
    for _ in 0..2 {
        host.log.append(draft.entry()).await.unwrap();
    }
    let counters = host.figures.sample(0).counters;
    for (outcome, count) in [("no_stream", 1), ("stored", 1), ("repeated", 1), ("conflict", 0)] {
        let series = format!("lowland_log_appends_total{{outcome={outcome:?}}}");
        assert_eq!(counters[&series], count, "{outcome}");
    }
    let times = &host.figures.sample(0).histograms["lowland_log_append_seconds"];
    assert_eq!(encoding::decode(times).unwrap().len(), 3);
}

#[tokio::test]
async fn the_health_port_answers_all_of_its_questions() {
    let (_memory, _log, host) = over_memory();
    host.figures.counter(&COUNT, &["a"]).add(2);
    host.figures.gauge(&LEVEL, &[]).set(3);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = health::routes(host.health.clone(), host.inspection.clone(), host.figures.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let ask = async |path: &str, accept: &str| {
        let asked = reqwest::Client::new().get(format!("http://{address}{path}")).header("accept", accept);
        let answer = asked.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    };
    assert_eq!(ask("/healthz", "*/*").await.0, 200);
    assert_eq!(ask("/readyz", "*/*").await.0, 503);
    host.health.ready();
    assert_eq!(ask("/readyz", "*/*").await.0, 200);
    let (status, kind, text) = ask("/metrics", "*/*").await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.contains("count_total{kind=\"a\"} 2\n") && text.contains("\nlevel 3\n"), "{text}");
    let (_, kind, text) = ask("/metrics", "application/openmetrics-text").await;
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0") && text.ends_with("# EOF\n"));
}

#[test]
fn a_label_from_outside_cannot_fill_the_memory() {
    let figures = Figures::default();
    for n in 0..10 * SERIES_MAX {
        figures.counter(&COUNT, &[&n.to_string()]).add(1);
    }
    let counters = figures.sample(0).counters;
    assert_eq!(counters.len(), SERIES_MAX + 2);
    let all: u64 = counters.iter().filter(|(key, _)| key.starts_with("count_total")).map(|(_, n)| n).sum();
    assert_eq!(all, 10 * SERIES_MAX as u64, "nothing is lost");
}

/// A log whose appends never end.
mod slow {
    use async_trait::async_trait;
    use lowland_events::{
        Filter,
        log::{
            AppendError, Appended, Consume, ConsumeSettings, Entry, Error, Extent, Follow, Log, Record,
            SharedLog,
        },
        stream::StreamSpec,
    };

    pub(super) struct Slow(pub(super) SharedLog);

    #[async_trait]
    impl Log for Slow {
        async fn ensure(&self, spec: &StreamSpec) -> Result<(), Error> {
            self.0.ensure(spec).await
        }
        async fn append(&self, _: Entry) -> Result<Appended, AppendError> {
            std::future::pending().await
        }
        async fn append_batch(&self, _: Vec<Entry>) -> Result<Appended, AppendError> {
            std::future::pending().await
        }
        async fn last(&self, stream: &str, filter: &Filter) -> Result<Option<Record>, Error> {
            self.0.last(stream, filter).await
        }
        async fn read(&self, s: &str, f: &[Filter], from: u64, most: usize) -> Result<Vec<Record>, Error> {
            self.0.read(s, f, from, most).await
        }
        async fn extent(&self, stream: &str) -> Result<Extent, Error> {
            self.0.extent(stream).await
        }
        async fn purge(&self, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error> {
            self.0.purge(stream, filter, below).await
        }
        async fn follow(&self, s: &str, f: &[Filter], start: super::Start) -> Result<Box<dyn Follow>, Error> {
            self.0.follow(s, f, start).await
        }
        async fn consume(
            &self,
            stream: &str,
            durable: &str,
            filters: &[Filter],
            settings: ConsumeSettings,
        ) -> Result<Box<dyn Consume>, Error> {
            self.0.consume(stream, durable, filters, settings).await
        }
    }
}
