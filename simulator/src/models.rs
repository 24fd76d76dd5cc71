//! The models API: the catalogue as Anthropic lists it.

mod capabilities;

use chrono::{DateTime, Days, NaiveDate};
use serde::Serialize;

use crate::catalogue::{self, Lifecycle, Model};
use crate::page::{Wanted, parameters};
use crate::problem::{Kind, Problem};
use crate::request::{Checked, wrong};
use capabilities::Capabilities;

/// Answers `GET /v1/models`: a page, newest first, of the models in the lifecycles asked for.
pub(crate) fn list(query: &str) -> Result<Vec<u8>, Problem> {
    let parameters = parameters(query)?;
    let wanted = Wanted::read(&parameters)?;
    let lifecycles = lifecycles(&parameters)?;
    let listed = catalogue::all().iter().filter(|model| lifecycles.contains(&model.lifecycle));
    let mut models: Vec<_> = listed.map(|model| (released(model), model)).collect();
    models.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.id.cmp(&b.id)));
    let page = wanted.of(models, |(_, model)| &model.id)?;
    Ok(serde_json::to_vec(&page.map(|(_, model)| Info::of(model))).unwrap_or_default())
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
    display_name: String,
    created_at: String,
    lifecycle: Lifecycle,
    line: &'a str,
    deprecated_at: Option<String>,
    retires_at: Option<String>,
    max_input_tokens: u64,
    max_tokens: u64,
    capabilities: Capabilities,
}

impl<'a> Info<'a> {
    fn of(model: &'a Model) -> Self {
        Self {
            r#type: "model",
            id: &model.id,
            display_name: display_name(model),
            created_at: midnight(released(model)),
            lifecycle: model.lifecycle,
            line: &model.class,
            deprecated_at: deprecated(model).map(midnight),
            retires_at: model.retires_at.map(midnight),
            max_input_tokens: model.context_tokens,
            max_tokens: model.max_output_tokens,
            capabilities: Capabilities::of(model),
        }
    }
}

/// `Claude Opus 4.6`; a minor version of zero is not named.
fn display_name(model: &Model) -> String {
    let (line, rest) = model.class.split_at(model.class.len().min(1));
    let line = line.to_uppercase();
    match model.version {
        (major, 0) => format!("Claude {line}{rest} {major}"),
        (major, minor) => format!("Claude {line}{rest} {major}.{minor}"),
    }
}

/// When models were released whose names carry no date. The dates are plausible, not official:
/// nothing but the order of the list depends on them.
const RELEASED: [(&str, (i32, u32, u32)); 11] = [
    ("claude-haiku-5-5", (2026, 10, 15)),
    ("claude-sonnet-5-5", (2026, 9, 28)),
    ("claude-opus-5-5", (2026, 9, 22)),
    ("claude-fable-5-1", (2026, 8, 27)),
    ("claude-mythos-5-1", (2026, 8, 27)),
    ("claude-opus-5", (2026, 7, 24)),
    ("claude-sonnet-5", (2026, 6, 30)),
    ("claude-fable-5", (2026, 6, 9)),
    ("claude-mythos-5", (2026, 6, 9)),
    ("claude-opus-4-8", (2026, 5, 28)),
    ("claude-sonnet-4-6", (2026, 2, 17)),
];

/// The release: from the dated id or alias, else from the table, else the epoch, which stands for
/// an unknown date in the API.
fn released(model: &Model) -> NaiveDate {
    let dated = |name: &str| {
        let (_, last) = name.rsplit_once('-')?;
        NaiveDate::parse_from_str(last, "%Y%m%d").ok().filter(|_| last.len() == 8)
    };
    let tabled = || {
        let (_, (year, month, day)) = RELEASED.iter().find(|(id, _)| *id == model.id)?;
        NaiveDate::from_ymd_opt(*year, *month, *day)
    };
    model.names().find_map(dated).or_else(tabled).unwrap_or(DateTime::UNIX_EPOCH.date_naive())
}

/// The deprecation of a model that is past it: the sixty days of notice that Anthropic gives
/// before a retirement, or a plausible year after the release where none is scheduled.
fn deprecated(model: &Model) -> Option<NaiveDate> {
    match (model.lifecycle, model.retires_at) {
        (Lifecycle::Active, _) => None,
        (_, Some(retires)) => retires.checked_sub_days(Days::new(60)),
        (_, None) => released(model).checked_add_days(Days::new(365)),
    }
}

fn midnight(date: NaiveDate) -> String {
    date.format("%Y-%m-%dT00:00:00Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_a_release_and_only_models_past_their_prime_a_deprecation() {
        for model in catalogue::all() {
            assert!(released(model) > DateTime::UNIX_EPOCH.date_naive(), "{}", model.id);
            let is_active = model.lifecycle == Lifecycle::Active;
            assert_eq!(deprecated(model).is_none(), is_active, "{}", model.id);
            let deprecated = deprecated(model).unwrap_or(NaiveDate::MAX);
            assert!(deprecated > released(model), "{}", model.id);
        }
    }

    #[test]
    fn releases_come_from_the_id_an_alias_or_the_table() {
        let date = |name| midnight(released(catalogue::known(name).unwrap()));
        assert_eq!(date("claude-3-haiku"), "2024-03-07T00:00:00Z");
        assert_eq!(date("claude-opus-4-7"), "2026-04-16T00:00:00Z");
        assert_eq!(date("claude-opus-5-5"), "2026-09-22T00:00:00Z");
    }

    #[test]
    fn display_names_are_those_of_the_console() {
        let name = |name| display_name(catalogue::known(name).unwrap());
        assert_eq!(name("claude-opus-5-5"), "Claude Opus 5.5");
        assert_eq!(name("claude-fable-5"), "Claude Fable 5");
        assert_eq!(name("claude-3-7-sonnet"), "Claude Sonnet 3.7");
    }
}
