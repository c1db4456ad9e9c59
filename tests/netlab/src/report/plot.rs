//! A plot as SVG: a panel for each task, a group of bars for each path, a bar for each contestant.

use std::fmt::Write;

use super::{Row, Section};

/// Pixels.
const BAR: f64 = 16.0;
const GAP: f64 = 18.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 44.0;
const HEIGHT: f64 = 180.0;
const BELOW: f64 = 46.0;
const KEY: f64 = 24.0;
const WIDTH_MIN: f64 = 560.0;

/// Bars' colours, told apart in grey as well (after Okabe and Ito).
const COLOURS: [&str; 8] =
    ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#7f7f7f", "#f0e442"];

/// Lines across a panel.
const STEPS: u32 = 4;

/// All sections in one picture.
pub fn plot(sections: &[Section]) -> String {
    let peers =
        in_order(sections.iter().flat_map(|section| section.rows.iter().map(|row| row.peer.as_str())));
    let jobs = in_order(sections.iter().map(|section| section.job.as_str()));
    let panels: Vec<Vec<&Section>> =
        jobs.iter().map(|job| sections.iter().filter(|section| section.job == *job).collect()).collect();
    let group = peers.len() as f64 * BAR + GAP;
    let most = panels.iter().map(Vec::len).max().unwrap_or_default() as f64;
    let width = (LEFT + most * group + GAP).max(WIDTH_MIN);
    let panel_height = TOP + HEIGHT + BELOW;
    let height = KEY + panels.len() as f64 * panel_height;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    key(&mut svg, &peers);
    for (number, panel) in panels.iter().enumerate() {
        let top = KEY + number as f64 * panel_height + TOP;
        draw(&mut svg, panel, &peers, top, width);
    }
    svg.push_str("</svg>\n");
    svg
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn key(svg: &mut String, peers: &[&str]) {
    let mut x = LEFT;
    for (number, peer) in peers.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        bar(svg, [x, 8.0, 10.0, 10.0], colour, peer);
        text(svg, x + 14.0, 17.0, "start", peer);
        x += 30.0 + 7.0 * peer.len() as f64;
    }
}

/// What a panel shows: the p99 of calls in times of their floor, or the share of capacity, or Mbit/s.
fn figure(row: &Row) -> Option<f64> {
    row.times_floor(|run| run.outcome.p99_ms)
        .or_else(|| row.median(|run| run.share))
        .or_else(|| row.median(|run| run.outcome.goodput_mbit))
}

fn title(panel: &[&Section]) -> String {
    let row = panel.iter().flat_map(|section| &section.rows).find(|row| figure(row).is_some());
    let Some((row, job)) = row.zip(panel.first().map(|section| &section.job)) else { return String::new() };
    if row.times_floor(|run| run.outcome.p99_ms).is_some() {
        format!("{job}: p99, in times of the floor (less is better)")
    } else if row.median(|run| run.share).is_some() {
        format!("{job}: goodput, as a share of the capacity (more is better)")
    } else {
        format!("{job}: goodput, Mbit/s (more is better)")
    }
}

fn draw(svg: &mut String, panel: &[&Section], peers: &[&str], top: f64, width: f64) {
    let figures = panel.iter().flat_map(|section| &section.rows).filter_map(figure);
    let most = nice(figures.fold(0.0, f64::max));
    text(svg, LEFT, top - 14.0, "start", &title(panel));
    for step in 0..=STEPS {
        let value = most * f64::from(step) / f64::from(STEPS);
        let y = top + HEIGHT * (1.0 - f64::from(step) / f64::from(STEPS));
        let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/>", width - GAP);
        text(svg, LEFT - 6.0, y + 4.0, "end", &short(value));
    }
    for (number, section) in panel.iter().enumerate() {
        let x = LEFT + GAP / 2.0 + number as f64 * (peers.len() as f64 * BAR + GAP);
        group(svg, section, peers, x, top, most);
    }
}

fn group(svg: &mut String, section: &Section, peers: &[&str], x: f64, top: f64, most: f64) {
    for row in &section.rows {
        let Some((place, value)) = peers.iter().position(|peer| *peer == row.peer).zip(figure(row)) else {
            continue;
        };
        let tall = HEIGHT * value / most;
        let at = x + place as f64 * BAR;
        let told = format!("{} on {}: {}", row.peer, section.path, short(value));
        bar(svg, [at, top + HEIGHT - tall, BAR - 2.0, tall], COLOURS[place % COLOURS.len()], &told);
    }
    text(svg, x + peers.len() as f64 * BAR / 2.0, top + HEIGHT + 16.0, "middle", &section.path);
}

fn bar(svg: &mut String, [x, y, width, height]: [f64; 4], colour: &str, told: &str) {
    let told = escaped(told);
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"><title>{told}</title></rect>"
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The next of 1, 2, 4, 6, 8 times a power of ten.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .iter()
        .map(|step| step * power)
        .find(|step| *step >= value)
        .unwrap_or(value)
}

fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{summarise, summary::tests::record};

    #[test]
    fn every_contestant_has_a_bar_and_names_are_escaped() {
        let records = [record("a<b", 200.0, false), record("c", 360.0, false)];
        let svg = plot(&summarise(&records));
        assert!(svg.contains("a&lt;b on lossy1: 1.11") && svg.contains("c on lossy1: 2.00"), "{svg}");
        assert!(!svg.contains("a<b") && svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn the_scale_ends_at_a_round_figure() {
        assert_eq!((nice(0.72), nice(2.1), nice(10.0), nice(0.0)), (0.8, 4.0, 10.0, 1.0));
    }
}
