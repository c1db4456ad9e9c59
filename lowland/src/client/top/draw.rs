//! The view in a terminal: what it looks like, and what keys do to it. No terminal is touched here.

use std::cmp::Ordering;

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Paragraph, Row, Sparkline, Table},
};

use super::{
    text::{ACCOUNTS, EVENTS, MODELS, PROCESSES},
    view::{AccountRow, Health, ModelRow, ProcessRow, View},
};

/// Height of a terminal from which on the latest events stand below every table.
const ROWS_FOR_EVENTS: u16 = 20;
/// Events that stand there.
const EVENTS_BELOW: u16 = 5;

/// Which table is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tab {
    /// Models.
    #[default]
    Models,
    /// Processes.
    Processes,
    /// Accounts.
    Accounts,
    /// Events.
    Events,
}

impl Tab {
    const ALL: [Self; 4] = [Self::Models, Self::Processes, Self::Accounts, Self::Events];

    fn title(self) -> &'static str {
        match self {
            Self::Models => "Models",
            Self::Processes => "Processes",
            Self::Accounts => "Accounts",
            Self::Events => "Events",
        }
    }

    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or_default();
        Self::ALL[(at + by) % Self::ALL.len()]
    }

    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Models => &MODELS,
            Self::Processes => &PROCESSES,
            Self::Accounts => &ACCOUNTS,
            Self::Events => &EVENTS,
        }
    }
}

/// What somebody chose to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks {
    /// The table.
    pub tab: Tab,
    /// Column that it is sorted by.
    pub sort: usize,
    /// Whether the order is turned round.
    pub reversed: bool,
    /// Rows that are scrolled past.
    pub scroll: usize,
    /// Whether the picture stands still.
    pub paused: bool,
    /// Whether the keys are explained.
    pub help: bool,
    /// Whether it is time to go.
    pub done: bool,
}

impl Looks {
    /// What a key does.
    pub fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => self.done = true,
            KeyCode::Char('q') => self.done = true,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Esc => self.done = true,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Tab | KeyCode::Right => self.turn_to(self.tab.step(1)),
            KeyCode::BackTab | KeyCode::Left => self.turn_to(self.tab.step(Tab::ALL.len() - 1)),
            KeyCode::Char(digit @ '1'..='4') => self.turn_to(Tab::ALL[digit as usize - '1' as usize]),
            KeyCode::Char('s') => self.sort = (self.sort + 1) % self.tab.columns().len(),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Down => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_add(10),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::Home => self.scroll = 0,
            _ => {}
        }
    }

    fn turn_to(&mut self, tab: Tab) {
        *self = Self { tab, paused: self.paused, ..Self::default() };
    }
}

/// Draws it all.
pub fn draw(frame: &mut Frame<'_>, view: &View, looks: &Looks) {
    let area = frame.area();
    let below = if area.height >= ROWS_FOR_EVENTS && looks.tab != Tab::Events { EVENTS_BELOW + 1 } else { 0 };
    let [head, sparks, times, tabs, table, events, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(below),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(head_line(view, looks), head);
    draw_sparks(frame, view, sparks);
    frame.render_widget(Line::from(view.totals.latency.line()).dim(), times);
    frame.render_widget(tab_line(looks), tabs);
    if looks.help {
        frame.render_widget(Paragraph::new(HELP), table);
    } else {
        draw_table(frame, view, looks, table);
    }
    if below > 0 {
        draw_events(frame, view, events);
    }
    let hint = "q quit   tab/arrows table   s sort  r reverse   up/down scroll   p pause  ? help";
    frame.render_widget(Line::from(hint).dim(), keys);
}

const HELP: &str = "\
q, Esc, Ctrl-C      quit
Tab, right, left    next or previous table; 1 to 4 go straight to one
s, r                sort by the next column; turn the order round
up, down, PgUp/Dn   scroll; Home goes back to the top
p, space            let the picture stand still
?, h                these lines

Rates are means of the last ten seconds. Times are median/99th percentile of all
processes together since they began: their histograms are added cell by cell.
FIRST: from a job's reaching its worker to its first token; NEXT: from one token
to the next; JOB: the whole of it.";

fn head_line(view: &View, looks: &Looks) -> Line<'static> {
    let time = view.at.split('T').nth(1).and_then(|time| time.get(..8)).unwrap_or_default();
    let mut spans = vec![
        Span::from("lowland ").bold(),
        Span::from(format!("{time} UTC   ")).dim(),
        Span::from(format!("running {}   waiting {}   ", view.totals.running, view.totals.waiting)),
        Span::from(format!("prompt tokens {:.0}/s", view.totals.prompt_tokens_a_second)),
    ];
    let silent = view.processes.iter().filter(|process| process.health < Health::Ready).count();
    if silent > 0 {
        spans.push(Span::from(format!("   {silent} not well")).red().bold());
    }
    if looks.paused {
        spans.push(Span::from("   PAUSED").yellow().bold());
    }
    Line::from(spans)
}

fn draw_sparks(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(2).areas(area);
    let totals = &view.totals;
    spark(frame, left, &format!("jobs {:.1}/s", totals.jobs_a_second), &totals.jobs, Color::Green);
    spark(frame, right, &format!("tokens {:.1}/s", totals.tokens_a_second), &totals.tokens, Color::Cyan);
}

fn spark(frame: &mut Frame<'_>, area: Rect, title: &str, history: &[f64], colour: Color) {
    let [head, bars] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    let peak = history.iter().copied().fold(0.0, f64::max);
    let peak = format!("   peak {peak:.0}/s in 60 s");
    frame.render_widget(Line::from(vec![Span::from(title.to_owned()).bold(), Span::from(peak).dim()]), head);
    // Sparklines take whole numbers: a hundredth of a token is fine enough.
    let shown = history.iter().rev().take(bars.width.into()).rev();
    let data: Vec<u64> = shown.map(|value| (value * 100.0).max(0.0).round() as u64).collect();
    frame.render_widget(Sparkline::default().data(data).style(Style::new().fg(colour)), bars);
}

fn tab_line(looks: &Looks) -> Line<'static> {
    let mut spans = Vec::new();
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        let title = format!(" {} {} ", index + 1, tab.title());
        spans.push(if tab == looks.tab { Span::from(title).reversed() } else { Span::from(title) });
    }
    if looks.tab != Tab::Events {
        let column = looks.tab.columns()[looks.sort];
        let order = if looks.reversed { ", reversed" } else { "" };
        spans.push(Span::from(format!("   by {column}{order}")).dim());
    }
    Line::from(spans)
}

fn draw_table(frame: &mut Frame<'_>, view: &View, looks: &Looks, area: Rect) {
    let (widths, rows): (&[Constraint], Vec<(Vec<String>, Style)>) = match looks.tab {
        Tab::Models => (&MODEL_WIDTHS, plain(view.models.iter().map(ModelRow::cells))),
        Tab::Processes => (&PROCESS_WIDTHS, view.processes.iter().map(process).collect()),
        Tab::Accounts => (&ACCOUNT_WIDTHS, plain(view.accounts.iter().map(AccountRow::cells))),
        Tab::Events => (&EVENT_WIDTHS, plain(view.event_cells().into_iter().rev())),
    };
    let mut rows = rows;
    if looks.tab != Tab::Events {
        rows.sort_by(|(a, _), (b, _)| by_cell(&a[looks.sort], &b[looks.sort]));
        if looks.reversed {
            rows.reverse();
        }
    }
    let room = usize::from(area.height.saturating_sub(1));
    let skipped = looks.scroll.min(rows.len().saturating_sub(room));
    let rows = rows.into_iter().skip(skipped).map(|(cells, style)| Row::new(cells).style(style));
    let head = Row::new(looks.tab.columns().iter().copied()).style(Style::new().bold());
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1), area);
}

const MODEL_WIDTHS: [Constraint; 8] = [
    Constraint::Min(20),
    Constraint::Length(5),
    Constraint::Length(3),
    Constraint::Length(4),
    Constraint::Length(7),
    Constraint::Length(11),
    Constraint::Length(11),
    Constraint::Length(11),
];
const PROCESS_WIDTHS: [Constraint; 7] = [
    Constraint::Length(9),
    Constraint::Min(16),
    Constraint::Length(9),
    Constraint::Length(7),
    Constraint::Length(10),
    Constraint::Length(4),
    Constraint::Length(8),
];
const ACCOUNT_WIDTHS: [Constraint; 5] = [
    Constraint::Min(12),
    Constraint::Length(16),
    Constraint::Length(14),
    Constraint::Length(16),
    Constraint::Length(9),
];
const EVENT_WIDTHS: [Constraint; 4] =
    [Constraint::Length(8), Constraint::Length(22), Constraint::Length(22), Constraint::Min(20)];

fn plain(rows: impl Iterator<Item = Vec<String>>) -> Vec<(Vec<String>, Style)> {
    rows.map(|cells| (cells, Style::new())).collect()
}

fn process(row: &ProcessRow) -> (Vec<String>, Style) {
    let style = match row.health {
        Health::Silent | Health::NotReady => Style::new().red(),
        Health::Ready | Health::Heard => Style::new(),
    };
    (row.cells(), style)
}

/// Numbers by size and the largest first, since that is what is looked for; other cells by their letters.
fn by_cell(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => b.total_cmp(&a),
        _ => a.cmp(b),
    }
}

fn draw_events(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let cells = view.event_cells();
    let latest = cells.into_iter().rev().take(EVENTS_BELOW.into()).map(Row::new);
    let head = Row::new(["AT", "LATEST", "ABOUT", "WHAT"]).style(Style::new().bold());
    frame.render_widget(Table::new(latest, EVENT_WIDTHS).header(head).column_spacing(1), area);
}
