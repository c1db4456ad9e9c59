//! Which execution provider runs the graph: asked for and missing is an error that names what is missing.
//!
//! ONNX Runtime falls back to the CPU in three silent ways: a provider that was not compiled in is skipped,
//! one whose shared library does not load is skipped, and one that lacks a kernel hands the node to the CPU.
//! The first two are refused here, before a session exists; the third in [`crate::placement`], once it does.

use std::{fmt, str::FromStr};

use ort::{
    ep::{CUDA, ExecutionProvider, TensorRT},
    session::builder::SessionBuilder,
};

use crate::Error;

/// Where the arithmetic happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// ONNX Runtime's CPU kernels.
    #[default]
    Cpu,
    /// CUDA on one device.
    Cuda {
        /// Number of the device, from 0.
        device: u32,
    },
    /// TensorRT on one device; what it has no kernel for runs on CUDA.
    TensorRt {
        /// Number of the device, from 0.
        device: u32,
    },
}

impl Provider {
    /// Adds the provider to a session's options, or says what is missing.
    pub(crate) fn register(self, mut builder: SessionBuilder) -> Result<SessionBuilder, Error> {
        match self {
            Provider::Cpu => {}
            Provider::Cuda { device } => self.add(&mut builder, &cuda(device))?,
            Provider::TensorRt { device } => {
                self.add(&mut builder, &TensorRT::default().with_device_id(device as i32))?;
                self.add(&mut builder, &cuda(device))?;
            }
        }
        Ok(builder)
    }

    fn add<E: ExecutionProvider>(self, builder: &mut SessionBuilder, provider: &E) -> Result<(), Error> {
        if !E::is_available()? {
            let missing = format!(
                "this build of ONNX Runtime has no {}; load a build that has it (`ORT_DYLIB_PATH`)",
                E::NAME
            );
            return Err(Error::Provider { provider: self, missing });
        }
        let missing = |error: ort::Error| format!("{}: {}", E::NAME, words(error.message()));
        provider
            .register(builder)
            .map_err(|error| Error::Provider { provider: self, missing: missing(error) })
    }

    /// The device that holds the key-value cache, when it is not the CPU.
    pub(crate) fn device(self) -> Option<u32> {
        match self {
            Provider::Cpu => None,
            Provider::Cuda { device } | Provider::TensorRt { device } => Some(device),
        }
    }
}

fn cuda(device: u32) -> CUDA {
    CUDA::default().with_device_id(device as i32)
}

/// What a failed registration says, without the place in ONNX Runtime's source that it says it from. The rest
/// names the shared library that could not be loaded, and why.
fn words(status: &str) -> &str {
    status.rsplit_once(" : FAIL : ").map_or(status, |(_, words)| words).trim()
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Provider::Cpu => f.write_str("cpu"),
            Provider::Cuda { device } => write!(f, "cuda:{device}"),
            Provider::TensorRt { device } => write!(f, "tensorrt:{device}"),
        }
    }
}

impl FromStr for Provider {
    type Err = Error;

    /// Reads `cpu`, `cuda`, `tensorrt`, the last two with `:DEVICE` if it is not device 0.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::invalid("provider", format!("`{text}` is none of cpu, cuda[:DEVICE], tensorrt[:DEVICE]"))
        };
        let (name, device) = text.split_once(':').unwrap_or((text, "0"));
        let device = device.parse().ok().filter(|device| *device <= i32::MAX as u32).ok_or_else(wrong)?;
        match name {
            "cpu" if text == "cpu" => Ok(Provider::Cpu),
            "cuda" => Ok(Provider::Cuda { device }),
            "tensorrt" => Ok(Provider::TensorRt { device }),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for provider in [Provider::Cpu, Provider::Cuda { device: 3 }, Provider::TensorRt { device: 0 }] {
            assert_eq!(provider.to_string().parse::<Provider>().unwrap(), provider);
        }
        assert_eq!("cuda".parse::<Provider>().unwrap(), Provider::Cuda { device: 0 });
    }

    #[test]
    fn refuses_nonsense() {
        for text in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:4294967295", "CUDA"] {
            assert!(text.parse::<Provider>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_place_in_the_source_is_left_out() {
        let status =
            "/src/bridge.cc:2043 Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library libx.so\n";
        assert_eq!(words(status), "Failed to load library libx.so");
        assert_eq!(words("no device"), "no device");
    }
}
