//! What the compiler cannot hold: who may depend on whom, where subjects are spelt, that files explain themselves, and
//! that what decides stays pure.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Lines of a file beyond which it surely has more than one subject.
const FILE_LINES_MAX: usize = 600;

/// Each crate of ours, and the crates of ours that it may depend on.
const MAY_DEPEND: [(&str, &[&str]); 10] = [
    ("events", &[]),
    ("services/host", &["lowland-events"]),
    ("services/scheduler", &["lowland-events", "lowland-host"]),
    ("services/billing", &["lowland-events", "lowland-host"]),
    ("services/gateway", &["lowland-events", "lowland-host"]),
    ("services/worker", &["lowland-events", "lowland-host", "lowland-engine"]),
    ("services/worker/engine", &[]),
    ("services/relay/acnp", &[]),
    ("tests/netlab", &[]),
    (
        "lowland",
        &[
            "lowland-events",
            "lowland-host",
            "lowland-scheduler",
            "lowland-billing",
            "lowland-gateway",
            "lowland-worker",
            "lowland-engine",
            "lowland-acnp",
        ],
    ),
];

/// Folders whose files are as pure: decisions that outgrew a file, and a protocol without its sockets.
const PURE_FOLDERS: [&str; 2] = ["/decide/", "acnp/src/proto/"];

/// Files, wherever they are, that hold facts and decisions: no clock, no randomness, no waiting.
const PURE: [&str; 8] = [
    "decide.rs",
    "state.rs",
    "lifecycle.rs",
    "admission.rs",
    "placement.rs",
    "ledger.rs",
    "assemble.rs",
    "translate.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is there")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            rust_files(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Every Rust file of the workspace with its text, by its path from the root.
fn sources() -> BTreeMap<String, String> {
    let (root, mut files) = (root(), Vec::new());
    rust_files(&root, &mut files);
    let sources: BTreeMap<_, _> = files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file can be read");
            let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            (name, text)
        })
        .collect();
    assert!(sources.len() > 40, "found only {} files: the walk is broken", sources.len());
    sources
}

/// The lines of code before the tests, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for (folder, allowed) in MAY_DEPEND {
        let text =
            fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("the crate has a manifest");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        let dependencies = manifest["dependencies"].as_table().expect("a table").keys();
        let ours = dependencies.filter(|name| name.starts_with("lowland"));
        wrong.extend(
            ours.filter(|name| !allowed.contains(&name.as_str())).map(|name| format!("{folder} -> {name}")),
        );
    }
    assert!(wrong.is_empty(), "dependencies against the direction: {wrong:#?}");
}

#[test]
fn subjects_are_spelt_in_one_file() {
    let domains = ["request", "job", "token", "instance", "account", "metric"];
    let mut strays = Vec::new();
    for (name, text) in sources() {
        if name == "events/src/subject.rs" || name.contains("tests/") {
            continue;
        }
        for (number, line) in code(&text) {
            let spelt = domains.iter().any(|domain| {
                ["lowland", "live"].iter().any(|root| line.contains(&format!("\"{root}.{domain}")))
            });
            if spelt {
                strays.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(strays.is_empty(), "subjects spelt outside events/src/subject.rs: {strays:#?}");
}

#[test]
fn every_file_says_why_it_exists() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.trim_start().starts_with("//!"))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "files that do not begin with a module doc: {silent:#?}");
}

#[test]
fn files_have_one_subject() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > FILE_LINES_MAX)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "files of more than {FILE_LINES_MAX} lines: {long:#?}");
}

#[test]
fn what_decides_is_pure() {
    let forbidden = [
        ".await",
        "async fn",
        "SystemTime::now",
        "Instant::now",
        "clock::now",
        "rand::rng",
        "std::env",
        "tokio::",
    ];
    let mut impure = Vec::new();
    for (name, text) in sources() {
        let file = name.rsplit('/').next().unwrap_or_default();
        if !PURE.contains(&file) && !PURE_FOLDERS.iter().any(|folder| name.contains(folder)) {
            continue;
        }
        for (number, line) in code(&text) {
            if forbidden.iter().any(|word| line.contains(word)) {
                impure.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(impure.is_empty(), "decisions that wait or look outside: {impure:#?}");
}

#[test]
fn no_crate_is_a_drawer() {
    for (folder, _) in MAY_DEPEND {
        let name = folder.rsplit('/').next().unwrap_or_default();
        assert!(!["common", "core", "utils", "helpers", "manager"].contains(&name), "{folder}");
    }
}
