//! The configuration as the program uses it: every default filled in, every value checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use polpo_policy::id::{AgentId, ProviderId};
use polpo_policy::model::ModelSpec;
use polpo_policy::price::PriceOverride;
use polpo_upstream::oauth::OAuthSettings;

use super::allowlist::Allowlist;
use super::gateway::GatewayConfig;
use super::secret::Secret;

/// A checked polpo.json with its defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Providers named in polpo.json; empty when a simulated run replaces them.
    pub providers: BTreeMap<ProviderId, ProviderConfig>,
    /// The agents, in the order of the file; never empty, names are unique.
    pub agents: Vec<AgentConfig>,
    /// Everything else.
    pub settings: Settings,
    /// Where the gateway listens, and to whom.
    pub gateway: GatewayConfig,
    /// The file it came from; `None` when there was none.
    pub origin: Option<PathBuf>,
}

impl Config {
    /// The agent of this name.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&AgentConfig> {
        self.agents.iter().find(|agent| agent.name.as_str() == name)
    }

    /// How people log in at a provider, if polpo.json says so.
    #[must_use]
    pub fn oauth(&self, provider: &ProviderId) -> Option<&OAuthSettings> {
        self.providers.get(provider)?.oauth.as_ref()
    }
}

/// A provider as polpo.json names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Its keys, in the order of the file.
    pub keys: Vec<Secret>,
    /// Where it is reached, without a trailing slash; `None` = the built-in one.
    pub base_url: Option<String>,
    /// Concurrent requests for each of its profiles; `None` = no limit of its own.
    pub max_concurrency: Option<u32>,
    /// How people log in there. Its URLs are https, or http on this machine; names of headers are in
    /// lower case, each once.
    pub oauth: Option<OAuthSettings>,
}

/// One agent.
#[derive(Clone, PartialEq)]
pub struct AgentConfig {
    /// Its name.
    pub name: AgentId,
    /// The model it asks first.
    pub model: ModelSpec,
    /// The models it asks when no profile can serve the first, in order.
    pub fallbacks: Vec<ModelSpec>,
    /// The system prompt of its tasks.
    pub system_prompt: Option<String>,
    /// `max_tokens` of its tasks, unless a task says otherwise.
    pub max_tokens: u32,
    /// Requests it has under way at once; `None` = no limit of its own.
    pub max_concurrency: Option<u32>,
    /// What it does about results that are no good.
    pub retry: RetryConfig,
}

// Prompts are long, and their author may have meant them for the model only.
impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentConfig")
            .field("name", &self.name)
            .field("model", &self.model)
            .field("fallbacks", &self.fallbacks)
            .field("system_prompt_bytes", &self.system_prompt.as_ref().map(String::len))
            .field("max_tokens", &self.max_tokens)
            .field("max_concurrency", &self.max_concurrency)
            .field("retry", &self.retry)
            .finish()
    }
}

/// How often a task is tried again, and from when on by which model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// The first retry that runs on [`Self::escalate_model`], counted from 1.
    pub escalate_after: u32,
    /// The model of that retry and of all later ones.
    pub escalate_model: ModelSpec,
}

/// The `settings` of polpo.json.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests under way at once, over all agents.
    pub max_concurrency: u32,
    /// How long a request of the gateway or a chat waits for a profile.
    pub max_queue: Duration,
    /// The models that may be used; `None` = all.
    pub allowlist: Option<Allowlist>,
    /// Cooldowns of a profile after failures in a row; the last one repeats.
    pub cooldown_steps: Vec<Duration>,
    /// How long a profile without money is left alone.
    pub billing: BillingDisable,
    /// Prices before the catalogue's, by model name.
    pub prices: Vec<(String, PriceOverride)>,
    /// Where and how the journal is kept.
    pub journal: JournalConfig,
    /// Whether metrics show the identifiers of profiles unmasked.
    pub show_profile_names: bool,
}

/// How long a profile without money is left alone: `backoff`, doubled each time up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillingDisable {
    /// The first time.
    pub backoff: Duration,
    /// At most.
    pub max: Duration,
    /// The count starts anew when the last failure is this long ago.
    pub window: Duration,
}

/// Where and how the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Its file; `None` = in the state directory.
    pub path: Option<PathBuf>,
    /// What it survives.
    pub synchronous: Synchronous,
}

/// How hard the journal presses the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Survives a killed process.
    #[default]
    Normal,
    /// Survives a loss of power.
    Full,
}
