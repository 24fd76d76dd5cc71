//! Which credentials serve which provider: the keys of polpo.json, else the one of the environment,
//! else the stored profiles.

use std::collections::BTreeSet;

use polpo_policy::id::{ProfileId, ProviderId};
use sha2::{Digest, Sha256};

use super::effective::{Config, ProviderConfig};
use super::env::Env;
use super::error::ConfigError;
use super::providers::{built_in_url, usable_key};
use super::secret::Secret;
use super::url::{URL_ADVICE, base_url};

/// The variables that hold keys, by provider.
pub(super) const KEY_VARIABLES: [(&str, &str); 2] =
    [("anthropic", "ANTHROPIC_API_KEY"), ("poe", "POE_API_KEY")];

const URL_VARIABLE: &str = "ANTHROPIC_BASE_URL";

/// The credentials there are, and what is odd about them.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The profiles to use, by provider: one for each different key, in the order of the file, or
    /// the stored ones, in theirs.
    pub profiles: Vec<Found>,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
}

/// A profile to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name of the stored profile, or of the one that a key makes (see [`profile_id`]).
    pub id: ProfileId,
    /// Whom it belongs to.
    pub provider: ProviderId,
    /// What it signs with.
    pub secret: FoundSecret,
    /// Where the provider is reached, without a trailing slash.
    pub base_url: String,
    /// Concurrent requests for this profile; `None` = no limit of its own.
    pub max_concurrency: Option<u32>,
}

/// What a profile signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundSecret {
    /// A key of polpo.json or of the environment.
    Key(Secret),
    /// What the profile file has under the profile's id.
    Stored,
}

/// Finds the profiles of every provider: its keys in polpo.json, else the one in its variable, else
/// those of the `stored` profiles that are its own. The first that exists wins.
///
/// # Errors
/// When a variable holds what cannot be a key, or no base URL.
pub fn resolve_credentials(
    config: &Config,
    stored: &[(ProfileId, ProviderId)],
    env: Env<'_>,
) -> Result<Credentials, ConfigError> {
    let of_variables = KEY_VARIABLES.map(|(name, _)| ProviderId::from(name));
    let of_profiles = stored.iter().map(|(_, provider)| provider);
    let providers: BTreeSet<_> =
        config.providers.keys().chain(&of_variables).chain(of_profiles).collect();
    let mut found = Credentials::default();
    for provider in providers {
        let own = stored.iter().filter(|(_, owner)| owner == provider);
        let own: Vec<_> = own.map(|(id, _)| id.clone()).collect();
        let added = found.add_provider(provider, config.providers.get(provider), own, env);
        match added {
            // Whoever does not use a provider need not set its variable right.
            Err(error) if !is_used(config, provider) => found.warnings.push(error.to_string()),
            added => added?,
        }
    }
    Ok(found)
}

/// Whether polpo.json or one of its agents names a provider.
fn is_used(config: &Config, provider: &ProviderId) -> bool {
    let mut specs = config.agents.iter().flat_map(|agent| {
        agent.fallbacks.iter().chain([&agent.model, &agent.retry.escalate_model])
    });
    config.providers.contains_key(provider) || specs.any(|spec| spec.provider == *provider)
}

impl Credentials {
    fn add_provider(
        &mut self,
        provider: &ProviderId,
        config: Option<&ProviderConfig>,
        stored: Vec<ProfileId>,
        env: Env<'_>,
    ) -> Result<(), ConfigError> {
        let configured = config.map_or(&[][..], |config| &config.keys);
        let (keys, place) = match variable_key(provider, env) {
            _ if !configured.is_empty() => (configured.to_vec(), "polpo.json"),
            Some((variable, key)) => (vec![key?], variable),
            None => (Vec::new(), ""),
        };
        let profiles: Vec<(ProfileId, FoundSecret)> = if keys.is_empty() {
            stored.into_iter().map(|id| (id, FoundSecret::Stored)).collect()
        } else {
            self.warn_of_shadows(provider, place, &stored);
            keys.into_iter()
                .map(|key| (profile_id(provider, &key), FoundSecret::Key(key)))
                .collect()
        };
        if profiles.is_empty() {
            return Ok(());
        }
        let Some(base_url) = provider_url(provider, config, env)? else {
            let ids = listed(profiles.iter().map(|(id, _)| id));
            self.warnings.push(format!(
                "{ids} cannot be used: nothing says where provider {provider} is; add \
                 providers.{provider}.baseUrl to polpo.json"
            ));
            return Ok(());
        };
        let max_concurrency = config.and_then(|config| config.max_concurrency);
        for (id, secret) in profiles {
            let (provider, base_url) = (provider.clone(), base_url.clone());
            self.add(Found { id, provider, secret, base_url, max_concurrency });
        }
        Ok(())
    }

    fn warn_of_shadows(&mut self, provider: &ProviderId, place: &str, stored: &[ProfileId]) {
        if !stored.is_empty() {
            let ids = listed(stored);
            self.warnings.push(format!(
                "{place} has a key for provider {provider}, which is used instead of the stored \
                 {ids}; remove the key to use what is stored"
            ));
        }
    }

    fn add(&mut self, profile: Found) {
        if self.profiles.iter().any(|known| known.id == profile.id) {
            self.warnings.push(format!(
                "provider {} has the key of profile {} twice; it counts once",
                profile.provider, profile.id
            ));
            return;
        }
        self.profiles.push(profile);
    }
}

/// The variable that may hold a key for a provider.
#[must_use]
pub fn key_variable(provider: &ProviderId) -> Option<&'static str> {
    let known = KEY_VARIABLES.into_iter().find(|(name, _)| *name == provider.as_str());
    known.map(|(_, variable)| variable)
}

/// The key in the variable of a provider, and which variable that is. Set but empty is how a shell
/// unsets a variable for its children.
fn variable_key(
    provider: &ProviderId,
    env: Env<'_>,
) -> Option<(&'static str, Result<Secret, ConfigError>)> {
    let variable = key_variable(provider)?;
    let key = env(variable).filter(|key| !key.trim().is_empty())?;
    let key = usable_key(&key);
    Some((variable, key.map_err(|problem| fault(variable, problem, "correct it, or unset it"))))
}

/// The id of the profile that a key makes: `provider:key-` and the first 8 hex digits of the key's
/// SHA-256, so that it survives reordering.
#[must_use]
pub fn profile_id(provider: &ProviderId, key: &Secret) -> ProfileId {
    let digest = Sha256::digest(key.expose().as_bytes());
    let [a, b, c, d, ..] = <[u8; 32]>::from(digest);
    format!("{provider}:key-{a:02x}{b:02x}{c:02x}{d:02x}").into()
}

/// Where a provider is; `None` for one that neither polpo.json nor we know.
fn provider_url(
    provider: &ProviderId,
    config: Option<&ProviderConfig>,
    env: Env<'_>,
) -> Result<Option<String>, ConfigError> {
    if let Some(url) = config.and_then(|config| config.base_url.clone()) {
        return Ok(Some(url));
    }
    let set = match provider.as_str() {
        "anthropic" => env(URL_VARIABLE).filter(|url| !url.trim().is_empty()),
        _ => None,
    };
    match set {
        Some(url) => base_url(url.trim())
            .map(Some)
            .map_err(|problem| fault(URL_VARIABLE, problem, URL_ADVICE)),
        None => Ok(built_in_url(provider.as_str()).map(str::to_owned)),
    }
}

fn listed<'a>(ids: impl IntoIterator<Item = &'a ProfileId>) -> String {
    let ids: Vec<_> = ids.into_iter().map(ProfileId::as_str).collect();
    let noun = if ids.len() == 1 { "profile" } else { "profiles" };
    format!("{noun} {}", ids.join(", "))
}

fn fault(variable: &str, problem: &str, advice: &str) -> ConfigError {
    ConfigError::Variable {
        variable: variable.to_owned(),
        problem: problem.to_owned(),
        advice: advice.to_owned(),
    }
}
