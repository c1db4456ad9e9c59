//! Builds a graph node by node; edges are names, weights go to the external file as they come.

use std::io::{self, Write};
use std::path::Path;

use prost::Message;

use super::proto::{
    ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, Dimension, DimensionProto, GraphProto,
    IR_VERSION, ModelProto, NodeProto, OPSET, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::{ElementType, External, MICROSOFT, WriteError};

/// The name of a value that flows between nodes.
pub type Edge = String;

/// A graph being built.
#[derive(Debug)]
pub struct Graph {
    proto: GraphProto,
    external: External,
}

/// A node before it joins the graph.
#[derive(Debug, Clone)]
pub struct Node(NodeProto);

impl Node {
    /// A node of the default domain, reading `inputs` (an empty name is an input left out).
    pub fn new(operator: &str, inputs: &[&str]) -> Node {
        let input = inputs.iter().map(|&name| name.to_owned()).collect();
        Node(NodeProto { op_type: operator.to_owned(), input, ..NodeProto::default() })
    }

    /// A node of ONNX Runtime's own domain.
    pub fn microsoft(operator: &str, inputs: &[&str]) -> Node {
        let Node(proto) = Node::new(operator, inputs);
        Node(NodeProto { domain: MICROSOFT.to_owned(), ..proto })
    }

    /// With an integer attribute.
    #[must_use]
    pub fn int(self, name: &str, value: i64) -> Node {
        self.attribute(AttributeProto { i: Some(value), r#type: ATTRIBUTE_INT, ..named(name) })
    }

    /// With a float attribute.
    #[must_use]
    pub fn float(self, name: &str, value: f32) -> Node {
        self.attribute(AttributeProto { f: Some(value), r#type: ATTRIBUTE_FLOAT, ..named(name) })
    }

    /// With an attribute that is a list of integers.
    #[must_use]
    pub fn ints(self, name: &str, values: &[i64]) -> Node {
        self.attribute(AttributeProto { ints: values.to_vec(), r#type: ATTRIBUTE_INTS, ..named(name) })
    }

    fn attribute(mut self, attribute: AttributeProto) -> Node {
        self.0.attribute.push(attribute);
        self
    }
}

fn named(name: &str) -> AttributeProto {
    AttributeProto { name: name.to_owned(), ..AttributeProto::default() }
}

impl Graph {
    /// An empty graph whose weights go to `external`.
    pub fn new(external: External) -> Graph {
        let name = "lowland".to_owned();
        Graph { proto: GraphProto { name, ..GraphProto::default() }, external }
    }

    /// Declares an input.
    pub fn input(&mut self, name: &str, element: ElementType, shape: &[Dimension]) -> Edge {
        self.proto.input.push(value_info(name, element, shape));
        name.to_owned()
    }

    /// Declares that the value called `name` is an output.
    pub fn output(&mut self, name: &str, element: ElementType, shape: &[Dimension]) {
        self.proto.output.push(value_info(name, element, shape));
    }

    /// Adds a node with one output, under a name of its own.
    pub fn add(&mut self, node: Node) -> Edge {
        let output = self.fresh(&node);
        self.add_as(node, &[&output]);
        output
    }

    /// Adds a node whose outputs are called `outputs` (an empty name is an output left out).
    pub fn add_as(&mut self, node: Node, outputs: &[&str]) {
        let Node(mut proto) = node;
        proto.name = format!("{}_{}", proto.op_type, self.proto.node.len());
        proto.output = outputs.iter().map(|&name| name.to_owned()).collect();
        self.proto.node.push(proto);
    }

    /// Adds a node with several outputs, under names of their own.
    pub fn add_many<const N: usize>(&mut self, node: Node) -> [Edge; N] {
        let stem = self.fresh(&node);
        let outputs: [Edge; N] = std::array::from_fn(|index| format!("{stem}_{index}"));
        self.add_as(node, &outputs.each_ref().map(String::as_str));
        outputs
    }

    /// A constant vector of integers, kept in the graph file.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> Edge {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, ElementType::I64, &[values.len()], raw)
    }

    /// A constant integer without dimensions, kept in the graph file.
    pub fn integer(&mut self, name: &str, value: i64) -> Edge {
        self.constant(name, ElementType::I64, &[], value.to_le_bytes().to_vec())
    }

    /// A weight of `shape`, whose little-endian bytes `write` streams into the external file.
    ///
    /// # Errors
    /// See [`External::append`].
    pub fn weight(
        &mut self,
        name: &str,
        element: ElementType,
        shape: &[usize],
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Edge, WriteError> {
        let tensor = self.external.append(name, element, shape, write)?;
        self.proto.initializer.push(tensor);
        Ok(name.to_owned())
    }

    /// The bytes of the weight `of` once more, under another name and shape: nothing is stored twice.
    ///
    /// # Panics
    /// When there is no such weight, or the shapes hold different numbers of elements.
    pub fn view(&mut self, name: &str, of: &str, shape: &[usize]) -> Edge {
        let original = self.proto.initializer.iter().find(|tensor| tensor.name == of);
        let mut tensor = original.expect("a view is made of a weight that was added").clone();
        let dims: Vec<i64> = shape.iter().map(|&dimension| dimension as i64).collect();
        assert_eq!(
            dims.iter().product::<i64>(),
            tensor.dims.iter().product::<i64>(),
            "a view keeps every element"
        );
        (tensor.name, tensor.dims) = (name.to_owned(), dims);
        self.proto.initializer.push(tensor);
        name.to_owned()
    }

    /// Writes the graph to `path` and flushes the weights.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn finish(self, path: &Path) -> io::Result<()> {
        self.external.finish()?;
        let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "lowland".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.proto),
            opset_import: vec![opset("", OPSET), opset(MICROSOFT, 1)],
        };
        let mut file = std::fs::File::create(path)?;
        file.write_all(&model.encode_to_vec())?;
        file.sync_all()
    }

    fn constant(&mut self, name: &str, element: ElementType, shape: &[usize], raw: Vec<u8>) -> Edge {
        self.proto.initializer.push(TensorProto {
            dims: shape.iter().map(|&dimension| dimension as i64).collect(),
            data_type: element as i32,
            name: name.to_owned(),
            raw_data: Some(raw),
            ..TensorProto::default()
        });
        name.to_owned()
    }

    fn fresh(&self, node: &Node) -> Edge {
        format!("{}_{}_out", node.0.op_type, self.proto.node.len())
    }
}

fn value_info(name: &str, element: ElementType, shape: &[Dimension]) -> ValueInfoProto {
    let dim = shape.iter().map(|value| DimensionProto { value: Some(value.clone()) }).collect();
    let tensor_type = TensorTypeProto { elem_type: element as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
