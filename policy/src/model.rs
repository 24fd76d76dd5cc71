//! The model catalogue, and the ways to name a model.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{LimitClass, ModelName, ProfileId, ProviderId};
use crate::price::{Rate, Rates};

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
    /// The day it retires, `YYYY-MM-DD`.
    #[serde(default)]
    pub retires_at: Option<String>,
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

    /// The rate limit that a model is under; an unknown model has one of its own.
    #[must_use]
    pub fn limit_class(&self, name: &str) -> LimitClass {
        self.find(name).map_or_else(|| name.into(), |info| info.limit_class.clone())
    }
}

/// The value of a `model` label: a catalogue id, or `other`.
#[must_use]
pub fn model_label(name: &str) -> &'static str {
    Catalogue::get().find(name).map_or("other", |info| info.id.as_str())
}

/// A model, the provider to ask for it, and the profile it is pinned to, if any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelSpec {
    /// Whom to ask.
    pub provider: ProviderId,
    /// What to ask for, aliases resolved.
    pub model: ModelName,
    /// The only profile to use.
    pub pin: Option<ProfileId>,
}

/// Why a text names no model.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ModelSpecError {
    /// Nothing there.
    #[error("the model is empty")]
    Empty,
    /// No provider in the spec, and none known for such a name.
    #[error(
        "cannot tell the provider of model `{0}`: write it as provider:model, for example anthropic:{0}"
    )]
    UnknownProvider(String),
    /// What is after the `@` is no profile.
    #[error(
        "model `{0}`: after @ a profile is expected, as provider:identifier, for example \
         @anthropic:foo"
    )]
    NoProfile(String),
    /// The pin belongs to another provider.
    #[error("model `{spec}` is pinned to profile `{pin}`, which is not of provider `{provider}`")]
    ForeignPin {
        /// The whole spec.
        spec: String,
        /// The profile named in it.
        pin: ProfileId,
        /// The provider named in it.
        provider: ProviderId,
    },
}

/// Prefixes of bare names that tell the provider; the longer ones first,
/// so that `gpt-oss-` is not taken for `gpt-`.
const PREFIXES: [(&str, &str); 13] = [
    ("claude-", "anthropic"),
    ("gpt-oss-", "cerebras"),
    ("gpt-", "openai"),
    ("o1-", "openai"),
    ("o3-", "openai"),
    ("o4-", "openai"),
    ("chatgpt-", "openai"),
    ("codex-", "openai"),
    ("gemini-", "google"),
    ("mistral-", "mistral"),
    ("codestral-", "mistral"),
    ("devstral-", "mistral"),
    ("grok-", "xai"),
];

impl ModelSpec {
    /// Reads `provider:model`, `provider/model` or a bare name, each with an optional
    /// `@provider:identifier`.
    ///
    /// # Errors
    /// When it is empty, its provider cannot be told, or its pin is no profile or of another
    /// provider.
    pub fn parse(text: &str) -> Result<Self, ModelSpecError> {
        let text = text.trim();
        let (name, pin) = split_pin(text);
        if name.contains('@') {
            return Err(ModelSpecError::NoProfile(text.to_owned()));
        }
        let (provider, model) = split_provider(name)?;
        if model.is_empty() {
            return Err(ModelSpecError::Empty);
        }
        let provider = ProviderId::from(provider);
        if let Some(pin) = &pin
            && pin.as_str().split_once(':').is_none_or(|(owner, _)| owner != provider.as_str())
        {
            let (spec, pin) = (text.to_owned(), pin.clone());
            return Err(ModelSpecError::ForeignPin { spec, pin, provider });
        }
        Ok(Self { provider, model: Catalogue::get().resolve(model), pin })
    }

    /// The rate limit that the model is under.
    #[must_use]
    pub fn limit_class(&self) -> LimitClass {
        Catalogue::get().limit_class(self.model.as_str())
    }
}

impl std::fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.provider, self.model)?;
        self.pin.as_ref().map_or(Ok(()), |pin| write!(f, "@{pin}"))
    }
}

/// Splits at the first `@` that `provider:identifier` follows, so that the `@` of an e-mail
/// address inside the identifier does not confuse it.
fn split_pin(text: &str) -> (&str, Option<ProfileId>) {
    let mut pins = text.match_indices('@').filter(|(at, _)| *at > 0).filter_map(|(at, _)| {
        let profile = &text[at + 1..];
        let (provider, identifier) = profile.split_once(':')?;
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        let fits = provider.starts_with(|c: char| c.is_ascii_lowercase())
            && provider.chars().all(lower)
            && !identifier.is_empty()
            && identifier.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c));
        fits.then(|| (&text[..at], Some(ProfileId::from(profile))))
    });
    pins.next().unwrap_or((text, None))
}

fn split_provider(name: &str) -> Result<(&str, &str), ModelSpecError> {
    match name.split_once(':') {
        Some((provider, model)) if !provider.is_empty() && !provider.contains(['/', '\\']) => {
            return Ok((provider, model));
        }
        Some(_) | None => {}
    }
    if let Some((provider, model)) = name.split_once('/')
        && !provider.is_empty()
    {
        return Ok((provider, model));
    }
    if name.is_empty() {
        return Err(ModelSpecError::Empty);
    }
    let lower = name.to_ascii_lowercase();
    PREFIXES
        .iter()
        .find(|(prefix, _)| lower.starts_with(prefix))
        .map(|&(_, provider)| (provider, name))
        .ok_or_else(|| ModelSpecError::UnknownProvider(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> (String, String, Option<String>) {
        let spec = ModelSpec::parse(text).unwrap();
        (spec.provider.to_string(), spec.model.to_string(), spec.pin.map(|pin| pin.to_string()))
    }

    #[test]
    fn the_embedded_catalogue_is_readable_and_every_name_is_there_once() {
        let catalogue = Catalogue::get();
        assert_eq!(catalogue.models().len(), 23);
        let names: usize = catalogue.models().iter().map(|info| info.aliases.len() + 1).sum();
        assert_eq!(catalogue.index.len(), names, "two models share a name");
        assert_eq!(catalogue.find("claude-opus-5-5").unwrap().fast_percent, Some(200));
    }

    #[test]
    fn every_form_of_a_model_spec_is_understood() {
        let sonnet = |pin: Option<&str>| {
            ("anthropic".to_owned(), "claude-sonnet-4-6".to_owned(), pin.map(str::to_owned))
        };
        for text in [
            "anthropic:claude-sonnet-4-6",
            "anthropic/claude-sonnet-4-6",
            "claude-sonnet-4-6",
            " claude-sonnet-4.6 ",
        ] {
            assert_eq!(spec(text), sonnet(None), "{text}");
        }
        assert_eq!(
            spec("anthropic/claude-sonnet-4-6@anthropic:user@work.com"),
            sonnet(Some("anthropic:user@work.com"))
        );
        assert_eq!(spec("poe:claude-sonnet-4.6").0, "poe");
        assert_eq!(spec("claude-sonnet-4-5").1, "claude-sonnet-4-5-20250929");
        assert_eq!(spec("gpt-oss-120b").0, "cerebras", "not taken for openai's gpt-");
        assert_eq!(spec("hub:org/model:free").1, "org/model:free");
    }

    #[test]
    fn a_spec_without_a_provider_or_a_name_is_an_error() {
        assert_eq!(ModelSpec::parse(" "), Err(ModelSpecError::Empty));
        assert_eq!(ModelSpec::parse("anthropic:"), Err(ModelSpecError::Empty));
        assert!(matches!(ModelSpec::parse("llama"), Err(ModelSpecError::UnknownProvider(_))));
        assert!(matches!(
            ModelSpec::parse("anthropic:claude-opus-5@poe:me"),
            Err(ModelSpecError::ForeignPin { .. })
        ));
        for text in ["claude-opus-5@foo", "claude-opus-5@anthropic:", "@foo", "a:b@c@a:d"] {
            let told = ModelSpec::parse(text);
            assert_eq!(told, Err(ModelSpecError::NoProfile(text.to_owned())), "{text}");
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
    fn models_that_share_a_limit_have_one_class() {
        let catalogue = Catalogue::get();
        assert_eq!(
            catalogue.limit_class("claude-opus-4-6"),
            catalogue.limit_class("claude-opus-4.8")
        );
        assert_eq!(catalogue.limit_class("new-model").as_str(), "new-model");
        assert_eq!(model_label("claude-opus-4.6"), "claude-opus-4-6");
        assert_eq!(model_label("new-model"), "other");
    }
}
