//! The encoder's graph: three embeddings, then layers of attention and feed-forward, each followed by a norm.

use super::super::Error;
use super::super::onnx::{Edge, ElementType, Node};
use super::super::tensors::Tensors;
use super::super::weights::{Matrix, RowOrder, Writer};
use super::config::Config;

/// An encoder being written.
pub(super) struct Encoder<'a, 'w, 'p, 'f> {
    pub(super) config: &'a Config,
    pub(super) tensors: &'a dyn Tensors,
    pub(super) writer: &'w mut Writer<'p, 'f>,
}

impl Encoder<'_, '_, '_, '_> {
    /// Builds the whole graph: `input_ids`, `attention_mask`, `token_type_ids` to `last_hidden_state`.
    pub(super) fn build(mut self) -> Result<(), Error> {
        let shape = ["batch".into(), "tokens".into()];
        let inputs = ["input_ids", "attention_mask", "token_type_ids"];
        let [ids, mask, types] = inputs.map(|name| self.writer.graph.input(name, ElementType::I64, &shape));
        let cast = Node::new("Cast", &[&mask]).int("to", ElementType::I32 as i64);
        let mask = self.writer.graph.add(cast);
        let mut x = self.embed(&ids, &types)?;
        for layer in 0..self.config.layers {
            x = self.layer(layer, &x, &mask)?;
        }
        self.writer.graph.add_as(Node::new("Identity", &[&x]), &["last_hidden_state"]);
        let shape = ["batch".into(), "tokens".into(), self.config.hidden.into()];
        self.writer.graph.output("last_hidden_state", ElementType::F32, &shape);
        Ok(())
    }

    /// The sum of word, position and type embeddings, normed.
    fn embed(&mut self, ids: &str, types: &str) -> Result<Edge, Error> {
        let Config { hidden, vocab, context_tokens, types: kinds, .. } = *self.config;
        let name = |part: &str| self.name(&format!("embeddings.{part}_embeddings.weight"));
        let (words, places, sorts) = (name("word"), name("position"), name("token_type"));
        let matrix = Matrix::of(self.tensors.matrix(&words, vocab, hidden)?);
        let (word, _) = self.writer.embedding(ids, &words, &matrix)?;
        let matrix = Matrix::of(self.tensors.matrix(&places, context_tokens, hidden)?);
        let places = self.writer.table(&places, &matrix)?;
        let matrix = Matrix::of(self.tensors.matrix(&sorts, kinds, hidden)?);
        let sorts = self.writer.table(&sorts, &matrix)?;
        let graph = &mut self.writer.graph;
        let (zero, axis) = (graph.integers("zero", &[0]), graph.integers("axis_0", &[0]));
        let length = graph.add(Node::new("Shape", &[ids]).int("start", 1).int("end", 2));
        let place = graph.add(Node::new("Slice", &[&places, &zero, &length, &axis]));
        let sort = graph.add(Node::new("Gather", &[&sorts, types]).int("axis", 0));
        let sum = graph.add(Node::new("Add", &[&word, &sort]));
        let sum = graph.add(Node::new("Add", &[&sum, &place]));
        let (weight, bias) = self.norm_weights("embeddings.LayerNorm")?;
        let node = Node::new("LayerNormalization", &[&sum, &weight, &bias]).int("axis", -1);
        Ok(self.writer.graph.add(node.float("epsilon", self.config.epsilon)))
    }

    fn layer(&mut self, layer: usize, x: &str, mask: &str) -> Result<Edge, Error> {
        let Config { hidden, intermediate, .. } = *self.config;
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let attended = self.attention(layer, x, mask)?;
        let output = self.dense(&attended, &name("attention.output.dense"), hidden, hidden)?;
        let x = self.add_and_norm(&output, x, &name("attention.output"))?;
        let wide = self.dense(&x, &name("intermediate.dense"), intermediate, hidden)?;
        let bias = self.bias(&name("intermediate.dense"), intermediate)?;
        let wide = self.writer.graph.add(Node::microsoft("BiasGelu", &[&wide, &bias]));
        let output = self.dense(&wide, &name("output.dense"), hidden, intermediate)?;
        self.add_and_norm(&output, &x, &name("output"))
    }

    /// Attention without its output projection; queries, keys and values come from one product.
    fn attention(&mut self, layer: usize, x: &str, mask: &str) -> Result<Edge, Error> {
        let Config { hidden, heads, .. } = *self.config;
        let stem = format!("encoder.layer.{layer}.attention.self");
        let names = ["query", "key", "value"].map(|part| self.name(&format!("{stem}.{part}")));
        let (mut stack, mut biases) = (Vec::new(), Vec::new());
        for name in &names {
            stack.push((self.tensors.matrix(&format!("{name}.weight"), hidden, hidden)?, RowOrder::AsIs));
            biases.push((self.tensors.vector(&format!("{name}.bias"), hidden)?, RowOrder::AsIs));
        }
        let all = self.writer.linear(x, &format!("{stem}.weight"), &Matrix::stack(stack))?;
        let bias = self.writer.stacked_vector(&format!("{stem}.bias"), &biases)?;
        let split = Node::new("Split", &[&all]).int("axis", -1).int("num_outputs", 3);
        let [query, key, value] = self.writer.graph.add_many(split);
        let node = Node::microsoft("MultiHeadAttention", &[&query, &key, &value, &bias, mask]);
        Ok(self.writer.graph.add(node.int("num_heads", heads as i64)))
    }

    /// `x` through the linear layer `name`, its bias left to whatever follows.
    fn dense(&mut self, x: &str, name: &str, rows: usize, columns: usize) -> Result<Edge, Error> {
        let name = self.name(&format!("{name}.weight"));
        let matrix = Matrix::of(self.tensors.matrix(&name, rows, columns)?);
        self.writer.linear(x, &name, &matrix)
    }

    /// Norm of `x`, the bias of the linear layer that gave it, and `residual`.
    fn add_and_norm(&mut self, x: &str, residual: &str, name: &str) -> Result<Edge, Error> {
        let (weight, beta) = self.norm_weights(&format!("{name}.LayerNorm"))?;
        let bias = self.bias(&format!("{name}.dense"), self.config.hidden)?;
        let node = Node::microsoft("SkipLayerNormalization", &[x, residual, &weight, &beta, &bias]);
        Ok(self.writer.graph.add(node.float("epsilon", self.config.epsilon)))
    }

    fn norm_weights(&mut self, name: &str) -> Result<(Edge, Edge), Error> {
        let width = self.config.hidden;
        let (weight, bias) = (self.name(&format!("{name}.weight")), self.name(&format!("{name}.bias")));
        let edge = self.writer.vector(&weight, &self.tensors.vector(&weight, width)?)?;
        Ok((edge, self.writer.vector(&bias, &self.tensors.vector(&bias, width)?)?))
    }

    fn bias(&mut self, name: &str, length: usize) -> Result<Edge, Error> {
        let name = self.name(&format!("{name}.bias"));
        self.writer.vector(&name, &self.tensors.vector(&name, length)?)
    }

    /// A tensor's name in the source: models saved with a task's head on top carry a prefix.
    fn name(&self, name: &str) -> String {
        let prefix = if self.tensors.has("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
        format!("{prefix}{name}")
    }
}
