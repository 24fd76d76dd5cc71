//! `settings`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::agent::RetryPolicy;

/// What holds for all agents.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Requests under way at once, over all agents, 1 to 100000. Default: 256.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_concurrency: Option<u32>,
    /// Seconds that a request of the gateway or a chat waits for a profile, 1 to 86400; a batch waits
    /// as long as any profile has a known return. Default: 60.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) max_queue_seconds: Option<u32>,
    /// What agents do about results that are no good. Default: 2 retries, both on claude-opus-4-6.
    pub(crate) default_retry_policy: RetryPolicy,
    /// The models that agents and tasks may use. Fallbacks are not held to it. Default: all.
    pub(crate) model_allowlist: Option<ModelAllowlist>,
    /// How long a profile rests after failures.
    pub(crate) cooldown: Cooldown,
    /// How long a profile without money is left alone.
    pub(crate) billing_disable: BillingDisable,
    /// Prices before the catalogue's, by model name, in US dollars for a million tokens.
    pub(crate) prices: BTreeMap<String, Price>,
    /// The run journal.
    pub(crate) journal: Journal,
    /// The metrics.
    pub(crate) metrics: Metrics,
}

/// How long a profile rests after failures.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Cooldown {
    /// Seconds after the first failure, the second in a row, and so on, each 1 to 604800; the last
    /// one repeats. Default: [60, 300, 1500, 3600].
    #[schemars(length(min = 1, max = 16))]
    pub(crate) steps_seconds: Option<Vec<u32>>,
}

/// How long a profile without money is left alone.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct BillingDisable {
    /// Hours after the first billing failure; doubled with each further one. Default: 5.
    pub(crate) billing_backoff_hours: Option<f64>,
    /// Hours at most. Default: 24.
    pub(crate) billing_max_hours: Option<f64>,
    /// Hours after which the failures are forgotten, counted from the last one. Default: 24.
    pub(crate) failure_window_hours: Option<f64>,
}

/// The price of a model, in US dollars for a million tokens.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Price {
    /// Of input tokens.
    #[schemars(range(min = 0))]
    pub(crate) input: f64,
    /// Of output tokens.
    #[schemars(range(min = 0))]
    pub(crate) output: f64,
    /// Of tokens read from the cache. Default: in the model's own ratio to `input`.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(crate) cache_read: Option<f64>,
    /// Of tokens written to the cache for five minutes. Default: in the model's own ratio to `input`.
    #[serde(default, rename = "cacheWrite5m")]
    #[schemars(range(min = 0))]
    pub(crate) cache_write_5m: Option<f64>,
    /// Of tokens written to the cache for an hour. Default: in the model's own ratio to `input`.
    #[serde(default, rename = "cacheWrite1h")]
    #[schemars(range(min = 0))]
    pub(crate) cache_write_1h: Option<f64>,
}

/// The run journal.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Journal {
    /// Its file; a relative path starts at the directory of polpo.json. Default: in the state
    /// directory.
    pub(crate) path: Option<String>,
    /// `normal` survives a killed process, `full` also a loss of power. Default: `normal`.
    pub(crate) synchronous: Synchronous,
}

/// How hard the journal presses the disk.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Synchronous {
    /// Survives a killed process.
    #[default]
    Normal,
    /// Survives a loss of power.
    Full,
}

/// The metrics.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Shows the identifiers of profiles (e-mail addresses) unmasked. Default: false.
    pub(crate) show_profile_names: bool,
}

/// The models that may be used: globs over `provider:model` or the model alone; or an object whose
/// keys are such globs.
pub(crate) struct ModelAllowlist(pub(crate) Vec<String>);

// Not `untagged`, whose errors say only that no variant fits.
impl<'de> Deserialize<'de> for ModelAllowlist {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = ModelAllowlist;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut patterns = Vec::new();
        while let Some(pattern) = seq.next_element()? {
            patterns.push(pattern);
        }
        Ok(ModelAllowlist(patterns))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut patterns = Vec::new();
        // The values are names for display, which we have no use for.
        while let Some((pattern, IgnoredAny)) = map.next_entry()? {
            patterns.push(pattern);
        }
        Ok(ModelAllowlist(patterns))
    }
}

impl JsonSchema for ModelAllowlist {
    fn schema_name() -> Cow<'static, str> {
        "ModelAllowlist".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The models that may be used: globs (`*`, `?`) over `provider:model`, or \
                over the model alone; or an object whose keys are such globs.",
            "anyOf": [
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
                { "type": "object", "minProperties": 1 },
            ],
        })
    }
}
