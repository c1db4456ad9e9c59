//! `docs/metrics.md` and the code agree: the page's tables are what the services describe, its script is the tested one.
//!
//! `LOWLAND_BLESS=1 cargo test -p lowland --test metrics_page` writes the tables and the script into the page.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use lowland_host::figures::{Description, Kind, Unit, own};

/// The page's sections, each with the metrics that it lists.
const SECTIONS: [(&str, &[&Description]); 5] = [
    ("every service", &own::TABLE),
    ("worker", &lowland_worker::figures::TABLE),
    ("scheduler", &lowland_scheduler::figures::TABLE),
    ("billing", &lowland_billing::figures::TABLE),
    ("gateway", &lowland_gateway::figures::TABLE),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn described() -> impl Iterator<Item = &'static Description> {
    SECTIONS.into_iter().flat_map(|(_, table)| table.iter().copied())
}

fn row(of: &Description) -> String {
    let kind = match of.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let labels: Vec<String> = of.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {kind} | {} | {} | {} |\n", of.name, unit(of), labels.join(", "), of.help)
}

/// What a value is of, by the name's own words.
fn unit(of: &Description) -> &'static str {
    match of.kind {
        Kind::Histogram(scale) if scale.unit == Unit::Seconds => "seconds (µs in events)",
        Kind::Histogram(_) => "tokens",
        _ if of.name.contains("micros") => "micro-units",
        _ if of.name.contains("tokens") || of.name.contains("prefix_cache") => "tokens",
        _ if of.name.contains("position") => "sequence",
        _ => "number",
    }
}

fn table(table: &[&Description]) -> String {
    let head = "| name | kind | unit | labels | meaning |\n|---|---|---|---|---|\n";
    head.to_owned() + &table.iter().map(|of| row(of)).collect::<String>()
}

/// The page with what stands between `<!-- name -->` and `<!-- end -->` made anew.
fn fill(page: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), "<!-- end -->");
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("the page has a part {name:?}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("the part {name:?} ends"));
    format!("{before}{begin}{content}{end}{after}")
}

#[test]
fn the_page_lists_what_the_code_describes() {
    let path = root().join("docs/metrics.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let script = fs::read_to_string(root().join("tests/python/merge.py")).expect("the script is there");
    let filled =
        SECTIONS.iter().fold(page.clone(), |page, (name, metrics)| fill(&page, name, &table(metrics)));
    let filled = fill(&filled, "script", &format!("```python\n{script}```\n"));
    if env::var_os("LOWLAND_BLESS").is_some() {
        fs::write(&path, &filled).expect("the page can be written");
    } else {
        assert!(page == filled, "run: LOWLAND_BLESS=1 cargo test -p lowland --test metrics_page");
    }
}

#[test]
fn names_are_as_prometheus_has_them() {
    let mut names = BTreeSet::new();
    for of in described() {
        assert!(names.insert(of.name), "{} is described once", of.name);
        assert!(of.name.starts_with("vllm:") || of.name.starts_with("lowland_"), "{}", of.name);
        assert_eq!(of.name.ends_with("_total"), of.kind == Kind::Counter, "{}", of.name);
        if let Kind::Histogram(scale) = of.kind {
            assert_eq!(of.name.ends_with("_seconds"), scale.unit == Unit::Seconds, "{}", of.name);
            assert!(scale.bounds.is_sorted() && scale.bounds[0] > 0.0, "{}", of.name);
        }
    }
}

/// Help is shown as it is; one of the two formats does not escape it.
#[test]
fn help_is_one_plain_sentence_or_two() {
    for of in described() {
        assert!(!of.help.contains(['\\', '\n', '|']) && of.help.ends_with('.'), "{}: {}", of.name, of.help);
    }
}
