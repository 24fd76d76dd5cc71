//! Is this result good?

use regex::Regex;
use serde_json::Value;
use thiserror::Error;

/// An expectation as a task states it; every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectSpec {
    /// A regular expression that must match somewhere.
    pub regex: Option<String>,
    /// Texts that must all occur.
    pub contains: Vec<String>,
    /// The whole answer, white space around it aside.
    pub equals: Option<String>,
    /// A JSON Schema that the answer, as JSON, must satisfy.
    pub json_schema: Option<Value>,
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

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What was expected and is not there.
    pub told: String,
    /// The same for the model, which is not given the answer that is looked for.
    pub hint: String,
}

impl Mismatch {
    fn new(told: impl Into<String>, hint: &str) -> Self {
        Self { told: told.into(), hint: hint.to_owned() }
    }
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
    /// What was expected and is not there.
    pub fn check(&self, answer: &str) -> Result<(), Mismatch> {
        if let Some(regex) = &self.regex
            && !regex.is_match(answer)
        {
            let told = format!("it does not match the regular expression `{regex}`");
            return Err(Mismatch::new(told, "it is wrong, or not in the form that was asked for"));
        }
        if let Some(text) = self.contains.iter().find(|text| !answer.contains(text.as_str())) {
            let told = format!("it does not contain `{text}`");
            return Err(Mismatch::new(told, "something that it must contain is missing"));
        }
        if let Some(text) = &self.equals
            && answer.trim() != text.trim()
        {
            let told = format!("it is not exactly `{text}`");
            return Err(Mismatch::new(told, "it is not exactly the right answer and nothing else"));
        }
        self.schema.as_ref().map_or(Ok(()), |schema| check_schema(schema, answer))
    }
}

fn check_schema(schema: &jsonschema::Validator, answer: &str) -> Result<(), Mismatch> {
    let same = |text: String| Mismatch { hint: text.clone(), told: text };
    let json: Value = serde_json::from_str(unfenced(answer))
        .map_err(|error| same(format!("it is not JSON ({error})")))?;
    schema.validate(&json).map_err(|error| {
        let path = error.instance_path().to_string();
        let place = if path.is_empty() { "the top level" } else { &path };
        same(format!("it does not satisfy the JSON schema: {} at {place}", error.masked()))
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

    fn regex(text: &str) -> ExpectSpec {
        ExpectSpec { regex: Some(text.to_owned()), ..ExpectSpec::default() }
    }

    fn contains(texts: &[&str]) -> ExpectSpec {
        let contains = texts.iter().map(|&text| text.to_owned()).collect();
        ExpectSpec { contains, ..ExpectSpec::default() }
    }

    fn schema(json: &str) -> ExpectSpec {
        let json_schema = Some(serde_json::from_str(json).unwrap());
        ExpectSpec { json_schema, ..ExpectSpec::default() }
    }

    #[test]
    fn each_kind_of_expectation_accepts_the_right_and_refuses_the_wrong() {
        let equals = ExpectSpec { equals: Some("42".into()), ..ExpectSpec::default() };
        let both = ExpectSpec { regex: Some("a".into()), ..contains(&["b"]) };
        for (spec, good, bad) in [
            (regex(r"answer:\s*18\b"), "so the answer: 18", "answer: 180"),
            (contains(&["yes"]), "well, yes.", "no"),
            (contains(&["a", "b"]), "b then a", "only a"),
            (equals, " 42\n", "42."),
            (schema(r#"{"type":"object","required":["n"]}"#), r#"{"n":1}"#, "{}"),
            (schema(r#"{"type":"object"}"#), "```json\n{\"n\":1}\n```", "not json"),
            (both, "ab", "a"),
        ] {
            let expectation = Expectation::compile(&spec).unwrap();
            assert_eq!(expectation.check(good), Ok(()), "{spec:?}");
            assert!(expectation.check(bad).is_err(), "{spec:?}");
        }
    }

    #[test]
    fn the_model_is_not_told_the_answer_that_is_looked_for() {
        let equals = ExpectSpec { equals: Some("42".into()), ..ExpectSpec::default() };
        for spec in [regex("#+ 42"), contains(&["42"]), equals] {
            let mismatch = Expectation::compile(&spec).unwrap().check("17").unwrap_err();
            assert!(mismatch.told.contains("42") && !mismatch.hint.contains("42"), "{mismatch:?}");
        }
    }

    #[test]
    fn an_expectation_that_cannot_be_checked_is_refused_before_it_costs_anything() {
        for spec in [ExpectSpec::default(), regex("("), schema(r#"{"type":"what"}"#)] {
            assert!(Expectation::compile(&spec).is_err(), "{spec:?}");
        }
    }

    #[test]
    fn a_schema_that_points_elsewhere_is_not_fetched() {
        let spec = schema(r#"{"$ref":"https://example.com/schema.json"}"#);
        assert!(matches!(Expectation::compile(&spec), Err(ExpectError::Schema(_))));
    }
}
