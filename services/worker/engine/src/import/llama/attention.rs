//! Attention with grouped queries, its past and present, and what all layers share: lengths and rotary tables.

use super::super::Error;
use super::super::onnx::proto::Dimension;
use super::super::onnx::{Edge, ElementType, Node};
use super::super::weights::{Matrix, RowOrder};
use super::config::Config;
use super::graph::Decoder;
use super::rope;

/// Values that every layer reads.
pub(super) struct Shared {
    /// Each text's length less one, past and present together: `i32 [batch]`.
    lengths_less_one: Edge,
    /// The same as `i64`.
    lengths_less_one_wide: Edge,
    /// The longest: `i32`, no dimensions.
    longest: Edge,
    cos: Edge,
    sin: Edge,
}

impl Decoder<'_, '_, '_, '_> {
    /// Declares the mask and computes what layers share.
    pub(super) fn shared_inputs(&mut self) -> Result<Shared, Error> {
        let (cos, sin) = self.rotary_tables()?;
        let graph = &mut self.writer.graph;
        let mask = graph.input("attention_mask", ElementType::I64, &["batch".into(), "positions".into()]);
        let (axis, one) = (graph.integers("axis_1", &[1]), graph.integer("one", 1));
        let lengths = graph.add(Node::new("ReduceSum", &[&mask, &axis]).int("keepdims", 0));
        let less_one = graph.add(Node::new("Sub", &[&lengths, &one]));
        let shape = graph.add(Node::new("Shape", &[&mask]));
        let longest = graph.add(Node::new("Gather", &[&shape, &one]).int("axis", 0));
        let narrow = |edge: &str| Node::new("Cast", &[edge]).int("to", ElementType::I32 as i64);
        Ok(Shared {
            lengths_less_one: graph.add(narrow(&less_one)),
            longest: graph.add(narrow(&longest)),
            lengths_less_one_wide: less_one,
            cos,
            sin,
        })
    }

    /// Attention over `x`, projected back to the hidden width.
    pub(super) fn attention(&mut self, layer: usize, x: &str, shared: &Shared) -> Result<Edge, Error> {
        let Config { hidden, heads, head_dim, .. } = *self.config;
        let projected = self.project(layer, x)?;
        let [query, key, value] = self.norm_heads(layer, projected)?;
        let [past_key, past_value] = self.declare_pasts(layer);
        let Shared { lengths_less_one, longest, cos, sin, .. } = shared;
        let inputs = [&query, &key, &value, &past_key, &past_value, lengths_less_one, longest, cos, sin];
        let node = Node::microsoft("GroupQueryAttention", &inputs.map(String::as_str))
            .int("num_heads", heads as i64)
            .int("kv_num_heads", self.config.kv_heads as i64)
            .int("do_rotary", 1)
            .int("rotary_interleaved", 0)
            .float("scale", (head_dim as f32).sqrt().recip());
        let attended = format!("blk.{layer}.attended");
        let presents = presents(layer);
        self.writer.graph.add_as(node, &[&attended, &presents[0], &presents[1]]);
        let name = format!("blk.{layer}.attn_output.weight");
        let output = Matrix::of(self.tensors.matrix(&name, hidden, heads * head_dim)?);
        self.writer.linear(&attended, &name, &output)
    }

    /// Queries, keys and values in one product, with their biases where the model has them.
    fn project(&mut self, layer: usize, x: &str) -> Result<Edge, Error> {
        let Config { hidden, heads, kv_heads, head_dim, .. } = *self.config;
        let name = |part: char, kind: &str| format!("blk.{layer}.attn_{part}.{kind}");
        let rotated = if self.config.interleaved { RowOrder::SplitHalves(head_dim) } else { RowOrder::AsIs };
        let parts = [('q', heads, rotated), ('k', kv_heads, rotated), ('v', kv_heads, RowOrder::AsIs)];
        let (mut stack, mut biases) = (Vec::new(), Vec::new());
        for (part, heads, order) in parts {
            let rows = heads * head_dim;
            stack.push((self.tensors.matrix(&name(part, "weight"), rows, hidden)?, order));
            if let Some(bias) = self.tensors.optional_vector(&name(part, "bias"), rows)? {
                biases.push((bias, order));
            }
        }
        let projected =
            self.writer.linear(x, &format!("blk.{layer}.attn_qkv.weight"), &Matrix::stack(stack))?;
        if biases.is_empty() {
            return Ok(projected);
        }
        if biases.len() != 3 {
            return Err(Error::Unsupported(format!(
                "layer {layer} has a bias for some of query, key and value only"
            )));
        }
        let bias = self.writer.stacked_vector(&format!("blk.{layer}.attn_qkv.bias"), &biases)?;
        Ok(self.writer.graph.add(Node::new("Add", &[&projected, &bias])))
    }

    /// Norms each head's queries and keys where the model does; otherwise leaves them packed, as the operator reads them.
    fn norm_heads(&mut self, layer: usize, projected: Edge) -> Result<[Edge; 3], Error> {
        if !self.tensors.has(&format!("blk.{layer}.attn_q_norm.weight")) {
            return Ok([projected, String::new(), String::new()]);
        }
        let Config { heads, kv_heads, head_dim, .. } = *self.config;
        let widths = [heads, kv_heads, kv_heads].map(|heads| (heads * head_dim) as i64);
        let widths = self.writer.graph.integers(&format!("blk.{layer}.widths"), &widths);
        let split = Node::new("Split", &[&projected, &widths]).int("axis", -1);
        let [query, key, value] = self.writer.graph.add_many(split);
        Ok([self.norm_each(layer, 'q', &query, heads)?, self.norm_each(layer, 'k', &key, kv_heads)?, value])
    }

    fn norm_each(&mut self, layer: usize, part: char, x: &str, heads: usize) -> Result<Edge, Error> {
        let head_dim = self.config.head_dim;
        let name = format!("blk.{layer}.attn_{part}_norm.weight");
        let graph = &mut self.writer.graph;
        let apart = graph.integers(&format!("{name}.heads"), &[0, 0, heads as i64, head_dim as i64]);
        let together = graph.integers(&format!("{name}.width"), &[0, 0, (heads * head_dim) as i64]);
        let apart = graph.add(Node::new("Reshape", &[x, &apart]));
        let normed = self.norm(&apart, &name, head_dim)?;
        Ok(self.writer.graph.add(Node::new("Reshape", &[&normed, &together])))
    }

    /// Each text's last token: `[batch, 1, hidden]`. With padding on the right, a prompt's last token stands at its length
    /// less one; after that every column is real, so the last column is meant. The smaller of the two is right for both.
    pub(super) fn last_token(&mut self, x: &str, shared: &Shared) -> Edge {
        let graph = &mut self.writer.graph;
        let (one, axes) = (graph.integers("one_wide", &[1]), graph.integers("axes_1_2", &[1, 2]));
        let shape = graph.add(Node::new("Shape", &[x]).int("start", 1).int("end", 2));
        let last_column = graph.add(Node::new("Sub", &[&shape, &one]));
        let index = graph.add(Node::new("Min", &[&shared.lengths_less_one_wide, &last_column]));
        let index = graph.add(Node::new("Unsqueeze", &[&index, &axes]));
        graph.add(Node::new("GatherND", &[x, &index]).int("batch_dims", 1))
    }

    /// Declares the present keys and values of every layer, after the logits.
    pub(super) fn declare_presents(&mut self) {
        let shape = self.cache_shape("present_positions");
        for name in (0..self.config.layers).flat_map(presents) {
            self.writer.graph.output(&name, ElementType::F32, &shape);
        }
    }

    fn declare_pasts(&mut self, layer: usize) -> [Edge; 2] {
        let shape = self.cache_shape("past_positions");
        ["key", "value"].map(|part| {
            let name = format!("past_key_values.{layer}.{part}");
            self.writer.graph.input(&name, ElementType::F32, &shape)
        })
    }

    fn cache_shape(&self, positions: &str) -> [Dimension; 4] {
        ["batch".into(), self.config.kv_heads.into(), positions.into(), self.config.head_dim.into()]
    }

    fn rotary_tables(&mut self) -> Result<(Edge, Edge), Error> {
        let Config { context_tokens, head_dim, rope_base, rope_scaling, .. } = *self.config;
        let (cos, sin) =
            rope::tables(context_tokens, head_dim, rope_base, rope_scaling, &self.config.rope_factors);
        let shape = [context_tokens, head_dim / 2];
        Ok((self.writer.floats("rope.cos", &shape, &cos)?, self.writer.floats("rope.sin", &shape, &sin)?))
    }
}

fn presents(layer: usize) -> [Edge; 2] {
    ["key", "value"].map(|part| format!("present.{layer}.{part}"))
}
