//! What was measured, for people.

use comfy_table::{CellAlignment, Table, presets};

use super::{
    latency::Percentiles,
    pipeline::{Added, Outcome, Report},
};

/// The pipeline's report as text.
#[must_use]
pub fn pipeline(report: &Report) -> String {
    let facts = &report.facts;
    let head = format!(
        "{}, {} cores, {}, {}; lowland {}, nats-server {}; load {:.1} before, {:.1} after\n\
         {} jobs a run, {} under way, {} accounts, prompts of {} characters; medians of {} runs\n",
        facts.processor,
        facts.cores,
        facts.kernel,
        facts.file_system,
        facts.lowland,
        facts.nats_server,
        facts.load_before,
        report.load_after,
        report.settings.jobs,
        report.settings.outstanding,
        report.settings.accounts,
        report.settings.prompt_chars,
        report.settings.repeats,
    );
    let parts = [throughput(&report.results), latencies(&report.results), processors(&report.results)];
    std::iter::once(head).chain(parts).collect::<Vec<_>>().join("\n")
}

fn throughput(results: &[Outcome]) -> String {
    let rows = results.iter().map(|of| {
        vec![
            of.sync.clone(),
            format!("{:.0}", of.jobs_a_second),
            format!("{:.0}", of.events_a_second),
            format!("{:.0}", of.bare_events_a_second),
            format!("{:.2}", of.ratio),
            format!("{:.1}", of.events_a_job),
            of.message_bytes.to_string(),
        ]
    });
    table(&["sync", "jobs/s", "events/s", "bare events/s", "ratio", "events/job", "bytes/event"], rows)
}

fn latencies(results: &[Outcome]) -> String {
    let rows = results.iter().flat_map(|of| {
        let mut rows = vec![
            row(&of.sync, "under load, first token", of.loaded_first_token, None),
            row(&of.sync, "under load, charged", of.loaded_charged, None),
        ];
        if let Some(idle) = &of.idle {
            rows.push(row(&of.sync, "idle, engine alone", idle.direct, None));
            rows.push(row(&of.sync, "idle, by the bus", idle.bus, Some(idle.added_by_bus)));
            rows.push(row(&of.sync, "idle, by HTTP", idle.http, Some(idle.added_by_http)));
        }
        rows
    });
    table(&["sync", "ms", "p50", "p90", "p99", "p99.9", "added p50", "added p99"], rows)
}

fn row(sync: &str, what: &str, times: Percentiles, added: Option<Added>) -> Vec<String> {
    let ms = |value: f64| format!("{value:.2}");
    let said = |value: Option<f64>| value.map(ms).unwrap_or_default();
    vec![
        sync.to_owned(),
        what.to_owned(),
        ms(times.p50_ms),
        ms(times.p90_ms),
        ms(times.p99_ms),
        ms(times.p999_ms),
        said(added.map(|added| added.p50_ms)),
        said(added.map(|added| added.p99_ms)),
    ]
}

fn processors(results: &[Outcome]) -> String {
    let rows = results.iter().map(|of| {
        let seconds =
            of.cpu_seconds.iter().map(|(name, seconds)| format!("{name} {seconds:.1}")).collect::<Vec<_>>();
        let mib = of.stored_bytes >> 20;
        vec![of.sync.clone(), seconds.join(", "), format!("{mib} MiB")]
    });
    table(&["sync", "processor seconds", "on disk"], rows)
}

/// Figures to the right, words to the left.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n", table.trim_fmt())
}
