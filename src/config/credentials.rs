//! Which keys serve which provider: polpo.json first, then the environment.

use std::collections::BTreeMap;

use polpo_policy::id::{ProfileId, ProviderId};
use sha2::{Digest, Sha256};

use super::effective::{Config, ProviderConfig};
use super::env::Env;
use super::error::ConfigError;
use super::providers::{URL_ADVICE, base_url, built_in_url, usable_key};
use super::secret::Secret;

/// The variables that hold keys, by provider.
pub(super) const KEY_VARIABLES: [(&str, &str); 2] =
    [("anthropic", "ANTHROPIC_API_KEY"), ("poe", "POE_API_KEY")];

const URL_VARIABLE: &str = "ANTHROPIC_BASE_URL";

/// The keys there are, and what is odd about them.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// One profile for each different key, by provider, then in the order of the file.
    pub profiles: Vec<KeyProfile>,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
}

/// A profile made from a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyProfile {
    /// `provider:key-` and the first 8 hex digits of the key's SHA-256, so that it survives
    /// reordering.
    pub id: ProfileId,
    /// Whose key it is.
    pub provider: ProviderId,
    /// The key.
    pub key: Secret,
    /// Where the provider is reached, without a trailing slash.
    pub base_url: String,
    /// Concurrent requests for this profile; `None` = no limit of its own.
    pub max_concurrency: Option<u32>,
}

/// Finds the keys of every provider: those of polpo.json, else the one of its variable.
///
/// # Errors
/// When a variable holds what cannot be a key, or no base URL.
pub fn resolve_credentials(config: &Config, env: Env<'_>) -> Result<Credentials, ConfigError> {
    let mut providers: BTreeMap<ProviderId, ProviderConfig> = config.providers.clone();
    for (name, variable) in KEY_VARIABLES {
        // Set but empty is how a shell unsets a variable for its children.
        let Some(key) = env(variable).filter(|key| !key.trim().is_empty()) else { continue };
        let provider = providers.entry(name.into()).or_insert_with(|| ProviderConfig {
            keys: Vec::new(),
            base_url: None,
            max_concurrency: None,
        });
        if provider.keys.is_empty() {
            let key = usable_key(&key)
                .map_err(|problem| fault(variable, problem, "correct it, or unset it"))?;
            provider.keys.push(key);
        }
    }
    let mut found = Credentials::default();
    for (id, provider) in providers {
        if provider.keys.is_empty() {
            continue;
        }
        let url = match provider.base_url {
            Some(url) => url,
            None => default_url(&id, env)?,
        };
        for key in provider.keys {
            let profile = KeyProfile {
                id: profile_id(&id, &key),
                provider: id.clone(),
                key,
                base_url: url.clone(),
                max_concurrency: provider.max_concurrency,
            };
            found.add(profile);
        }
    }
    Ok(found)
}

impl Credentials {
    fn add(&mut self, profile: KeyProfile) {
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

/// The id of the profile that a key makes: `provider:key-` and the first 8 hex digits of the key's
/// SHA-256, so that it survives reordering (contract §2).
#[must_use]
pub fn profile_id(provider: &ProviderId, key: &Secret) -> ProfileId {
    let digest = Sha256::digest(key.expose().as_bytes());
    let [a, b, c, d, ..] = <[u8; 32]>::from(digest);
    format!("{provider}:key-{a:02x}{b:02x}{c:02x}{d:02x}").into()
}

fn default_url(provider: &ProviderId, env: Env<'_>) -> Result<String, ConfigError> {
    let set = match provider.as_str() {
        "anthropic" => env(URL_VARIABLE).filter(|url| !url.trim().is_empty()),
        _ => None,
    };
    match set {
        Some(url) => {
            base_url(url.trim()).map_err(|problem| fault(URL_VARIABLE, problem, URL_ADVICE))
        }
        // Any other provider was refused without a base URL when polpo.json was read.
        None => Ok(built_in_url(provider.as_str()).unwrap_or_default().to_owned()),
    }
}

fn fault(variable: &str, problem: &str, advice: &str) -> ConfigError {
    ConfigError::Variable {
        variable: variable.to_owned(),
        problem: problem.to_owned(),
        advice: advice.to_owned(),
    }
}
