//! Every tensor that the decoder's graph has a place for. A source that has others is another model under the same name,
//! and a graph without them would answer nonsense.

use std::collections::HashSet;

use super::super::Error;
use super::super::tensors::Tensors;

const OUTSIDE: [&str; 4] = ["token_embd.weight", "output.weight", "output_norm.weight", "rope_freqs.weight"];
const IN_A_LAYER: [&str; 14] = [
    "attn_norm.weight",
    "attn_q.weight",
    "attn_q.bias",
    "attn_q_norm.weight",
    "attn_k.weight",
    "attn_k.bias",
    "attn_k_norm.weight",
    "attn_v.weight",
    "attn_v.bias",
    "attn_output.weight",
    "ffn_norm.weight",
    "ffn_gate.weight",
    "ffn_up.weight",
    "ffn_down.weight",
];
/// Old checkpoints carry their rotary frequencies, which follow from the configuration.
const DERIVED: &str = "rotary_emb.inv_freq";

/// Refuses tensors that the graph of `layers` layers has no place for.
///
/// # Errors
/// With the name of one.
pub(super) fn check(tensors: &dyn Tensors, layers: usize) -> Result<(), Error> {
    let outside = OUTSIDE.iter().map(|&name| name.to_owned());
    let inside =
        (0..layers).flat_map(|layer| IN_A_LAYER.iter().map(move |name| format!("blk.{layer}.{name}")));
    let known: HashSet<String> = outside.chain(inside).map(|name| tensors.shown(&name)).collect();
    let other = tensors.names().into_iter().find(|name| !known.contains(*name) && !name.ends_with(DERIVED));
    other.map_or(Ok(()), |name| Err(Error::Unsupported(format!("a decoder with the tensor {name}"))))
}
