//! Agents and teams of them.

use schemars::JsonSchema;
use serde::Deserialize;

/// One agent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Agent {
    /// Its name, unique in the file: `^[a-zA-Z0-9_.-]{1,64}$`.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_.-]{1,64}$"))]
    pub(crate) name: String,
    /// The model it asks first: `provider:model`, `provider/model`, or a name that tells its
    /// provider (`claude-…`); `@provider:identifier` at its end pins a profile. Default: POLPO_MODEL,
    /// else claude-sonnet-4-6.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// The models to ask when no profile can serve the first, in order. Default: none.
    #[serde(default)]
    pub(crate) fallbacks: Vec<String>,
    /// The system prompt of its tasks. Default: none.
    #[serde(default)]
    pub(crate) system_prompt: Option<String>,
    /// The most tokens an answer may have, unless a task says otherwise. Default: 8192, or the
    /// model's own maximum if that is less.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(crate) max_tokens: Option<u32>,
    /// Requests it may have under way at once. Default: no limit but `settings.maxConcurrency`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_concurrency: Option<u32>,
    /// What it does about results that are no good. Default: `settings.defaultRetryPolicy`, key by
    /// key.
    #[serde(default)]
    pub(crate) retry_policy: RetryPolicy,
}

/// How often a task is tried again, and from when on by a more capable model.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct RetryPolicy {
    /// Retries after the first attempt, 0 to 100. Default: 2.
    #[schemars(range(max = 100))]
    pub(crate) max_retries: Option<u32>,
    /// The first retry, counted from 1, that runs on `escalateModel`; later ones do too. Default: 1.
    #[schemars(range(min = 1))]
    pub(crate) escalate_after: Option<u32>,
    /// The model that steps in; ignored when the agent's own model is of that class or a higher one.
    /// Default: claude-opus-4-6 at the agent's provider, if the allowlist has it.
    pub(crate) escalate_model: Option<String>,
}

/// A team of agents. Its name is for its readers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Team {
    /// What the team is called; polpo does not use it.
    pub(crate) name: Option<String>,
    /// What the team is for; polpo does not use it.
    pub(crate) description: Option<String>,
    /// Its agents.
    pub(crate) agents: Vec<Agent>,
}
