//! Secrets typed in the wrong place: found before anything of the file can be shown.

use serde_json::Value;

use super::env::Env;
use super::error::Fault;
use super::path::{JsonPath, Step};

/// Texts shorter than this may be words: a proxy that takes any key is often given one.
const MIN_SECRET: usize = 16;

const ADVICE: &str =
    "keys belong in providers.<name>.apiKey or gateway.keys[].key, best as \"${NAME}\"";

/// Refuses a document in which a key stands anywhere but among the keys of a provider or of the
/// gateway: something like `sk-…`, or the very text of a key that it or the environment has.
pub(super) fn refuse_strays(document: &Value, env: Env<'_>) -> Result<(), Fault> {
    let mut secrets = Vec::new();
    collect(document, &JsonPath::default(), &mut secrets);
    let known = super::credentials::KEY_VARIABLES.iter().filter_map(|(_, name)| env(name));
    secrets.extend(known.filter(|key| key.len() >= MIN_SECRET));
    check(document, &JsonPath::default(), &secrets)
}

fn collect(value: &Value, path: &JsonPath, secrets: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            if is_secret_place(path) && text.len() >= MIN_SECRET {
                secrets.push(text.clone());
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                collect(value, &path.index(index), secrets);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(value, &path.key(key), secrets);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check(value: &Value, path: &JsonPath, secrets: &[String]) -> Result<(), Fault> {
    let is_stray = |text: &str| {
        looks_like_key(text) || secrets.iter().any(|secret| text.contains(secret.as_str()))
    };
    match value {
        Value::String(text) if is_stray(text) && !is_secret_place(path) => {
            Err(Fault::at(path, "this has a credential in it", ADVICE))
        }
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| check(value, &path.index(index), secrets)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            if is_stray(key) {
                return Err(Fault::at(path, "a key of this object is a credential", ADVICE));
            }
            check(value, &path.key(key), secrets)
        }),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Whether a secret belongs there.
pub(super) fn is_secret_place(path: &JsonPath) -> bool {
    let keys = path.steps().iter().map(|step| match step {
        Step::Key(key) => key.as_str(),
        Step::Index(_) => "[]",
    });
    matches!(
        keys.collect::<Vec<_>>()[..],
        ["providers", _]
            | ["providers", _, "apiKey"]
            | ["providers", _, "apiKeys", "[]"]
            | ["gateway", "adminKey"]
            | ["gateway", "keys", "[]", "key"]
    )
}

/// Whether a text has something in it that looks like an API key (`sk-…`), wherever it stands.
pub(crate) fn looks_like_key(text: &str) -> bool {
    text.match_indices("sk-").any(|(at, _)| {
        let starts_word = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let rest = &text[at + 3..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        let body = &rest[..end.unwrap_or(rest.len())];
        // `sk-learn-contrib` is prose; a key is `sk-ant-…`, or long and with digits.
        let long = body.len() >= 16 && body.contains(|c: char| c.is_ascii_digit());
        starts_word && (body.starts_with("ant-") || long)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_prose() {
        for key in ["sk-ant-api03-x", "x: sk-ant-1", "sk-proj-0123456789abcdef", "\"sk-ant-a\""] {
            assert!(looks_like_key(key), "{key}");
        }
        for prose in ["sk-learn-contrib and its friends", "ask-ant-eaters", "task-1", "sk-", ""] {
            assert!(!looks_like_key(prose), "{prose}");
        }
    }
}
