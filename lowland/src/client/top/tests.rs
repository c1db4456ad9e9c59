//! Given these events, this is shown: as data, as text, and drawn (`golden.txt`, written anew with `LOWLAND_BLESS=1`).

use lowland_events::{
    Draft, Event, Money, Stored, Subject, Time,
    account::{Charged, HoldPlaced, ToppedUp},
    id::{AccountId, InstanceId, JobId, ModelId, RegionId, ServiceId, WorkerId},
    instance::{Ability, Ready},
    job::{Failed, Problem, ProblemCode},
    log::Record,
    meter::{Rates, Usage},
    metric::Sampled,
};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{
    Model, View,
    draw::{Looks, Tab, draw},
    figures::tests::sampled,
    view::Health,
};

const SECOND: i64 = 1_000_000;
/// 2026-11-25T16:20:00Z.
const NOW: Time = Time(1_795_623_600 * SECOND);

fn before(seconds: i64) -> Time {
    Time(NOW.0 - seconds * SECOND)
}

fn stored(subject: Subject, event: impl Into<Event>, at: Time) -> Stored {
    let cause = format!("{subject} {}", at.0);
    let entry = Draft::new(subject, event, &cause, "test/1", at).entry();
    let record = Record {
        stream: "LOG".into(),
        sequence: 1,
        subject: entry.subject,
        headers: entry.headers,
        payload: entry.payload,
        stored_at: at,
    };
    Stored::try_from(&record).unwrap()
}

fn sample(instance: &str, sampled: Sampled, at: Time) -> Stored {
    let subject =
        Subject::metric(&ServiceId::new("worker").unwrap(), &InstanceId::new(instance).unwrap(), "sampled");
    stored(subject, sampled, at)
}

fn acme() -> AccountId {
    AccountId::new("acme").unwrap()
}

fn job() -> JobId {
    JobId::new("j1").unwrap()
}

fn account(event: impl Into<Event>) -> Stored {
    let event = event.into();
    stored(Subject::account(&acme(), event.name()), event, before(30))
}

fn money() -> [Stored; 3] {
    let (job, model, postings) = (job(), ModelId::new("m").unwrap(), Vec::new());
    let (price_version, bounds) = ("v".to_owned(), Usage::default());
    [
        account(ToppedUp {
            topup: job.clone(),
            amount: Money(5_000_000),
            reference: None,
            postings: postings.clone(),
        }),
        account(HoldPlaced {
            job: job.clone(),
            model: model.clone(),
            amount: Money(900_000),
            price_version: price_version.clone(),
            rates: Rates::default(),
            bounds,
            postings: postings.clone(),
        }),
        account(Charged {
            job,
            model,
            amount: Money(400_000),
            lines: Vec::new(),
            price_version,
            outcome: "failed".into(),
            waived: Money::ZERO,
            released: Some(Money(500_000)),
            postings,
        }),
    ]
}

fn ready() -> Stored {
    let (model, instance) = (ModelId::new("m").unwrap(), InstanceId::new("i1").unwrap());
    let ready = Ready {
        worker: WorkerId::new("w1").unwrap(),
        process: InstanceId::new("p1").unwrap(),
        region: RegionId::new("eu").unwrap(),
        ability: Ability::Generate,
        slots: 4,
        context_tokens: 512,
        ask: Money(1),
        provider: "cpu".into(),
    };
    stored(Subject::instance(&model, &instance, "ready"), ready, before(40))
}

fn failed() -> Stored {
    let problem = Problem { code: ProblemCode::RetriesExhausted, message: "given up".into(), field: None };
    let failed = Failed { problem, attempts: 4, usage: Usage::default() };
    stored(Subject::job(&acme(), &job(), "failed"), failed, before(3))
}

/// Two workers, of which one fell silent; one job that failed; some money.
fn model() -> Model {
    let mut model = Model::default();
    model.take(&ready());
    money().iter().for_each(|event| model.take(event));
    model.take(&sample("p1", sampled(10_000, 100, &[5_000]), before(6)));
    model.take(&sample("p1", sampled(14_000, 140, &[5_000, 40_000, 41_000]), before(2)));
    model.take(&sample("p1", Sampled { uptime_ms: 14_500, ..Sampled::default() }, before(1)));
    model.take(&sample("p2", sampled(9_000, 7, &[1_000_000]), before(20)));
    model.take(&failed());
    model
}

fn view() -> View {
    model().view(NOW)
}

#[test]
fn samples_become_rates_and_times_and_a_sign_of_life_keeps_them() {
    let view = view();
    let [p1, p2] = view.processes.as_slice() else { panic!("{:?}", view.processes) };
    assert_eq!((p1.health, p1.heard_ms_ago, p1.uptime_ms), (Health::Ready, 1000, 15_500));
    assert_eq!(p2.health, Health::Silent);
    assert!((view.totals.tokens_a_second - 4.0).abs() < 1e-9, "40 tokens in the last ten seconds: {view:?}");
    let first = view.totals.latency.first_token.unwrap();
    assert_eq!(first.count, 3, "what fell silent no longer counts");
    assert!((39.9..40.1).contains(&first.p50_ms) && (40.9..41.1).contains(&first.p99_ms), "{first:?}");
    assert_eq!((view.models[0].running, view.models[0].slots, view.models[0].tokens), (2, 4, 140));
}

#[test]
fn what_is_older_than_what_is_known_changes_nothing() {
    let mut model = model();
    model.take(&sample("p1", sampled(12_000, 120, &[]), NOW));
    assert_eq!(model.view(NOW), view());
}

#[test]
fn money_adds_up() {
    let row = &view().accounts[0];
    assert_eq!((row.spent, row.set_aside, row.available), (Money(400_000), Money::ZERO, Money(4_600_000)));
    assert_eq!(row.charges, 1);
}

#[test]
fn a_process_that_is_gone_is_no_longer_shown() {
    assert!(model().view(Time(NOW.0 + 3600 * SECOND)).processes.is_empty());
}

fn drawn(width: u16, height: u16, looks: &Looks) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, &view(), looks)).unwrap();
    lines(terminal.backend().buffer())
}

fn lines(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(buffer.area.width.into());
    let rows = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>());
    rows.map(|row| row.trim_end().to_owned() + "\n").collect()
}

fn pressed(keys: &[KeyCode]) -> Looks {
    let mut looks = Looks::default();
    keys.iter().for_each(|key| looks.key(KeyEvent::new(*key, KeyModifiers::NONE)));
    looks
}

#[test]
fn it_looks_as_it_did() {
    let tabs =
        [vec![], vec![KeyCode::Tab], vec![KeyCode::Char('3')], vec![KeyCode::Left], vec![KeyCode::Char('?')]];
    let mut all: String =
        tabs.iter().map(|keys| format!("--- {keys:?}\n{}", drawn(80, 24, &pressed(keys)))).collect();
    all += &format!("--- as text\n{}\n", view().to_text());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/top/golden.txt");
    if std::env::var_os("LOWLAND_BLESS").is_some() {
        std::fs::write(path, &all).unwrap();
    }
    assert_eq!(all, std::fs::read_to_string(path).unwrap_or_default());
}

#[test]
fn no_size_of_terminal_is_too_small_to_draw_in() {
    for (width, height) in [(1, 1), (10, 3), (79, 7), (300, 100)] {
        for tab in ['1', '2', '3', '4'] {
            drawn(width, height, &pressed(&[KeyCode::Char(tab), KeyCode::PageDown]));
        }
    }
}

#[test]
fn keys_do_what_they_say() {
    assert!(pressed(&[KeyCode::Char('q')]).done && pressed(&[KeyCode::Esc]).done);
    let mut looks = pressed(&[KeyCode::Char('?'), KeyCode::Esc]);
    assert!(!looks.done && !looks.help, "the first Esc only closes the help");
    looks.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert!(looks.done);
    assert_eq!(pressed(&[KeyCode::Tab, KeyCode::Right, KeyCode::BackTab]).tab, Tab::Processes);
    assert_eq!(pressed(&[KeyCode::Left]).tab, Tab::Events);
    let sorted = pressed(&[KeyCode::Char('s'), KeyCode::Char('s'), KeyCode::Char('r'), KeyCode::Char(' ')]);
    assert_eq!((sorted.sort, sorted.reversed, sorted.paused), (2, true, true));
    assert_eq!(pressed(&[KeyCode::Char('s'); 8]).sort, 0, "after the last column comes the first");
}
