//! Models by `owner/name` from a model hub, for whoever can reach one. The hub's client keeps its own cache and heeds its
//! own variables (`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};

use crate::artifacts::progress::Progress;

/// Quantisations of GGUF files, best first, of which one is taken when the caller names no file.
const GGUF_PREFERRED: [&str; 5] = ["q8_0", "q6_k", "q5_k_m", "q4_1", "q4_k_m"];
/// Files beside the weights that an importer may want.
const SIDE_FILES: [&str; 8] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "modules.json",
    "1_Pooling/config.json",
];

/// Which files of a repository make a model, and what the importer is given.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// One GGUF file.
    Gguf(String),
    /// An onnxruntime-genai folder: its files, and its path within the repository.
    Genai(Vec<String>, String),
    /// The repository's own folder: safetensors and what is beside them.
    Safetensors(Vec<String>),
}

/// Downloads what is needed of `name` and returns what to import. `file` names a file or a folder of the repository.
pub fn download(name: &str, file: Option<&str>, progress: Progress) -> Result<PathBuf> {
    let api = ApiBuilder::from_env().with_progress(progress == Progress::Shown).build();
    let repository = api.map_err(|error| unreachable(name, &error))?.model(name.to_owned());
    let info = repository.info().map_err(|error| unreachable(name, &error))?;
    let names: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
    match choose(&names, file).with_context(|| name.to_owned())? {
        Choice::Gguf(file) => get(&repository, name, &file),
        Choice::Genai(files, folder) => Ok(get_all(&repository, name, &files)?.join(folder)),
        Choice::Safetensors(files) => get_all(&repository, name, &files),
    }
}

fn unreachable(name: &str, error: &ApiError) -> anyhow::Error {
    anyhow::anyhow!(
        "the model hub did not give {name}: {error}\nCheck the name and the connection (HF_ENDPOINT names another hub, HF_TOKEN opens gated models), or get the files another way and run `lowland model import PATH`"
    )
}

fn get(repository: &ApiRepo, name: &str, file: &str) -> Result<PathBuf> {
    repository.get(file).map_err(|error| unreachable(name, &error))
}

/// Gets the files and returns the folder they are in.
fn get_all(repository: &ApiRepo, name: &str, files: &[String]) -> Result<PathBuf> {
    let mut root = None;
    for file in files {
        let path = get(repository, name, file)?;
        root = root.or_else(|| folder_of(&path, file));
    }
    root.context("the repository has no files")
}

/// The folder that `file`, now at `path`, is relative to.
fn folder_of(path: &Path, file: &str) -> Option<PathBuf> {
    path.ancestors().nth(Path::new(file).components().count()).map(Path::to_owned)
}

/// Chooses among the repository's files. Pure.
pub fn choose(names: &[String], file: Option<&str>) -> Result<Choice> {
    let gguf: Vec<&String> = names.iter().filter(|name| name.ends_with(".gguf")).collect();
    if let Some(file) = file.filter(|file| file.ends_with(".gguf")) {
        return gguf_named(&gguf, file);
    }
    if let Some(config) = genai_config(names, file) {
        return Ok(genai(names, &config));
    }
    if let Some(file) = file {
        bail!("there is no GGUF file and no onnxruntime-genai folder called {file:?}");
    }
    if !gguf.is_empty() {
        return best(&gguf);
    }
    let weights: Vec<&String> =
        names.iter().filter(|name| name.ends_with(".safetensors") && !name.contains('/')).collect();
    if weights.is_empty() {
        bail!("it has no GGUF file, no onnxruntime-genai folder and no safetensors");
    }
    let beside = names.iter().filter(|name| SIDE_FILES.contains(&name.as_str()));
    Ok(Choice::Safetensors(beside.chain(weights).cloned().collect()))
}

fn gguf_named(gguf: &[&String], file: &str) -> Result<Choice> {
    match gguf.iter().find(|name| name.as_str() == file) {
        Some(name) => Ok(Choice::Gguf((*name).clone())),
        None => bail!("there is no {file}; there are: {}", joined(gguf)),
    }
}

fn best(gguf: &[&String]) -> Result<Choice> {
    let of = |quantisation: &&str| gguf.iter().find(|name| name.to_lowercase().contains(*quantisation));
    match (gguf, GGUF_PREFERRED.iter().find_map(of)) {
        ([only], _) => Ok(Choice::Gguf((*only).clone())),
        (_, Some(name)) => Ok(Choice::Gguf((*name).clone())),
        _ => bail!("it has several GGUF files; choose one with --file: {}", joined(gguf)),
    }
}

/// The `genai_config.json` in the folder `folder`, or the only one there is.
fn genai_config(names: &[String], folder: Option<&str>) -> Option<String> {
    let all: Vec<&String> =
        names.iter().filter(|name| name.rsplit('/').next() == Some("genai_config.json")).collect();
    match folder {
        Some(folder) => {
            let wanted = format!("{}/genai_config.json", folder.trim_end_matches('/'));
            all.into_iter().find(|name| **name == wanted).cloned()
        }
        None => match all.as_slice() {
            [only] => Some((*only).clone()),
            _ => None,
        },
    }
}

fn genai(names: &[String], config: &str) -> Choice {
    let folder = config.rsplit_once('/').map_or("", |(folder, _)| folder);
    let inside = |name: &&String| name.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
    Choice::Genai(names.iter().filter(inside).cloned().collect(), folder.to_owned())
}

fn joined(names: &[&String]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_gguf_file_is_chosen_by_name_or_by_quality() {
        let files = names(&["README.md", "m-q2_k.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf"]);
        assert_eq!(choose(&files, None).unwrap(), Choice::Gguf("m-Q8_0.gguf".into()));
        assert_eq!(choose(&files, Some("m-q2_k.gguf")).unwrap(), Choice::Gguf("m-q2_k.gguf".into()));
        let error = choose(&files, Some("other.gguf")).unwrap_err().to_string();
        assert!(error.contains("m-Q8_0.gguf"), "{error}");
        let error = choose(&names(&["a-iq1.gguf", "b-iq2.gguf"]), None).unwrap_err().to_string();
        assert!(error.contains("--file"), "{error}");
    }

    #[test]
    fn a_genai_folder_is_taken_with_all_its_files() {
        let files = names(&["cpu/genai_config.json", "cpu/model.onnx", "cpu/model.onnx.data", "README.md"]);
        let Choice::Genai(taken, folder) = choose(&files, None).unwrap() else { panic!("a genai folder") };
        assert_eq!((taken.len(), folder.as_str()), (3, "cpu"));
        assert!(choose(&files, Some("cuda")).is_err());
    }

    #[test]
    fn safetensors_are_taken_with_what_is_beside_them() {
        let files =
            names(&["model.safetensors", "config.json", "tokenizer.json", "onnx/model.onnx", "train.py"]);
        let wanted = Choice::Safetensors(names(&["config.json", "tokenizer.json", "model.safetensors"]));
        assert_eq!(choose(&files, None).unwrap(), wanted);
        assert!(choose(&names(&["README.md"]), None).is_err());
    }

    #[test]
    fn the_folder_of_a_nested_file_is_the_repositorys() {
        assert_eq!(
            folder_of(Path::new("/c/snap/1_Pooling/config.json"), "1_Pooling/config.json"),
            Some("/c/snap".into())
        );
    }
}
