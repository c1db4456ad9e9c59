//! The decoder's graph: embedding, layers of attention and gated feed-forward, and the head.
//!
//! Every norm that follows a residual is fused with it, so a layer hands on two values: the sum, and the sum normed.

use super::super::onnx::proto::Dimension;
use super::super::onnx::{Edge, ElementType, Node};
use super::super::tensors::Tensors;
use super::super::weights::{Matrix, RowOrder, Writer};
use super::super::{Error, Logits};
use super::attention::Shared;
use super::config::Config;

/// A decoder being written.
pub(super) struct Decoder<'a, 'w, 'p, 'f> {
    pub(super) config: &'a Config,
    pub(super) tensors: &'a dyn Tensors,
    pub(super) writer: &'w mut Writer<'p, 'f>,
}

/// What a layer hands to the next.
struct Stream {
    /// The residual sum.
    sum: Edge,
    /// The sum, normed for whoever reads it next.
    normed: Edge,
}

impl Decoder<'_, '_, '_, '_> {
    /// Builds the whole graph.
    pub(super) fn build(mut self, logits: Logits) -> Result<(), Error> {
        let batch_tokens = ["batch".into(), "tokens".into()];
        let ids = self.writer.graph.input("input_ids", ElementType::I64, &batch_tokens);
        let shared = self.shared_inputs()?;
        let Config { vocab, hidden, layers, .. } = *self.config;
        let embedding = Matrix::of(self.tensors.matrix("token_embd.weight", vocab, hidden)?);
        let (sum, stored) = self.writer.embedding(&ids, "token_embd.weight", &embedding)?;
        let normed = self.norm(&sum, "blk.0.attn_norm.weight", hidden)?;
        let mut stream = Stream { sum, normed };
        for layer in 0..layers {
            stream = self.layer(layer, stream, &shared)?;
        }
        let read = match logits {
            Logits::LastToken => self.last_token(&stream.normed, &shared),
            Logits::AllPositions => stream.normed,
        };
        let head = if self.tensors.has("output.weight") {
            let matrix = Matrix::of(self.tensors.matrix("output.weight", vocab, hidden)?);
            self.writer.linear(&read, "output.weight", &matrix)?
        } else {
            self.writer.tied(&read, &stored)
        };
        self.writer.graph.add_as(Node::new("Identity", &[&head]), &["logits"]);
        let shape: [Dimension; 3] = ["batch".into(), logits.positions(), vocab.into()];
        self.writer.graph.output("logits", ElementType::F32, &shape);
        self.declare_presents();
        Ok(())
    }

    fn layer(&mut self, layer: usize, stream: Stream, shared: &Shared) -> Result<Stream, Error> {
        let attended = self.attention(layer, &stream.normed, shared)?;
        let stream = self.add_and_norm(&attended, &stream.sum, &format!("blk.{layer}.ffn_norm.weight"))?;
        let fed = self.feed_forward(layer, &stream.normed)?;
        let next = match layer + 1 {
            next if next == self.config.layers => "output_norm.weight".to_owned(),
            next => format!("blk.{next}.attn_norm.weight"),
        };
        self.add_and_norm(&fed, &stream.sum, &next)
    }

    /// `down(silu(gate(x)) * up(x))`, gate and up as one product.
    fn feed_forward(&mut self, layer: usize, x: &str) -> Result<Edge, Error> {
        let Config { hidden, feed_forward, .. } = *self.config;
        let name = |part: &str| format!("blk.{layer}.ffn_{part}.weight");
        let gate = self.tensors.matrix(&name("gate"), feed_forward, hidden)?;
        let up = self.tensors.matrix(&name("up"), feed_forward, hidden)?;
        let stacked = Matrix::stack(vec![(gate, RowOrder::AsIs), (up, RowOrder::AsIs)]);
        let both = self.writer.linear(x, &name("gate_up"), &stacked)?;
        let split = Node::new("Split", &[&both]).int("axis", -1).int("num_outputs", 2);
        let [gate, up] = self.writer.graph.add_many(split);
        let gate = self.writer.graph.add(Node::microsoft("QuickGelu", &[&gate]).float("alpha", 1.0));
        let product = self.writer.graph.add(Node::new("Mul", &[&gate, &up]));
        let down = Matrix::of(self.tensors.matrix(&name("down"), hidden, feed_forward)?);
        self.writer.linear(&product, &name("down"), &down)
    }

    /// Root-mean-square norm over the last axis, of `width` numbers.
    pub(super) fn norm(&mut self, x: &str, name: &str, width: usize) -> Result<Edge, Error> {
        let weight = self.writer.vector(name, &self.tensors.vector(name, width)?)?;
        let node =
            Node::new("SimplifiedLayerNormalization", &[x, &weight]).int("axis", -1).int("stash_type", 1);
        Ok(self.writer.graph.add(node.float("epsilon", self.config.epsilon)))
    }

    fn add_and_norm(&mut self, x: &str, residual: &str, name: &str) -> Result<Stream, Error> {
        let weight = self.writer.vector(name, &self.tensors.vector(name, self.config.hidden)?)?;
        let node = Node::microsoft("SkipSimplifiedLayerNormalization", &[x, residual, &weight]);
        let node = node.float("epsilon", self.config.epsilon);
        let stream = Stream { sum: format!("{name}.sum"), normed: format!("{name}.normed") };
        self.writer.graph.add_as(node, &[&stream.normed, "", "", &stream.sum]);
        Ok(stream)
    }
}
