//! polpo.json as a user types it: the names, the types, and the words of its JSON Schema.
//!
//! No type here has a `Debug`: a key typed in the wrong place is still among its values.

mod agent;
mod gateway;
mod oauth;
mod provider;
mod settings;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use agent::{Agent, RetryPolicy, Team};
pub(crate) use gateway::{ClientKey, Gateway};
pub(crate) use oauth::OAuth;
pub(crate) use provider::{ProviderEntry, ProviderTable};
pub(crate) use settings::{
    BillingDisable, Cooldown, Journal, ModelAllowlist, Price, Settings, Synchronous,
};

/// The configuration of polpo. `//` comments and trailing commas are allowed; `${NAME}` in a string
/// is replaced by the environment variable NAME (write `$${` for a literal `${`).
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(title = "polpo.json")]
pub(crate) struct File {
    /// Where this schema is, for editors; polpo does not read it.
    #[serde(rename = "$schema")]
    pub(crate) schema: Option<String>,
    /// The providers of the API and their keys, by name (`^[a-z0-9][a-z0-9_-]{0,63}$`). `anthropic`
    /// and `poe` are known; any other name needs a `baseUrl`. Default: the keys in
    /// ANTHROPIC_API_KEY and POE_API_KEY.
    pub(crate) providers: BTreeMap<String, ProviderEntry>,
    /// The agents that work on tasks. Default: one named `default`.
    pub(crate) agents: Vec<Agent>,
    /// More agents, under a team.
    pub(crate) team: Option<Team>,
    /// More agents, under several teams.
    pub(crate) teams: Vec<Team>,
    /// What holds for all of them.
    pub(crate) settings: Settings,
    /// The endpoint that `polpo serve` offers, and who may use it.
    pub(crate) gateway: Gateway,
}

/// The JSON Schema of polpo.json, as pretty JSON.
#[must_use]
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(File);
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}
