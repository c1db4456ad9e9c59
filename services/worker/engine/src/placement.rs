//! Which provider ONNX Runtime gave each node to, and whether that is what was asked for.
//!
//! `session.disable_cpu_ep_fallback` is too blunt for decoders: ONNX Runtime itself moves the few nodes that
//! compute shapes and lengths to the CPU, because their results are read there, and the option refuses those
//! as well. So the placement is read back after the session is made, and only arithmetic that ended on the
//! CPU is refused.

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char},
    ptr, slice,
};

use ort::{AsPointer, session::Session, sys};

use crate::{Error, provider::Provider};

/// Session option that makes ONNX Runtime remember the placement.
pub(crate) const RECORD_OPTION: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

const CPU: &str = "CPUExecutionProvider";

/// Operators that compute shapes, lengths and indices; ONNX Runtime prefers the CPU for them.
const ON_CPU_BY_DESIGN: &[&str] = &[
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Equal",
    "Expand",
    "Gather",
    "Identity",
    "If",
    "Range",
    "ReduceSum",
    "Reshape",
    "Shape",
    "Slice",
    "Squeeze",
    "Sub",
    "Add",
    "Mul",
    "Div",
    "Unsqueeze",
    "Where",
    "MemcpyFromHost",
    "MemcpyToHost",
];

/// One node and the provider that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) provider: String,
    pub(crate) operator: String,
}

/// Refuses a session whose arithmetic fell to the CPU though another provider was asked for.
pub(crate) fn check(provider: Provider, placed: &[Placed]) -> Result<(), Error> {
    if provider == Provider::Cpu {
        return Ok(());
    }
    let mut fallen = BTreeMap::<&str, usize>::new();
    for node in placed
        .iter()
        .filter(|node| node.provider == CPU && !ON_CPU_BY_DESIGN.contains(&node.operator.as_str()))
    {
        *fallen.entry(&node.operator).or_default() += 1;
    }
    let elsewhere = placed.iter().any(|node| node.provider != CPU);
    if fallen.is_empty() && elsewhere {
        return Ok(());
    }
    let list =
        fallen.iter().map(|(operator, count)| format!("{operator} x{count}")).collect::<Vec<_>>().join(", ");
    let missing = if list.is_empty() {
        "it took no node of the graph".to_owned()
    } else {
        format!("it has no kernel for {list}, which fell to the CPU")
    };
    Err(Error::Provider { provider, missing })
}

/// How many nodes each provider runs.
pub(crate) fn counts(placed: &[Placed]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for node in placed {
        *counts.entry(node.provider.clone()).or_default() += 1;
    }
    counts
}

/// Reads the placement of a session made with [`RECORD_OPTION`].
pub(crate) fn read(session: &Session) -> Result<Vec<Placed>, Error> {
    let api = ort::api();
    let mut placed = Vec::new();
    // SAFETY: the session is alive; ONNX Runtime hands out arrays and strings that it owns for as long as the
    // session lives, and they are copied before this function returns.
    unsafe {
        let subgraphs =
            array(|items, count| (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), items, count))?;
        for subgraph in subgraphs {
            let provider = text(|out| (api.EpAssignedSubgraph_GetEpName)(*subgraph, out))?;
            let nodes = array(|items, count| (api.EpAssignedSubgraph_GetNodes)(*subgraph, items, count))?;
            for node in nodes {
                let operator = text(|out| (api.EpAssignedNode_GetOperatorType)(*node, out))?;
                placed.push(Placed { provider: provider.clone(), operator });
            }
        }
    }
    Ok(placed)
}

/// # Safety
/// `call` must store an array that stays valid for `'a`, and its length.
unsafe fn array<'a, T>(
    call: impl FnOnce(*mut *const *const T, *mut usize) -> sys::OrtStatusPtr,
) -> Result<&'a [*const T], Error> {
    let (mut items, mut count) = (ptr::null(), 0);
    // SAFETY: the status comes from the call itself.
    unsafe { ort::Error::result_from_status(call(&mut items, &mut count)) }?;
    if items.is_null() || count == 0 {
        return Ok(&[]);
    }
    // SAFETY: by this function's contract.
    Ok(unsafe { slice::from_raw_parts(items, count) })
}

/// # Safety
/// `call` must store a string that is valid until this function returns.
unsafe fn text(call: impl FnOnce(*mut *const c_char) -> sys::OrtStatusPtr) -> Result<String, Error> {
    let mut out = ptr::null();
    // SAFETY: the status comes from the call itself, and the string is valid by this function's contract.
    unsafe {
        ort::Error::result_from_status(call(&mut out))?;
        Ok(if out.is_null() { String::new() } else { CStr::from_ptr(out).to_string_lossy().into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(provider: &str, operator: &str) -> Placed {
        Placed { provider: provider.to_owned(), operator: operator.to_owned() }
    }

    const CUDA: &str = "CUDAExecutionProvider";

    #[test]
    fn lengths_on_the_cpu_are_no_fall() {
        let nodes = [placed(CUDA, "MatMul"), placed(CPU, "Shape"), placed(CPU, "Gather")];
        assert!(check(Provider::Cuda { device: 0 }, &nodes).is_ok());
    }

    #[test]
    fn arithmetic_on_the_cpu_is_named_and_counted() {
        let nodes = [
            placed(CUDA, "MatMul"),
            placed(CPU, "MatMulNBits"),
            placed(CPU, "MatMulNBits"),
            placed(CPU, "Shape"),
        ];
        let error = check(Provider::Cuda { device: 0 }, &nodes).unwrap_err().to_string();
        assert!(
            error.contains("cuda:0") && error.contains("MatMulNBits x2") && !error.contains("Shape"),
            "{error}"
        );
    }

    #[test]
    fn a_provider_that_took_nothing_is_missing() {
        assert!(check(Provider::Cuda { device: 0 }, &[placed(CPU, "Shape")]).is_err());
        assert!(check(Provider::TensorRt { device: 0 }, &[]).is_err());
        assert!(check(Provider::Cpu, &[placed(CPU, "MatMul")]).is_ok());
    }
}
