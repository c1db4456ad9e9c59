//! Vectors, as numbers or in base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use lowland_events::job::Completed;
use serde::Serialize;

use crate::translate::VectorFormat;

/// The answer to an embeddings request. A type of its own, since 32-bit floats are to be written shortest.
#[derive(Debug, Serialize)]
pub struct Vectors {
    object: &'static str,
    data: Vec<Vector>,
    model: String,
    usage: Tokens,
}

#[derive(Debug, Serialize)]
struct Vector {
    object: &'static str,
    index: usize,
    embedding: Embedding,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Embedding {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Serialize)]
struct Tokens {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The answer of a completed embedding job.
#[must_use]
pub fn vectors(model: &str, completed: &Completed, format: VectorFormat) -> Vectors {
    let vector = |(index, bytes): (usize, &[u8])| Vector {
        object: "embedding",
        index,
        embedding: match format {
            VectorFormat::Float => Embedding::Float(floats(bytes)),
            VectorFormat::Base64 => Embedding::Base64(STANDARD.encode(bytes)),
        },
    };
    let tokens = completed.usage.prompt_tokens();
    Vectors {
        object: "list",
        data: completed.output.vectors.iter().map(|bytes| bytes.as_slice()).enumerate().map(vector).collect(),
        model: model.to_owned(),
        usage: Tokens { prompt_tokens: tokens, total_tokens: tokens },
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (quads, _) = bytes.as_chunks::<4>();
    quads.iter().copied().map(f32::from_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{
        id::InstanceId,
        job::{Finish, Output},
        meter::{Meter, Usage},
    };
    use serde_json::json;

    #[test]
    fn both_formats_say_the_same() {
        let bytes: Vec<u8> = [0.1_f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let completed = Completed {
            instance: InstanceId::new("i").unwrap(),
            attempt: 1,
            finish: Finish::Stop,
            output: Output { vectors: vec![bytes.clone().into(), bytes.into()], ..Output::default() },
            usage: Usage::of([(Meter::EmbeddingTokens, 5)]),
        };
        let float = serde_json::to_string(&vectors("m", &completed, VectorFormat::Float)).unwrap();
        assert_eq!(
            float,
            concat!(
                r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2.0]},"#,
                r#"{"object":"embedding","index":1,"embedding":[0.1,-2.0]}],"model":"m","#,
                r#""usage":{"prompt_tokens":5,"total_tokens":5}}"#,
            )
        );
        let base64 = serde_json::to_value(vectors("m", &completed, VectorFormat::Base64)).unwrap();
        assert_eq!(base64["data"][1]["embedding"], json!("zczMPQAAAMA="));
    }
}
