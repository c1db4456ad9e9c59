//! Writes ONNX models: messages, a graph builder, and weights streamed into one external file.
mod builder;
mod external;
pub mod proto;

pub use builder::{Edge, Graph, Node};
pub use external::{External, WriteError};

/// Domain of ONNX Runtime's own operators.
pub const MICROSOFT: &str = "com.microsoft";

/// Element types used here, by their ONNX numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum ElementType {
    /// 32-bit float.
    F32 = 1,
    /// Unsigned byte.
    U8 = 2,
    /// 32-bit integer.
    I32 = 6,
    /// 64-bit integer.
    I64 = 7,
}
