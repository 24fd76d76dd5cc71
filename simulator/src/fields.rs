//! The fields of a request body, checked as the API does and in its words.

use serde_json::{Map, Value};

use crate::problem::Problem;

/// Fields that the API documents.
const KNOWN: [&str; 17] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "stream",
    "stop_sequences",
    "metadata",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "service_tier",
    "speed",
];

/// Fields that some beta adds: known as soon as the request names any beta.
const BETA: [&str; 5] =
    ["context_management", "mcp_servers", "fallbacks", "compaction", "billing_policy"];

const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];

/// A value of a field, or the API's complaint about it.
pub(crate) type Checked<T> = Result<T, Problem>;

/// A complaint about the value at a path.
pub(crate) fn wrong<T>(path: &str, complaint: &str) -> Checked<T> {
    Err(Problem::invalid(format!("{path}: {complaint}")))
}

/// A field that must be there, as a non-empty string.
pub(crate) fn required_string<'a>(body: &'a Map<String, Value>, name: &str) -> Checked<&'a str> {
    match body.get(name) {
        None => wrong(name, "Field required"),
        Some(Value::String(text)) if text.is_empty() => {
            wrong(name, "String should have at least 1 character")
        }
        Some(Value::String(text)) => Ok(text),
        Some(_) => wrong(name, "Input should be a valid string"),
    }
}

/// `max_tokens`: zero is allowed, it warms the cache.
pub(crate) fn max_tokens(body: &Map<String, Value>) -> Checked<u64> {
    match body.get("max_tokens") {
        None => wrong("max_tokens", "Field required"),
        Some(value) => match (value.as_u64(), value.as_i64()) {
            (Some(count), _) => Ok(count),
            (None, Some(_)) => wrong("max_tokens", "Input should be greater than or equal to 0"),
            (None, None) => wrong("max_tokens", "Input should be a valid integer"),
        },
    }
}

/// A boolean that is false when absent.
pub(crate) fn flag(body: &Map<String, Value>, name: &str) -> Checked<bool> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => wrong(name, "Input should be a valid boolean"),
    }
}

/// One of a closed set of words, if given.
pub(crate) fn choice<'a>(
    body: &'a Map<String, Value>,
    name: &str,
    words: [&str; 2],
) -> Checked<Option<&'a str>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(word)) if words.contains(&word.as_str()) => Ok(Some(word)),
        Some(_) => wrong(name, &format!("Input should be '{}' or '{}'", words[0], words[1])),
    }
}

/// `stop_sequences`.
pub(crate) fn stop_sequences(body: &Map<String, Value>) -> Checked<Vec<String>> {
    let sequences = match body.get("stop_sequences") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(sequences)) => sequences,
        Some(_) => return wrong("stop_sequences", "Input should be a valid list"),
    };
    let one = |(index, value): (usize, &Value)| match value.as_str() {
        Some(text) if text.trim().is_empty() => {
            wrong("stop_sequences", "each stop sequence must contain non-whitespace")
        }
        Some(text) => Ok(text.to_owned()),
        None => wrong(&format!("stop_sequences.{index}"), "Input should be a valid string"),
    };
    sequences.iter().enumerate().map(one).collect()
}

/// The shapes of the fields whose content is not looked at here.
pub(crate) fn shapes(body: &Map<String, Value>) -> Checked<()> {
    for name in ["metadata", "tool_choice", "thinking", "output_config", "cache_control"] {
        if !matches!(body.get(name), None | Some(Value::Null | Value::Object(_))) {
            return wrong(name, "Input should be a valid dictionary");
        }
    }
    if !matches!(body.get("tools"), None | Some(Value::Null | Value::Array(_))) {
        return wrong("tools", "Input should be a valid list");
    }
    Ok(())
}

/// No field but those of the API, its betas and, in the older version, the sampling parameters.
pub(crate) fn no_extras(body: &Map<String, Value>, sampling: bool, beta: bool) -> Checked<()> {
    let is_known = |name: &str| {
        KNOWN.contains(&name)
            || sampling && SAMPLING.contains(&name)
            || beta && BETA.contains(&name)
    };
    match body.keys().find(|name| !is_known(name)) {
        Some(name) => wrong(name, "Extra inputs are not permitted"),
        None => Ok(()),
    }
}

/// Sampling parameters under the older version: in range and, from 4.7 on, the defaults only.
pub(crate) fn sampling(body: &Map<String, Value>, defaults_only: bool) -> Checked<()> {
    for name in SAMPLING {
        let Some(value) = body.get(name).filter(|value| !value.is_null()) else { continue };
        let Some(number) = value.as_f64() else {
            return wrong(name, "Input should be a valid number");
        };
        let is_share = name != "top_k";
        if number < 0.0 {
            return wrong(name, "Input should be greater than or equal to 0");
        }
        if is_share && number > 1.0 {
            return wrong(name, "Input should be less than or equal to 1");
        }
        let is_default = is_share && (1.0 - number).abs() < f64::EPSILON;
        if defaults_only && !is_default {
            return Err(Problem::invalid(format!("`{name}` is deprecated for this model.")));
        }
    }
    Ok(())
}
