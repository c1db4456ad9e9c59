//! The `lowland` program under test: built by cargo from this tree, or the one that `$LOWLAND_BIN` names.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use crate::{bounded, missing};

/// Longest time that building it may take: a first build on two slow cores.
const BUILD_WITHIN: Duration = Duration::from_secs(3600);

/// Path of the program, up to date with this tree.
pub fn path() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match env::var_os("LOWLAND_BIN") {
        Some(given) => existing(PathBuf::from(given), "unset LOWLAND_BIN, or name a program that is there"),
        None => built(),
    })
}

/// An older program would be tested for nothing, so cargo has the last word on whether it is the newest.
fn built() -> PathBuf {
    let folder = profile_folder();
    let release = folder.file_name().is_some_and(|name| name == "release");
    let mut arguments = vec!["build", "--quiet", "-p", "lowland", "--bin", "lowland"];
    arguments.extend(release.then_some("--release"));
    let mend = format!("cargo {}", arguments.join(" "));
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(&arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    match bounded::run(&mut command, BUILD_WITHIN) {
        Ok(outcome) if outcome.succeeded() => existing(folder.join("lowland"), &mend),
        Ok(outcome) => missing(&format!("lowland does not build:\n{}", outcome.output), &mend),
        Err(error) => missing(&format!("cargo cannot be run: {error}"), &mend),
    }
}

/// `target/debug` or `target/release`: where this test program was built.
fn profile_folder() -> PathBuf {
    let own = env::current_exe().expect("a running program has a file");
    let folder = own.ancestors().nth(2).expect("cargo puts test programs into <profile>/deps");
    folder.to_owned()
}

fn existing(program: PathBuf, mend: &str) -> PathBuf {
    if !program.is_file() {
        missing(&format!("{} is not there", program.display()), mend);
    }
    program
}
