//! The models, from the catalogue file.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    // A test holds that the file parses; an empty catalogue serves nothing and breaks nothing.
    let file = serde_json::from_str(include_str!("../../policy/models.json")).unwrap_or_default();
    Catalogue::new(file)
});

/// A model as the catalogue file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Model {
    pub(crate) id: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) class: String,
    pub(crate) display_name: String,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) released_at: NaiveDate,
    pub(crate) deprecated_at: Option<NaiveDate>,
    pub(crate) retires_at: Option<NaiveDate>,
    /// What it can do, as the API tells it.
    pub(crate) capabilities: Box<RawValue>,
    #[serde(rename = "usdPerMillionTokens")]
    pub(crate) rates: Rates,
    #[serde(default)]
    pub(crate) prompt_bands: Vec<PromptBand>,
    pub(crate) context_tokens: u64,
    pub(crate) max_output_tokens: u64,
    /// The shortest prompt that is cached, where known.
    pub(crate) cache_min_tokens: Option<u64>,
    pub(crate) limit_class: String,
    pub(crate) fast_multiplier: Option<f64>,
    /// Major and minor version, from the id.
    #[serde(skip)]
    pub(crate) version: (u32, u32),
}

impl Model {
    /// The id, then the aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [&self.id].into_iter().chain(&self.aliases).map(String::as_str)
    }

    fn is_served(&self) -> bool {
        self.lifecycle != Lifecycle::Retired
    }
}

/// How far a model is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lifecycle {
    Active,
    /// Still served. The API has no word of its own for what the catalogue calls legacy.
    #[serde(alias = "legacy")]
    Deprecated,
    /// Known, but not served any more.
    Retired,
}

impl Model {
    /// Whether it cannot but think.
    pub(crate) fn always_thinks(&self) -> bool {
        match self.class.as_str() {
            "fable" | "mythos" => true,
            "opus" => self.version >= (5, 5),
            _ => false,
        }
    }

    /// Whether it can be told to think only between calls of tools.
    pub(crate) fn has_between_tools(&self) -> bool {
        self.class == "sonnet" && self.version >= (5, 5)
    }
}

/// Prices that hold for a whole call once its prompt is longer than this.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptBand {
    pub(crate) above_prompt_tokens: u64,
    #[serde(rename = "usdPerMillionTokens")]
    pub(crate) rates: Rates,
}

/// Nanodollars for a million tokens of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rates {
    #[serde(deserialize_with = "nanodollars")]
    pub(crate) input: i64,
    #[serde(deserialize_with = "nanodollars")]
    pub(crate) output: i64,
    #[serde(rename = "cacheWrite5m", deserialize_with = "nanodollars")]
    pub(crate) cache_write_5m: i64,
    #[serde(rename = "cacheWrite1h", deserialize_with = "nanodollars")]
    pub(crate) cache_write_1h: i64,
    #[serde(deserialize_with = "nanodollars")]
    pub(crate) cache_read: i64,
}

#[expect(clippy::cast_possible_truncation, reason = "list prices are far below 2^53 nanodollars")]
fn nanodollars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    f64::deserialize(deserializer).map(|dollars| (dollars * 1e9).round() as i64)
}

#[derive(Default, Deserialize)]
struct File {
    models: Vec<Model>,
}

struct Catalogue {
    models: Vec<Model>,
    by_name: HashMap<String, usize>,
}

impl Catalogue {
    fn new(file: File) -> Self {
        let mut models = file.models;
        let mut by_name = HashMap::new();
        for (index, model) in models.iter_mut().enumerate() {
            model.version = version(&model.id);
            // Dotted names are Poe's; Anthropic does not know them.
            model.aliases.retain(|alias| !alias.contains('.'));
            by_name.extend(model.names().map(|name| (name.to_owned(), index)));
        }
        Self { models, by_name }
    }
}

/// Every model, the retired ones too.
pub(crate) fn all() -> &'static [Model] {
    &CATALOGUE.models
}

/// The model of that id or alias, served or retired.
pub(crate) fn known(name: &str) -> Option<&'static Model> {
    let index = *CATALOGUE.by_name.get(name)?;
    CATALOGUE.models.get(index)
}

/// The served model of that id or alias: upstream answers 404 for a retired one, however well its
/// old usage can be priced.
pub(crate) fn find(name: &str) -> Option<&'static Model> {
    known(name).filter(|model| model.is_served())
}

/// Every model class that is served.
pub(crate) fn classes() -> BTreeSet<&'static str> {
    served().map(|model| model.class.as_str()).collect()
}

/// Every limit class that is served.
pub(crate) fn limit_classes() -> BTreeSet<&'static str> {
    served().map(|model| model.limit_class.as_str()).collect()
}

fn served() -> impl Iterator<Item = &'static Model> {
    CATALOGUE.models.iter().filter(|model| model.is_served())
}

/// `claude-opus-4-6` is 4.6, `claude-3-haiku-20240307` is 3.0: dates have more than two digits.
fn version(id: &str) -> (u32, u32) {
    let mut numbers =
        id.split('-').filter(|word| word.len() <= 2).filter_map(|word| word.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_file_parses_and_prices_are_whole_nanodollars() {
        let haiku = find("claude-haiku-5-5").unwrap();
        assert_eq!((haiku.rates.input, haiku.rates.cache_write_5m), (100_000_000, 125_000_000));
        assert_eq!(haiku.prompt_bands[0].rates.output, 2_500_000_000);
        assert!(limit_classes().contains("opus-4"));
        assert!(classes().contains("sonnet"));
    }

    #[test]
    fn an_alias_resolves_but_a_poe_name_and_a_retired_model_do_not() {
        assert_eq!(find("claude-sonnet-4-5").unwrap().id, "claude-sonnet-4-5-20250929");
        assert!(find("claude-sonnet-4.5").is_none());
        assert!(find("claude-opus-4-1").is_none());
        assert_eq!(known("claude-opus-4-1").unwrap().id, "claude-opus-4-1-20250805");
    }

    #[test]
    fn versions_are_read_from_ids() {
        assert_eq!(version("claude-opus-4-6"), (4, 6));
        assert_eq!(version("claude-fable-5"), (5, 0));
        assert_eq!(version("claude-sonnet-4-20250514"), (4, 0));
        assert_eq!(version("claude-3-7-sonnet-20250219"), (3, 7));
    }
}
