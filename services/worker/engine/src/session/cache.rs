//! The key-value cache of one sequence.
//!
//! In place: past and present of a layer are one buffer, bound to the graph's input and to its output.
//! GroupQueryAttention then writes the new positions where they belong and copies nothing; a step costs the
//! same in a large buffer as in a small one. Buffers start small and double, so that short sequences don't
//! hold a whole context of memory.
//!
//! Swapped: graphs that can't share a buffer return the present as new tensors, which become the next step's
//! past. Every step copies the whole cache.

use std::cmp::Ordering;

use ort::{
    memory::Allocator,
    session::IoBinding,
    value::{DynTensor, DynTensorValueType, DynValue},
};

use super::tensor::{Layout, positions};
use crate::Error;

/// Size of a new buffer, in positions; it doubles up to the context.
const POSITIONS_MIN: usize = 256;

/// Keys and values of the positions computed so far.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Positions that are valid.
    pub(super) length: usize,
    pub(super) store: Store,
}

#[derive(Debug)]
pub(super) enum Store {
    /// One buffer for past and present, keys and values of each layer in turn.
    InPlace { binding: Box<IoBinding>, tensors: Vec<DynTensor> },
    /// The past as the last step returned it; empty before the first.
    Swapped { past: Vec<DynValue> },
}

impl Cache {
    /// Positions that are valid.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Positions that memory is held for.
    pub(crate) fn capacity(&self) -> usize {
        match &self.store {
            Store::InPlace { tensors, .. } => tensors.first().map_or(0, positions),
            Store::Swapped { .. } => self.length,
        }
    }

    /// Forgets all positions from `length` on. What can't be cut is forgotten whole: ask [`Cache::length`]
    /// after.
    pub(crate) fn truncate(&mut self, length: usize, cut: &Layouts) -> Result<(), Error> {
        if length >= self.length {
            return Ok(());
        }
        self.length = match &mut self.store {
            Store::InPlace { .. } => length,
            Store::Swapped { past } => cut.cut(past, length)?,
        };
        Ok(())
    }

    /// Makes room for `needed` positions; says whether the buffers are new and have to be bound.
    pub(super) fn reserve(
        &mut self,
        needed: usize,
        context: usize,
        layouts: &Layouts,
    ) -> Result<bool, Error> {
        let Store::InPlace { tensors, .. } = &mut self.store else { return Ok(false) };
        let held = tensors.first().map_or(0, positions);
        if needed <= held {
            return Ok(false);
        }
        let capacity = if layouts.grows { capacity(needed, context) } else { context };
        let allocator = &layouts.allocator;
        for at in 0..layouts.count {
            let mut larger = layouts.layout.tensor(allocator, capacity)?;
            match tensors.get_mut(at) {
                Some(tensor) => {
                    layouts.layout.copy(tensor, &mut larger, self.length);
                    *tensor = larger;
                }
                None => tensors.push(larger),
            }
        }
        Ok(true)
    }
}

/// Positions to hold for `needed` of them: doubled from [`POSITIONS_MIN`], at most `context`.
fn capacity(needed: usize, context: usize) -> usize {
    needed.next_power_of_two().max(POSITIONS_MIN).min(context)
}

/// What every layer's tensors look like, how many there are, and where they live.
#[derive(Debug)]
pub(crate) struct Layouts {
    pub(super) layout: Layout,
    /// Tensors of a cache: keys and values of each layer.
    pub(super) count: usize,
    pub(super) allocator: Allocator,
    /// Whether buffers start small: only where the CPU can copy them.
    pub(super) grows: bool,
}

impl Layouts {
    /// Cuts every tensor of a swapped past to `length` positions and returns what is left: 0 when it lies out
    /// of reach.
    fn cut(&self, past: &mut Vec<DynValue>, length: usize) -> Result<usize, Error> {
        let mut shorter = Vec::with_capacity(past.len());
        for value in past.drain(..) {
            let tensor = value.downcast::<DynTensorValueType>()?;
            if length == 0
                || !tensor.memory_info().is_cpu_accessible()
                || positions(&tensor).cmp(&length) == Ordering::Less
            {
                shorter.clear();
                break;
            }
            let mut cut = self.layout.tensor(&Allocator::default(), length)?;
            self.layout.copy(&tensor, &mut cut, length);
            shorter.push(cut.into_dyn());
        }
        *past = shorter;
        Ok(if past.is_empty() { 0 } else { length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_double_up_to_the_context() {
        assert_eq!(
            [1, 256, 257, 512, 1000, 5000].map(|needed| capacity(needed, 3000)),
            [256, 256, 512, 512, 1024, 3000]
        );
        assert_eq!(capacity(10, 100), 100);
    }
}
