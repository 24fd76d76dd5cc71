//! What the messages about a line have in common.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::{nearest, shown_key};

/// What is wrong with a line, in words.
pub(super) type Problem = String;

/// A string, borrowed unless it has escapes in it.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The kind of a JSON value, with its article.
pub(super) fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(_) | None => "a number",
    }
}

/// The text of a string.
pub(super) fn text<'a>(raw: &'a RawValue, key: &str) -> Result<Cow<'a, str>, Problem> {
    let json = raw.get();
    if !json.starts_with('"') {
        return Err(format!("`{key}` must be a string, not {}", kind(raw)));
    }
    match serde_json::from_str(json) {
        Ok(Text(text)) => Ok(text),
        // The line as a whole was JSON: only an escape can be wrong.
        Err(_) => {
            Err(format!("`{key}` has half of a surrogate pair in it (`\\ud800` to `\\udfff`)"))
        }
    }
}

/// A text from the file as it may stand in a message: not long, and with no tricks for terminals.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// A positive whole number.
pub(super) fn count(raw: &RawValue, key: &str) -> Result<u32, Problem> {
    match raw.get().parse() {
        Ok(count) if count > 0 => Ok(count),
        Ok(_) | Err(_) => {
            let got = match kind(raw) {
                "a number" => raw.get(),
                other => other,
            };
            Err(format!("`{key}` must be a whole number from 1 to {}, not {got}", u32::MAX))
        }
    }
}

/// An error of the JSON library, in our words. `what` is the object that was read.
pub(super) fn json_problem(error: &serde_json::Error, what: &str) -> Problem {
    let message = error.to_string();
    let message = message.rfind(" at line ").map_or(message.as_str(), |at| &message[..at]);
    if !error.is_data() {
        let message = message.replace("EOF while parsing", "the line ends inside");
        return format!("not valid JSON at column {}: {message}", error.column());
    }
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let end = rest.rfind("`, expected ").unwrap_or(rest.len());
        let known: Vec<&str> = rest[end..].split('`').skip(2).step_by(2).collect();
        return unknown_key(&rest[..end], &known, what);
    }
    if let Some(rest) = message.strip_prefix("duplicate field `") {
        let key = rest.trim_end_matches('`');
        return format!("{what} has `{key}` twice: keep one of them");
    }
    format!("{what} must be an object")
}

fn unknown_key(key: &str, known: &[&str], what: &str) -> Problem {
    if key == "maxCostUsd" {
        return "this version of polpo has no `maxCostUsd` yet: remove it".into();
    }
    let shown = shown_key(key).map_or(String::new(), |key| format!(" `{key}`"));
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key{shown} in {what}: did you mean `{near}`?"),
        None => format!("unknown key{shown} in {what}: the keys are {}", known.join(", ")),
    }
}
