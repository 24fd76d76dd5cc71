//! The model catalogue, and the ways to name a model.

mod spec;

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::{LimitClass, ModelName};
use crate::price::{Rate, Rates};

pub use self::spec::{ModelSpec, ModelSpecError};

/// How capable a model is: escalation only ever goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelClass {
    /// Small and fast.
    Haiku,
    /// Balanced.
    Sonnet,
    /// Most capable of the three common lines.
    Opus,
    /// Above Opus.
    Fable,
    /// Above Fable.
    Mythos,
}

impl ModelClass {
    /// The class as it appears in model names.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Haiku => "haiku",
            Self::Sonnet => "sonnet",
            Self::Opus => "opus",
            Self::Fable => "fable",
            Self::Mythos => "mythos",
        }
    }

    /// The class of a model, by the catalogue or else by the word in its name.
    #[must_use]
    pub fn of(model: &str) -> Option<Self> {
        if let Some(info) = Catalogue::get().find(model) {
            return Some(info.class);
        }
        let lower = model.to_ascii_lowercase();
        [Self::Haiku, Self::Sonnet, Self::Opus, Self::Fable, Self::Mythos]
            .into_iter()
            .find(|class| lower.split('-').any(|word| word == class.label()))
    }
}

/// Where a model is in its life; for display, never a reason to refuse a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// In the current list.
    Active,
    /// In the current list, with an end in sight.
    Deprecated,
    /// No longer in the current list.
    Legacy,
    /// Gone.
    Retired,
}

/// What the catalogue knows of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// The id that upstream takes and answers with.
    pub id: String,
    /// Other names for it, Poe's dotted ones included.
    pub aliases: Vec<String>,
    /// How capable it is.
    pub class: ModelClass,
    /// The name for people.
    pub display_name: String,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Base prices.
    #[serde(rename = "usdPerMillionTokens")]
    pub rates: Rates,
    /// The context window, in tokens.
    pub context_tokens: u64,
    /// The largest `max_tokens` it takes.
    pub max_output_tokens: u64,
    /// The models it shares a rate limit with.
    pub limit_class: LimitClass,
    /// Prices of long prompts.
    #[serde(default, rename = "promptBands")]
    bands: Vec<Band>,
    /// What fast mode costs, in percent of the base price; `None` without a fast mode.
    #[serde(default, rename = "fastMultiplier", deserialize_with = "percent")]
    pub fast_percent: Option<i64>,
    /// The day it was released, `YYYY-MM-DD`.
    pub released_at: String,
    /// The day its end was announced, likewise.
    #[serde(default)]
    pub deprecated_at: Option<String>,
    /// The day it retires, likewise.
    #[serde(default)]
    pub retires_at: Option<String>,
    /// What it can do, as the Models API tells it.
    pub capabilities: Box<RawValue>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Band {
    above_prompt_tokens: u64,
    #[serde(rename = "usdPerMillionTokens")]
    rates: Rates,
}

fn percent<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    // A multiplier of 2.0 as a rate is 2 x 10^9; as a percentage it is 200.
    Rate::deserialize(deserializer).map(|rate| Some(rate.0 / 10_000_000))
}

impl ModelInfo {
    /// The prices of a call that reads `prompt` tokens: the band is chosen by the whole prompt
    /// and holds for all of the call.
    #[must_use]
    pub fn rates_at(&self, prompt: u64) -> Rates {
        self.bands
            .iter()
            .filter(|band| prompt > band.above_prompt_tokens)
            .max_by_key(|band| band.above_prompt_tokens)
            .map_or(self.rates, |band| band.rates)
    }
}

/// The models we know, embedded at build time.
pub struct Catalogue {
    models: Vec<ModelInfo>,
    index: HashMap<String, usize>,
}

#[derive(Deserialize)]
struct File {
    models: Vec<ModelInfo>,
}

impl Catalogue {
    /// The one catalogue.
    #[must_use]
    pub fn get() -> &'static Self {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(|| {
            // An unreadable catalogue would leave every model unpriced; a test keeps it readable.
            let file = serde_json::from_str(include_str!("../models.json"));
            let models = file.map_or_else(|_| Vec::new(), |file: File| file.models);
            let index = models.iter().enumerate().flat_map(|(at, info)| {
                info.aliases.iter().chain([&info.id]).map(move |name| (name.clone(), at))
            });
            Self { index: index.collect(), models }
        })
    }

    /// Every model, most capable line first.
    #[must_use]
    pub fn models(&self) -> &[ModelInfo] {
        &self.models
    }

    /// The model with this id or alias.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&ModelInfo> {
        self.index.get(name).map(|&at| &self.models[at])
    }

    /// The id behind an alias; a name we do not know stays as it is.
    #[must_use]
    pub fn resolve(&self, name: &str) -> ModelName {
        self.find(name).map_or_else(|| name.into(), |info| info.id.as_str().into())
    }

    /// The rate limit that a model is under; [`LimitClass::other`] of all that are unknown.
    #[must_use]
    pub fn limit_class(&self, name: &str) -> LimitClass {
        self.find(name).map_or_else(LimitClass::other, |info| info.limit_class.clone())
    }
}

/// The value of a `model` label: a catalogue id, or `other`.
#[must_use]
pub fn model_label(name: &str) -> &'static str {
    Catalogue::get().find(name).map_or("other", |info| info.id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_is_readable_and_every_name_is_there_once() {
        let catalogue = Catalogue::get();
        assert_eq!(catalogue.models().len(), 23);
        let names: usize = catalogue.models().iter().map(|info| info.aliases.len() + 1).sum();
        assert_eq!(catalogue.index.len(), names, "two models share a name");
        assert_eq!(catalogue.find("claude-opus-5-5").unwrap().fast_percent, Some(200));
    }

    #[test]
    fn a_dated_id_or_alias_has_the_day_of_the_release() {
        for model in Catalogue::get().models() {
            let mut names = model.aliases.iter().chain([&model.id]);
            let dated = names.find_map(|name| Some(name.rsplit_once("-20")?.1));
            let day = model.released_at.replace('-', "");
            assert!(dated.is_none_or(|rest| day == format!("20{rest}")), "{}", model.id);
        }
    }

    #[test]
    fn classes_are_ordered_and_told_from_unknown_names_too() {
        assert!(ModelClass::Haiku < ModelClass::Sonnet && ModelClass::Opus < ModelClass::Fable);
        assert_eq!(ModelClass::of("claude-sonnet-4.6"), Some(ModelClass::Sonnet));
        assert_eq!(ModelClass::of("claude-opus-9"), Some(ModelClass::Opus));
        assert_eq!(ModelClass::of("llama"), None);
    }

    #[test]
    fn models_that_share_a_limit_have_one_class_and_so_do_all_that_are_unknown() {
        let class = |name| Catalogue::get().limit_class(name);
        assert_eq!(class("claude-opus-4-6"), class("claude-opus-4.8"));
        for name in ["new-model", "newer-model", "opus-4", "count_tokens"] {
            assert_eq!(class(name), LimitClass::other(), "{name}");
        }
        let apart = [LimitClass::other(), LimitClass::count_tokens(), LimitClass::batches()];
        assert!(Catalogue::get().models().iter().all(|it| !apart.contains(&it.limit_class)));
        assert_eq!(model_label("claude-opus-4.6"), "claude-opus-4-6");
        assert_eq!(model_label("new-model"), "other");
    }
}
