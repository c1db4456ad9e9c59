//! ONNX Runtime's shared library and its environment: one of each a process, loaded by the first model.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::{environment::Environment, logging::LogLevel};

use crate::{Error, log};

/// Names the library when the configuration doesn't.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The library that is loaded and its environment. It stays for the life of the process: ONNX Runtime can't
/// be loaded twice.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// The process's environment; loads the library the first time.
pub(crate) fn environment(library: Option<&Path>) -> Result<Environment, Error> {
    let path = locate(library, env::var_os(LIBRARY_VARIABLE).map(PathBuf::from))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, environment)) = loaded.as_ref() {
        return if *at == path {
            Ok(environment.clone())
        } else {
            Err(Error::OtherLibrary { loaded: at.clone(), asked: path })
        };
    }
    let environment = load(&path)?;
    *loaded = Some((path, environment.clone()));
    Ok(environment)
}

/// The file to load: what the configuration says, else what the variable says.
fn locate(configured: Option<&Path>, variable: Option<PathBuf>) -> Result<PathBuf, Error> {
    let path = configured
        .map(Path::to_path_buf)
        .or(variable.filter(|path| !path.as_os_str().is_empty()))
        .ok_or(Error::NoLibrary { minor: ort::MINOR_VERSION })?;
    path.canonicalize().map_err(|error| Error::Library { path, reason: error.to_string() })
}

fn load(path: &Path) -> Result<Environment, Error> {
    let builder = ort::init_from(path)
        .map_err(|error| Error::Library { path: path.to_path_buf(), reason: error.to_string() })?;
    let environment =
        builder.with_name("lowland").with_telemetry(false).with_logger(log::logger()).build()?;
    // A custom logger starts at the most talkative level, which costs a call for every node of every run.
    environment.set_log_level(LogLevel::Warning);
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_wins_over_the_variable() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "").unwrap();
        std::fs::write(&b, "").unwrap();
        assert_eq!(locate(Some(&a), Some(b.clone())).unwrap(), a.canonicalize().unwrap());
        assert_eq!(locate(None, Some(b.clone())).unwrap(), b.canonicalize().unwrap());
    }

    #[test]
    fn a_missing_library_is_named() {
        assert!(matches!(locate(None, None), Err(Error::NoLibrary { .. })));
        assert!(matches!(locate(None, Some(PathBuf::new())), Err(Error::NoLibrary { .. })));
        let error = locate(Some(Path::new("/nowhere/libonnxruntime.so")), None).unwrap_err().to_string();
        assert!(error.contains("/nowhere/libonnxruntime.so"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_library_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, "not a library").unwrap();
        let error = load(&path).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("libonnxruntime.so"), "{error}");
    }
}
