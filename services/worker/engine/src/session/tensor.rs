//! Tensors of whatever element type the graph keeps its cache in, and copies of their first positions.
//!
//! A layer's cache is `[1, kv_heads, positions, head_dim]`: for each head, the first `n` positions are
//! contiguous.

use std::ptr;

use half::f16;
use ort::{
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::Session,
    value::{DynTensor, DynTensorValueType, DynValue, TensorElementType},
};

use crate::{Error, provider::Provider};

/// What a layer's keys, and its values, look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) element: TensorElementType,
    pub(super) heads: usize,
    pub(super) head_dim: usize,
}

impl Layout {
    /// A tensor of zeros for `positions`.
    pub(super) fn tensor(&self, allocator: &Allocator, positions: usize) -> Result<DynTensor, Error> {
        let shape = [1, self.heads, positions, self.head_dim].map(|size| size as i64);
        Ok(DynTensor::new(allocator, self.element, shape)?)
    }

    fn bytes(&self, positions: usize) -> usize {
        self.element.byte_size(positions * self.head_dim).unwrap_or(0)
    }

    /// Copies the first `count` positions of each head; both tensors must be in memory that the CPU can
    /// reach.
    pub(super) fn copy(&self, from: &DynTensor, to: &mut DynTensor, count: usize) {
        let (from_stride, to_stride) = (self.bytes(positions(from)), self.bytes(positions(to)));
        assert!(count <= positions(from).min(positions(to)), "a copy stays within both tensors");
        assert!(
            from.memory_info().is_cpu_accessible() && to.memory_info().is_cpu_accessible(),
            "only the CPU's memory is copied"
        );
        let (source, target) = (from.data_ptr().cast::<u8>(), to.data_ptr_mut().cast::<u8>());
        for head in 0..self.heads {
            // SAFETY: both tensors hold `heads` runs of their stride's bytes, `count` positions fit each run,
            // the tensors are distinct allocations (one is borrowed mutably), and both are CPU memory.
            unsafe {
                ptr::copy_nonoverlapping(
                    source.add(head * from_stride),
                    target.add(head * to_stride),
                    self.bytes(count),
                );
            };
        }
    }
}

/// Number of positions that a cache tensor holds.
pub(super) fn positions(tensor: &DynTensor) -> usize {
    tensor.shape().get(2).map_or(0, |positions| *positions as usize)
}

/// Where the cache lives: beside the provider that reads it.
pub(super) fn allocator(session: &Session, provider: Provider) -> Result<Allocator, Error> {
    let Some(device) = provider.device() else { return Ok(Allocator::default()) };
    let info =
        MemoryInfo::new(AllocationDevice::CUDA, device as i32, AllocatorType::Device, MemoryType::Default)?;
    Ok(Allocator::new(session, info)?)
}

/// Appends the last row, `width` numbers, of a tensor of 32-bit or 16-bit floats to `row`.
pub(super) fn last_row(value: &DynValue, width: usize, row: &mut Vec<f32>) -> Result<(), Error> {
    let wrong = |what: String| Error::Runtime(format!("logits are {what}, expected rows of {width} floats"));
    let tensor = value.view().downcast::<DynTensorValueType>()?;
    let count = tensor.shape().num_elements();
    if width == 0 || count < width || count % width != 0 {
        return Err(wrong(format!("{count} numbers")));
    }
    match tensor.data_type() {
        TensorElementType::Float32 => {
            row.extend_from_slice(&value.try_extract_tensor::<f32>()?.1[count - width..]);
        }
        TensorElementType::Float16 if tensor.memory_info().is_cpu_accessible() => {
            // SAFETY: a 16-bit float tensor of `count` elements in CPU memory; `f16` is its element's layout.
            let all = unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<f16>(), count) };
            row.extend(all[count - width..].iter().map(|number| number.to_f32()));
        }
        other => return Err(wrong(format!("of type {other}"))),
    }
    Ok(())
}
