//! How people name a model: with a provider or without, and perhaps with a profile.

use thiserror::Error;

use super::Catalogue;
use crate::id::{LimitClass, ModelName, ProfileId, ProviderId};

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
}
