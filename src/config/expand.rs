//! `${NAME}` in the strings of a document.

use std::borrow::Cow;

use serde_json::Value;

use super::env::Env;
use super::error::Fault;
use super::path::JsonPath;

/// Replaces every `${NAME}` in the strings of `value`, which stands at `path`, but not where
/// `is_left` says so.
pub(super) fn expand(
    value: &mut Value,
    path: &JsonPath,
    env: Env<'_>,
    is_left: &dyn Fn(&JsonPath) -> bool,
) -> Result<(), Fault> {
    match value {
        _ if is_left(path) => Ok(()),
        Value::String(text) => {
            if let Cow::Owned(expanded) = expand_text(text, path, env)? {
                *text = expanded;
            }
            Ok(())
        }
        Value::Array(values) => values
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, value)| expand(value, &path.index(index), env, is_left)),
        Value::Object(fields) => fields
            .iter_mut()
            .try_for_each(|(key, value)| expand(value, &path.key(key), env, is_left)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn expand_text<'a>(text: &'a str, path: &JsonPath, env: Env<'_>) -> Result<Cow<'a, str>, Fault> {
    let Some(first) = text.find("${") else { return Ok(text.into()) };
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut next) = (text, Some(first));
    while let Some(at) = next {
        if rest[..at].ends_with('$') {
            // `$${` stands for `${`: one of the dollars goes.
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
        } else {
            out.push_str(&rest[..at]);
            let (name, after) = rest[at + 2..].split_once('}').ok_or_else(|| {
                Fault::at(path, "a `${` has no `}`", "write `$${` for a literal `${`")
            })?;
            out.push_str(&lookup(name, path, env)?);
            rest = after;
        }
        next = rest.find("${");
    }
    out.push_str(rest);
    Ok(out.into())
}

fn lookup(name: &str, path: &JsonPath, env: Env<'_>) -> Result<String, Fault> {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !letters || name.is_empty() || name.len() > 64 || name.as_bytes()[0].is_ascii_digit() {
        // What stands there may be the secret itself.
        let problem = "what stands between `${` and `}` is not the name of a variable";
        return Err(Fault::at(path, problem, "write `$${` for a literal `${`"));
    }
    env(name).ok_or_else(|| {
        let problem = format!("the environment variable {name} is not set");
        Fault::at(path, problem, "set it, or write the value here")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let env = |name: &str| (name == "A").then(|| "x${B}".to_owned());
        let text = expand_text(text, &JsonPath::default(), &env);
        text.map(Cow::into_owned).map_err(|fault| fault.problem)
    }

    #[test]
    fn variables_are_replaced_once_and_a_doubled_dollar_is_literal() {
        for (text, expected) in [
            ("plain $ {} text", "plain $ {} text"),
            ("${A}", "x${B}"),
            ("a${A}b${A}", "ax${B}bx${B}"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("cost: $5 ${A}", "cost: $5 x${B}"),
            ("é$${A}é${A}", "é${A}éx${B}"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_unset_variable_is_named_and_what_is_no_name_is_not_repeated() {
        assert_eq!(expanded("${NOPE}").unwrap_err(), "the environment variable NOPE is not set");
        for text in ["${sk-ant-x}", "${}", "${1A}", "${A B}", "${A"] {
            let problem = expanded(text).unwrap_err();
            assert!(!problem.contains("sk-ant"), "{problem}");
        }
    }
}
