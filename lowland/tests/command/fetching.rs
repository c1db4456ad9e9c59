//! Fetching, with the pip of this machine and a folder of wheels in place of an index.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use lowland::artifacts::{
    cache::Cache,
    fetch::{Error, Fetcher, Origin},
    pins::{Artifact, Pins},
    progress::Progress,
    unpack::sha256_of,
};
use zip::write::SimpleFileOptions;

const WHEEL: &str = "lowland_probe-1.0-py3-none-any.whl";

/// A folder of wheels with one in it.
struct Shelf {
    dir: tempfile::TempDir,
    sum: String,
}

impl Shelf {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WHEEL);
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, text) in [
            ("lowland_probe-1.0.data/scripts/probe", "#!/bin/sh\necho probe\n"),
            ("lowland_probe/__init__.py", ""),
            (
                "lowland_probe-1.0.dist-info/METADATA",
                "Metadata-Version: 2.1\nName: lowland-probe\nVersion: 1.0\n",
            ),
            (
                "lowland_probe-1.0.dist-info/WHEEL",
                "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            ),
            ("lowland_probe-1.0.dist-info/RECORD", ""),
        ] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        let sum = sha256_of(&path).unwrap();
        Self { dir, sum }
    }

    /// pip looks nowhere else.
    fn env(&self) -> BTreeMap<String, String> {
        let mut env: BTreeMap<String, String> = std::env::vars().collect();
        env.retain(|name, _| !name.starts_with("PIP_"));
        env.insert("PIP_CONFIG_FILE".into(), "/dev/null".into());
        env.insert("PIP_NO_INDEX".into(), "1".into());
        env.insert("PIP_FIND_LINKS".into(), self.dir.path().display().to_string());
        env
    }

    fn fetcher(&self, cache: &Path) -> Fetcher {
        Fetcher { cache: Cache::at(cache), env: self.env(), progress: Progress::Silent }
    }
}

fn artifact(unpack: &str, sum: &str) -> Artifact {
    let text = format!(
        "model = []\n[[artifact]]\nname = \"probe\"\npackage = \"lowland-probe\"\nversion = \"1.0\"\npurpose = \"tests\"\n\
         license = \"Apache-2.0\"\nunpack = {unpack}\noverride = \"PROBE\"\n[[artifact.wheel]]\nplatform = \"any\"\n\
         file = \"{WHEEL}\"\nsha256 = \"{sum}\"\nsize_bytes = 1000\n"
    );
    toml::from_str::<Pins>(&text).unwrap().artifacts.remove(0)
}

fn program(sum: &str) -> Artifact {
    artifact("{ program = \"probe\" }", sum)
}

#[test]
fn what_is_missing_is_fetched_once() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let (fetcher, probe) = (shelf.fetcher(cache.path()), program(&shelf.sum));
    assert!(fetcher.locate(&probe).unwrap().is_none());
    let first = fetcher.ensure(&probe).unwrap();
    assert_eq!((first.origin, first.path.clone()), (Origin::Fetched, cache.path().join("probe-1.0/probe")));
    let printed = std::process::Command::new(&first.path).output().unwrap().stdout;
    assert_eq!(printed, b"probe\n", "it is executable");
    fs::remove_file(shelf.dir.path().join(WHEEL)).unwrap(); // nothing can be fetched any more
    assert_eq!(fetcher.ensure(&probe).unwrap().origin, Origin::Cache);
}

#[test]
fn a_whole_package_is_unpacked() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let whole = shelf.fetcher(cache.path()).ensure(&artifact("{ whole = true }", &shelf.sum)).unwrap();
    assert_eq!(whole.path, cache.path().join("packages/lowland-probe-1.0"));
    assert!(whole.path.join("lowland_probe/__init__.py").is_file());
}

#[test]
fn another_sum_than_the_pinned_one_is_refused() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let error = shelf.fetcher(cache.path()).ensure(&program(&"0".repeat(64))).unwrap_err();
    assert!(matches!(error, Error::Fetch { .. } | Error::Sum { .. }), "{error}");
    assert!(error.to_string().contains(&shelf.sum), "it says what it found: {error}");
    assert!(!cache.path().join("probe-1.0").exists());
}

#[test]
fn offline_says_what_is_missing_and_what_to_do() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    fs::remove_file(shelf.dir.path().join(WHEEL)).unwrap();
    let text = shelf.fetcher(cache.path()).ensure(&program(&shelf.sum)).unwrap_err().to_string();
    for wanted in ["probe 1.0", &cache.path().display().to_string(), "set PROBE", "No matching distribution"]
    {
        assert!(text.contains(wanted), "{wanted:?} in: {text}");
    }
}

#[test]
fn a_machine_without_python_is_told_so() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let mut fetcher = shelf.fetcher(cache.path());
    fetcher.env.insert("PATH".into(), cache.path().display().to_string());
    let text = fetcher.ensure(&program(&shelf.sum)).unwrap_err().to_string();
    assert!(text.contains("no Python 3") && text.contains("apt install python3-pip"), "{text}");
}

#[test]
fn a_replacement_is_used_and_must_be_there() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let mut fetcher = shelf.fetcher(cache.path());
    let own = cache.path().join("own");
    fetcher.env.insert("PROBE".into(), own.display().to_string());
    let text = fetcher.ensure(&program(&shelf.sum)).unwrap_err().to_string();
    assert!(text.contains("PROBE is"), "{text}");
    fs::write(&own, "").unwrap();
    let located = fetcher.ensure(&program(&shelf.sum)).unwrap();
    assert_eq!((located.path, located.origin), (own, Origin::Environment("PROBE".into())));
}

#[test]
fn what_a_broken_fetch_left_is_cleared() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let left = cache.path().join(".fetch-broken");
    fs::create_dir_all(&left).unwrap();
    fs::create_dir_all(cache.path().join("probe-1.0")).unwrap(); // its place, without the program
    shelf.fetcher(cache.path()).ensure(&program(&shelf.sum)).unwrap();
    assert!(!left.exists());
    assert!(cache.path().join("probe-1.0/probe").is_file());
}

#[test]
fn fetches_at_the_same_time_don_t_meet() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let fetched = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let located = shelf.fetcher(cache.path()).ensure(&program(&shelf.sum)).unwrap();
                fetched.fetch_add(usize::from(located.origin == Origin::Fetched), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(fetched.into_inner(), 1, "one of them fetched");
}
