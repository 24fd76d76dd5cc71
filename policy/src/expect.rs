//! Is this result good?

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// An expectation as written in a task; every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExpectSpec {
    /// A regular expression that must match somewhere.
    pub regex: Option<String>,
    /// Texts that must all occur.
    #[serde(deserialize_with = "one_or_many")]
    pub contains: Vec<String>,
    /// The whole answer, white space around it aside.
    pub equals: Option<String>,
    /// A JSON Schema that the answer, as JSON, must satisfy.
    pub json_schema: Option<Value>,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    use serde::de::Error;
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(D::Error::custom("`contains` must be a string or an array of strings")),
            })
            .collect(),
        _ => Err(D::Error::custom("`contains` must be a string or an array of strings")),
    }
}

/// Why an expectation cannot be used.
#[derive(Debug, Error)]
pub enum ExpectError {
    /// Nothing to check.
    #[error("`expect` is empty: give at least one of regex, contains, equals, jsonSchema")]
    Empty,
    /// The regular expression does not parse, or is too large.
    #[error("`expect.regex` is not a valid regular expression")]
    Regex(#[source] Box<regex::Error>),
    /// The schema is not one.
    #[error("`expect.jsonSchema` is not a valid JSON Schema: {0}")]
    Schema(String),
}

/// An expectation ready to check answers.
#[derive(Debug)]
pub struct Expectation {
    regex: Option<Regex>,
    contains: Vec<String>,
    equals: Option<String>,
    schema: Option<jsonschema::Validator>,
}

impl Expectation {
    /// Compiles an expectation; a schema may not refer to anything outside itself.
    ///
    /// # Errors
    /// When it is empty, or its expression or schema is invalid.
    pub fn compile(spec: &ExpectSpec) -> Result<Self, ExpectError> {
        if *spec == ExpectSpec::default() {
            return Err(ExpectError::Empty);
        }
        let regex = spec.regex.as_deref().map(Regex::new).transpose();
        let schema = spec.json_schema.as_ref().map(jsonschema::validator_for).transpose();
        Ok(Self {
            regex: regex.map_err(|error| ExpectError::Regex(Box::new(error)))?,
            contains: spec.contains.clone(),
            equals: spec.equals.clone(),
            schema: schema.map_err(|error| ExpectError::Schema(error.to_string()))?,
        })
    }

    /// Checks an answer.
    ///
    /// # Errors
    /// A diagnosis addressed to the model: what was expected and is not there.
    pub fn check(&self, answer: &str) -> Result<(), String> {
        if let Some(regex) = &self.regex
            && !regex.is_match(answer)
        {
            return Err(format!("it does not match the regular expression `{regex}`"));
        }
        if let Some(text) = self.contains.iter().find(|text| !answer.contains(text.as_str())) {
            return Err(format!("it does not contain `{text}`"));
        }
        if let Some(text) = &self.equals
            && answer.trim() != text.trim()
        {
            return Err(format!("it is not exactly `{text}`"));
        }
        self.schema.as_ref().map_or(Ok(()), |schema| check_schema(schema, answer))
    }
}

fn check_schema(schema: &jsonschema::Validator, answer: &str) -> Result<(), String> {
    let json: Value = serde_json::from_str(unfenced(answer))
        .map_err(|error| format!("it is not JSON ({error})"))?;
    schema.validate(&json).map_err(|error| {
        let path = error.instance_path().to_string();
        let place = if path.is_empty() { "the top level" } else { &path };
        format!("it does not satisfy the JSON schema: {} at {place}", error.masked())
    })
}

/// The inside of a Markdown code fence, where the whole answer is one.
fn unfenced(answer: &str) -> &str {
    let text = answer.trim();
    text.strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .and_then(|rest| rest.split_once('\n'))
        .map_or(text, |(_language, body)| body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: &str, answer: &str) -> Result<(), String> {
        Expectation::compile(&serde_json::from_str(spec).unwrap()).unwrap().check(answer)
    }

    #[test]
    fn each_kind_of_expectation_accepts_the_right_and_refuses_the_wrong() {
        for (spec, good, bad) in [
            (r#"{"regex":"answer:\\s*18\\b"}"#, "so the answer: 18", "answer: 180"),
            (r#"{"contains":"yes"}"#, "well, yes.", "no"),
            (r#"{"contains":["a","b"]}"#, "b then a", "only a"),
            (r#"{"equals":"42"}"#, " 42\n", "42."),
            (r#"{"jsonSchema":{"type":"object","required":["n"]}}"#, r#"{"n":1}"#, "{}"),
            (r#"{"jsonSchema":{"type":"object"}}"#, "```json\n{\"n\":1}\n```", "not json"),
            (r#"{"regex":"a","equals":"ab"}"#, "ab", "a"),
        ] {
            assert_eq!(check(spec, good), Ok(()), "{spec}");
            assert!(check(spec, bad).is_err(), "{spec}");
        }
    }

    #[test]
    fn an_expectation_that_cannot_be_checked_is_refused_before_it_costs_anything() {
        for spec in
            ["{}", r#"{"contains":[]}"#, r#"{"regex":"("}"#, r#"{"jsonSchema":{"type":"what"}}"#]
        {
            assert!(Expectation::compile(&serde_json::from_str(spec).unwrap()).is_err(), "{spec}");
        }
        assert!(serde_json::from_str::<ExpectSpec>(r#"{"regexp":"x"}"#).is_err());
        assert!(serde_json::from_str::<ExpectSpec>(r#"{"contains":[1]}"#).is_err());
    }

    #[test]
    fn a_schema_that_points_elsewhere_is_not_fetched() {
        let spec = r#"{"jsonSchema":{"$ref":"https://example.com/schema.json"}}"#;
        let compiled = Expectation::compile(&serde_json::from_str(spec).unwrap());
        assert!(matches!(compiled, Err(ExpectError::Schema(_))));
    }
}
