//! The files of a model folder, read and checked.

use std::{fs, io::ErrorKind, path::Path};

use crate::{
    Error,
    chat::Template,
    manifest::{CHAT_TEMPLATE_FILE, FORMAT_VERSION, MANIFEST_FILE, Manifest, TemplateTokens},
};

/// Reads the folder's manifest.
///
/// # Errors
/// [`Error::Folder`] when it is missing, is no manifest, or has another version.
pub fn manifest(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST_FILE);
    let wrong = |reason: String| Error::Folder { path: path.clone(), reason };
    let text = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(FORMAT_VERSION)) {
        let found = format.map_or("none".to_owned(), |format| format.to_string());
        return Err(wrong(format!(
            "has format {found}, this build reads {FORMAT_VERSION}: import the model again"
        )));
    }
    serde_json::from_value(value).map_err(|error| wrong(error.to_string()))
}

/// Reads the folder's chat template, if it has one.
pub(crate) fn template(folder: &Path, tokens: &TemplateTokens) -> Result<Option<Template>, Error> {
    let path = folder.join(CHAT_TEMPLATE_FILE);
    let source = match fs::read_to_string(&path) {
        Ok(source) => source,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Folder { path, reason: error.to_string() }),
    };
    let template = Template::new(&source, tokens.clone());
    template.map(Some).map_err(|error| Error::Folder { path, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest, Error> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MANIFEST_FILE), text).unwrap();
        manifest(folder.path())
    }

    #[test]
    fn another_format_says_import_again() {
        for text in [r#"{"format":2}"#, "{}"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("import the model again"), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = read(r#"{"format":1}"#).unwrap_err().to_string();
        assert!(error.contains("model.json") && error.contains("id"), "{error}");
        assert!(manifest(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere/model.json"));
    }
}
