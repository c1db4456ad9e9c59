//! Model ids: checked, or made from a name.

use super::Error;

/// Longest id, in bytes.
const LENGTH_MAX: usize = 64;

/// Whether `id` may be a model's id.
///
/// # Errors
/// When it is empty, too long, or holds anything but letters, digits, `-` and `_`.
pub(crate) fn check(id: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if id.is_empty() || id.len() > LENGTH_MAX || !id.chars().all(allowed) {
        return Err(Error::Id(id.to_owned()));
    }
    Ok(())
}

/// The id that was asked for, or one made from `name`.
///
/// # Errors
/// When neither gives an id.
pub(crate) fn choose(wanted: Option<&str>, name: &str) -> Result<String, Error> {
    match wanted {
        Some(id) => check(id).map(|()| id.to_owned()),
        None => from_name(name),
    }
}

/// An id made from a name for people: lower case, runs of anything else as one `-`.
///
/// # Errors
/// When the name holds no letter and no digit.
pub(crate) fn from_name(name: &str) -> Result<String, Error> {
    let mut id = String::new();
    for c in name.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => id.push(c.to_ascii_lowercase()),
            '_' => id.push('_'),
            _ if id.ends_with('-') => {}
            _ => id.push('-'),
        }
    }
    let id: String = id.trim_matches('-').chars().take(LENGTH_MAX).collect();
    let id = id.trim_end_matches('-').to_owned();
    check(&id).map_err(|_| Error::Id(name.to_owned()))?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        assert_eq!(from_name("SmolLM2 135M Instruct").unwrap(), "smollm2-135m-instruct");
        assert_eq!(from_name("  Llama-3.2 (1B)  ").unwrap(), "llama-3-2-1b");
        assert_eq!(from_name(&"x".repeat(100)).unwrap().len(), LENGTH_MAX);
        assert!(from_name("模型").is_err());
    }

    #[test]
    fn ids_are_subject_tokens() {
        check("Ab_9-z").unwrap();
        for bad in ["", "a.b", "a b", "a*", "a>", "ä", &"x".repeat(65)] {
            assert!(matches!(check(bad), Err(Error::Id(_))), "{bad:?}");
        }
    }
}
