//! `gateway`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::secret::Secret;

/// The gateway: an endpoint like Anthropic's, over the profiles of this configuration.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Gateway {
    /// The address and the port where it listens. Without any client key it listens on this machine
    /// only. Default: 127.0.0.1:8787.
    pub(crate) bind: Option<String>,
    /// Opens what changes the state of profiles, at least 16 characters. Default: nobody may.
    pub(crate) admin_key: Option<Secret>,
    /// The keys of its clients, beside those that `polpo gateway key add` has made. Without any it
    /// takes every key.
    pub(crate) keys: Vec<ClientKey>,
    /// Bytes of requests and answers that it holds in memory at once, 32 MiB to 1 TiB. Default:
    /// 1073741824.
    #[schemars(range(min = 33_554_432_u64, max = 1_099_511_627_776_u64))]
    pub(crate) max_held_bytes: Option<u64>,
}

/// A client of the gateway and what it may use.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClientKey {
    /// Its name in metrics and messages, unique in the file: `^[a-zA-Z0-9_.-]{1,64}$`.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_.-]{1,64}$"))]
    pub(crate) name: String,
    /// What it shows, at least 16 characters. In a simulation keys with variables in them or in
    /// files are left out.
    pub(crate) key: Secret,
    /// Requests a minute, 1 to 1000000. Default: 500.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests_per_minute: Option<u32>,
    /// Tokens a minute, in and out. Default: no limit.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub(crate) tokens_per_minute: Option<u64>,
    /// US dollars from midnight to midnight, UTC. Models without a known price are then refused.
    /// Default: no limit.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub(crate) max_cost_usd_per_day: Option<f64>,
    /// US dollars in all. Models without a known price are then refused. Default: no limit.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub(crate) max_cost_usd: Option<f64>,
    /// Requests it may have under way at once. Default: no limit.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_concurrency: Option<u32>,
    /// The models it may ask for, as in `settings.modelAllowlist`. Default: all of those.
    #[serde(default)]
    pub(crate) models: Option<Vec<String>>,
    /// When it ends: a date, which it is still good for (UTC), or a time as in RFC 3339. Default:
    /// never.
    #[serde(default)]
    pub(crate) expires: Option<String>,
}
