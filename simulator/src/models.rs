//! The models API: the catalogue as Anthropic lists it.

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::catalogue::{self, Lifecycle, Model};
use crate::page::{Wanted, parameters};
use crate::problem::{Kind, Problem};
use crate::request::{Checked, wrong};

/// Answers `GET /v1/models`: a page, newest first, of the models in the lifecycles asked for.
pub(crate) fn list(query: &str) -> Result<Vec<u8>, Problem> {
    let parameters = parameters(query)?;
    let wanted = Wanted::read(&parameters)?;
    let lifecycles = lifecycles(&parameters)?;
    let listed = catalogue::all().iter().filter(|model| lifecycles.contains(&model.lifecycle));
    let mut models: Vec<_> = listed.collect();
    models.sort_by(|a, b| b.released_at.cmp(&a.released_at).then_with(|| a.id.cmp(&b.id)));
    let page = wanted.of(models, |model| &model.id)?;
    Ok(serde_json::to_vec(&page.map(Info::of)).unwrap_or_default())
}

/// Answers `GET /v1/models/{id}`; an alias does as well.
pub(crate) fn retrieve(id: &str) -> Result<Vec<u8>, Problem> {
    let model =
        catalogue::known(id).ok_or_else(|| Problem::new(Kind::NotFound, format!("model: {id}")))?;
    Ok(serde_json::to_vec(&Info::of(model)).unwrap_or_default())
}

/// `lifecycle[]`: unless it is given, whatever is served.
fn lifecycles(parameters: &[(String, String)]) -> Checked<Vec<Lifecycle>> {
    let given = parameters.iter().filter(|(name, _)| name == "lifecycle[]");
    let one = |(index, (_, word)): (usize, &(String, String))| match word.as_str() {
        "active" => Ok(Lifecycle::Active),
        "deprecated" => Ok(Lifecycle::Deprecated),
        "retired" => Ok(Lifecycle::Retired),
        _ => wrong(
            &format!("lifecycle.{index}"),
            "Input should be 'active', 'deprecated' or 'retired'",
        ),
    };
    let given = given.enumerate().map(one).collect::<Checked<Vec<_>>>()?;
    match given.len() {
        0 => Ok(vec![Lifecycle::Active, Lifecycle::Deprecated]),
        1..=3 => Ok(given),
        count => {
            let complaint =
                format!("List should have at most 3 items after validation, not {count}");
            wrong("lifecycle", &complaint)
        }
    }
}

/// A model as the API writes it.
#[derive(Debug, Serialize)]
struct Info<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
    lifecycle: Lifecycle,
    line: &'a str,
    deprecated_at: Option<String>,
    retires_at: Option<String>,
    max_input_tokens: u64,
    max_tokens: u64,
    capabilities: &'a RawValue,
}

impl<'a> Info<'a> {
    fn of(model: &'a Model) -> Self {
        Self {
            r#type: "model",
            id: &model.id,
            display_name: &model.display_name,
            created_at: midnight(model.released_at),
            lifecycle: model.lifecycle,
            line: &model.class,
            deprecated_at: model.deprecated_at.map(midnight),
            retires_at: model.retires_at.map(midnight),
            max_input_tokens: model.context_tokens,
            max_tokens: model.max_output_tokens,
            capabilities: &model.capabilities,
        }
    }
}

fn midnight(date: NaiveDate) -> String {
    date.format("%Y-%m-%dT00:00:00Z").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_models_past_their_prime_have_a_deprecation_and_it_follows_the_release() {
        for model in catalogue::all() {
            let is_active = model.lifecycle == Lifecycle::Active;
            assert_eq!(model.deprecated_at.is_none(), is_active, "{}", model.id);
            let deprecated = model.deprecated_at.unwrap_or(NaiveDate::MAX);
            assert!(deprecated > model.released_at, "{}", model.id);
        }
    }

    #[test]
    fn what_is_told_of_thinking_is_what_is_accepted() {
        for model in catalogue::all() {
            let told: Value = serde_json::from_str(model.capabilities.get()).unwrap();
            let (thinking, types) = (&told["thinking"], &told["thinking"]["types"]);
            let thinks = thinking["supported"] == true;
            for (kind, is_accepted) in [
                ("enabled", thinks && model.version <= (4, 6)),
                ("adaptive", thinks && model.version >= (4, 6)),
                ("disabled", !model.always_thinks()),
                ("between_tools", model.has_between_tools()),
            ] {
                assert_eq!(types[kind]["supported"], is_accepted, "{}: {thinking}", model.id);
            }
        }
    }
}
