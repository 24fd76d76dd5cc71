//! `expect`: when an answer is good.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::words::{Problem, json_problem, kind, text};
use polpo_policy::expect::ExpectSpec;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Keys<'a> {
    #[serde(borrow)]
    regex: Option<&'a RawValue>,
    #[serde(borrow)]
    contains: Option<&'a RawValue>,
    #[serde(borrow)]
    equals: Option<&'a RawValue>,
    #[serde(borrow)]
    json_schema: Option<&'a RawValue>,
}

/// Reads `expect`; whether its regex and schema compile is not known here.
pub(super) fn expect(raw: &RawValue) -> Result<ExpectSpec, Problem> {
    if !raw.get().starts_with('{') {
        return Err(format!("`expect` must be an object, not {}", kind(raw)));
    }
    let keys: Keys<'_> =
        serde_json::from_str(raw.get()).map_err(|error| json_problem(&error, "`expect`"))?;
    let owned = |raw: Option<&RawValue>, key: &str| {
        raw.map(|raw| text(raw, key).map(|text| text.into_owned())).transpose()
    };
    let spec = ExpectSpec {
        regex: owned(keys.regex, "expect.regex")?,
        contains: keys.contains.map_or(Ok(Vec::new()), contains)?,
        equals: owned(keys.equals, "expect.equals")?,
        json_schema: keys.json_schema.map(schema).transpose()?,
    };
    if spec == ExpectSpec::default() {
        let known = "`regex`, `contains`, `equals` or `jsonSchema`";
        return Err(format!("`expect` says nothing: give {known}, or leave it out"));
    }
    Ok(spec)
}

/// One text or several.
fn contains(raw: &RawValue) -> Result<Vec<String>, Problem> {
    let texts = match kind(raw) {
        "a string" => vec![text(raw, "expect.contains")?.into_owned()],
        "an array" => serde_json::from_str::<Vec<&RawValue>>(raw.get())
            .map_err(|error| json_problem(&error, "`expect.contains`"))?
            .into_iter()
            .map(|raw| text(raw, "expect.contains").map(|text| text.into_owned()))
            .collect::<Result<_, _>>()?,
        other => {
            return Err(format!(
                "`expect.contains` must be a string or an array of strings, not {other}"
            ));
        }
    };
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        return Err("`expect.contains` has an empty list or text, which always holds".into());
    }
    Ok(texts)
}

fn schema(raw: &RawValue) -> Result<Value, Problem> {
    match kind(raw) {
        "an object" | "a boolean" => {
            serde_json::from_str(raw.get()).map_err(|_| "`expect.jsonSchema` cannot be read".into())
        }
        other => Err(format!("`expect.jsonSchema` must be an object, not {other}")),
    }
}
