//! `POST /v1/embeddings`.

use lowland_events::request::{OneOrMany, Posted};
use serde_json::Value;

use super::{
    fields::{Fields, missing, unsupported},
    sampling,
};
use crate::error::ApiError;

/// A request for vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// What is posted.
    pub posted: Posted,
    /// How vectors are written.
    pub format: VectorFormat,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VectorFormat {
    /// As JSON numbers.
    #[default]
    Float,
    /// As base64 of little-endian 32-bit floats: what the official clients ask for.
    Base64,
}

/// Reads the body of an embeddings request.
pub fn embedding(body: &[u8]) -> Result<Embedding, ApiError> {
    let mut fields = Fields::parse(body)?;
    let model = sampling::model(&mut fields)?;
    let input = Some(input(&mut fields)?);
    let format = format(fields.text("encoding_format")?.as_deref())?;
    fields.refuse_unless("dimensions", |_| false, "vectors have the model's own size")?;
    let mut posted = Posted { model, input, ..Posted::default() };
    sampling::place_and_time(&mut fields, &mut posted)?;
    Ok(Embedding { posted, format })
}

fn input(fields: &mut Fields) -> Result<OneOrMany, ApiError> {
    let first = fields.peek("input").and_then(Value::as_array).and_then(|items| items.first());
    if let Some(Value::Number(_) | Value::Array(_)) = first {
        return Err(unsupported("input", "send the text itself; tokens are not read"));
    }
    fields.texts("input")?.ok_or_else(|| missing("input"))
}

fn format(given: Option<&str>) -> Result<VectorFormat, ApiError> {
    match given {
        None | Some("float") => Ok(VectorFormat::Float),
        Some("base64") => Ok(VectorFormat::Base64),
        Some(other) => {
            let message =
                format!("invalid value for 'encoding_format': {other:?}; expected 'float' or 'base64'");
            Err(ApiError::parameter("invalid_value", "encoding_format", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(body: Value) -> Result<Embedding, ApiError> {
        embedding(body.to_string().as_bytes())
    }

    #[test]
    fn one_or_many_texts() {
        let one = of(json!({"model": "m", "input": "a", "encoding_format": "base64"})).unwrap();
        assert_eq!(one.posted.input, Some(OneOrMany::One("a".into())));
        assert_eq!(one.format, VectorFormat::Base64);
        let many = of(json!({"model": "m", "input": ["a", "b"]})).unwrap();
        assert_eq!(many.posted.input, Some(OneOrMany::Many(vec!["a".into(), "b".into()])));
        assert_eq!(many.format, VectorFormat::Float);
    }

    #[test]
    fn tokens_and_strangers_are_refused() {
        let table = [
            (json!({"model": "m", "input": [1, 2]}), "input"),
            (json!({"model": "m", "input": [[1], [2]]}), "input"),
            (json!({"model": "m", "input": ["a", 2]}), "input[1]"),
            (json!({"model": "m"}), "input"),
            (json!({"model": "m", "input": "a", "dimensions": 64}), "dimensions"),
            (json!({"model": "m", "input": "a", "encoding_format": "int8"}), "encoding_format"),
            (json!({"input": "a"}), "model"),
        ];
        for (body, param) in table {
            assert_eq!(of(body).unwrap_err().param.as_deref(), Some(param));
        }
    }
}
