//! A JSON object with a version in it.

use serde_json::{Map, Value};

/// Why a text is no such object.
pub(crate) enum Damage {
    /// It is of this later version.
    Newer(f64),
    /// It is not what it should be: what is wrong, and nothing of the text.
    Corrupt(String),
}

/// The object of that version that a text is.
pub(crate) fn parse(text: &[u8], version: u32) -> Result<Map<String, Value>, Damage> {
    let corrupt = |what: &str| Damage::Corrupt(what.into());
    let value = serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Damage::Corrupt(format!("it is no JSON at line {line}, column {column}"))
    })?;
    let Value::Object(object) = value else { return Err(corrupt("it is no JSON object")) };
    match object.get("version").and_then(Value::as_f64) {
        Some(found) if found > f64::from(version) => Err(Damage::Newer(found)),
        Some(found) if found >= f64::from(version) => Ok(object),
        Some(_) | None => Err(corrupt("it has no version that there ever was")),
    }
}
