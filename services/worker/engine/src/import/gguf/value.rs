//! Metadata values: scalars, strings and flat arrays of them.

use super::cursor::{Cursor, Error, Problem};

/// A metadata value. Integers are widened: nobody who reads a hyper-parameter cares for its width in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// A 32-bit or 64-bit float.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// UTF-8 text.
    String(String),
    /// A flat array.
    Array(Array),
}

/// A flat array of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Integers of any width and sign; an unsigned one past `i64::MAX` wraps.
    Integers(Vec<i64>),
    /// Floats of either width.
    Floats(Vec<f64>),
    /// Booleans.
    Bools(Vec<bool>),
    /// Texts.
    Strings(Vec<String>),
}

const ARRAY: u32 = 9;

impl Value {
    /// The value as a count or an id, when it is a non-negative integer.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::Unsigned(value) => Some(value),
            Value::Signed(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// The value as a number.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::Unsigned(value) => Some(value as f64),
            Value::Signed(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The value as a truth value.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// The value as text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(value) = self { Some(value) } else { None }
    }

    /// The value as an array of texts.
    pub fn as_strings(&self) -> Option<&[String]> {
        if let Value::Array(Array::Strings(values)) = self { Some(values) } else { None }
    }

    /// The value as an array of integers.
    pub fn as_integers(&self) -> Option<&[i64]> {
        if let Value::Array(Array::Integers(values)) = self { Some(values) } else { None }
    }

    /// The value as an array of floats.
    pub fn as_floats(&self) -> Option<&[f64]> {
        if let Value::Array(Array::Floats(values)) = self { Some(values) } else { None }
    }

    pub(super) fn read(cursor: &mut Cursor<'_>, field: &str) -> Result<Value, Error> {
        let begin = cursor.position();
        match cursor.u32(field)? {
            ARRAY => Ok(Value::Array(Array::read(cursor, field)?)),
            kind => Value::scalar(cursor, kind, begin, field),
        }
    }

    fn scalar(cursor: &mut Cursor<'_>, kind: u32, kind_at: usize, field: &str) -> Result<Value, Error> {
        Ok(match kind {
            0 => Value::Unsigned(u64::from(u8::from_le_bytes(cursor.array(field)?))),
            1 => Value::Signed(i64::from(i8::from_le_bytes(cursor.array(field)?))),
            2 => Value::Unsigned(u64::from(u16::from_le_bytes(cursor.array(field)?))),
            3 => Value::Signed(i64::from(i16::from_le_bytes(cursor.array(field)?))),
            4 => Value::Unsigned(u64::from(cursor.u32(field)?)),
            5 => Value::Signed(i64::from(i32::from_le_bytes(cursor.array(field)?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(cursor.array(field)?))),
            7 => Value::Bool(read_bool(cursor, field)?),
            8 => Value::String(cursor.string(field)?.to_owned()),
            10 => Value::Unsigned(cursor.u64(field)?),
            11 => Value::Signed(i64::from_le_bytes(cursor.array(field)?)),
            12 => Value::Float(f64::from_le_bytes(cursor.array(field)?)),
            _ => return Err(Cursor::error(kind_at, field, Problem::ValueType(kind))),
        })
    }
}

impl Array {
    fn read(cursor: &mut Cursor<'_>, field: &str) -> Result<Array, Error> {
        let kind_at = cursor.position();
        let kind = cursor.u32(field)?;
        let Some(entry_bytes_min) = bytes_min(kind) else {
            let problem = if kind == ARRAY { Problem::NestedArray } else { Problem::ValueType(kind) };
            return Err(Cursor::error(kind_at, field, problem));
        };
        let count = cursor.count(entry_bytes_min, field)?;
        let mut array = Array::with_capacity(kind, count);
        for _ in 0..count {
            array.push(Value::scalar(cursor, kind, kind_at, field)?);
        }
        Ok(array)
    }

    fn with_capacity(kind: u32, count: usize) -> Array {
        match kind {
            6 | 12 => Array::Floats(Vec::with_capacity(count)),
            7 => Array::Bools(Vec::with_capacity(count)),
            8 => Array::Strings(Vec::with_capacity(count)),
            _ => Array::Integers(Vec::with_capacity(count)),
        }
    }

    fn push(&mut self, value: Value) {
        match (self, value) {
            (Array::Integers(all), Value::Unsigned(one)) => all.push(one as i64),
            (Array::Integers(all), Value::Signed(one)) => all.push(one),
            (Array::Floats(all), Value::Float(one)) => all.push(one),
            (Array::Bools(all), Value::Bool(one)) => all.push(one),
            (Array::Strings(all), Value::String(one)) => all.push(one),
            _ => unreachable!("with_capacity and scalar agree on what each type becomes"),
        }
    }
}

/// Fewest bytes that one value of a type takes in the file; none for arrays and unknown types.
fn bytes_min(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        _ => return None,
    })
}

fn read_bool(cursor: &mut Cursor<'_>, field: &str) -> Result<bool, Error> {
    let begin = cursor.position();
    match cursor.array::<1>(field)? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(Cursor::error(begin, field, Problem::Bool(other))),
    }
}
