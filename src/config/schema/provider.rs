//! Providers: a key alone, or an object.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::oauth::OAuth;
use crate::config::secret::Secret;

/// A provider: its key, or an object with more to say.
pub(crate) enum ProviderEntry {
    /// The key.
    Key(Secret),
    /// More than a key.
    Table(Box<ProviderTable>),
}

/// A provider with more to say than its key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct ProviderTable {
    /// Its key. Default: the provider's environment variable, if it has one.
    pub(crate) api_key: Option<Secret>,
    /// Its keys, if there are several: each becomes a profile of its own.
    pub(crate) api_keys: Option<Vec<Secret>>,
    /// Where it is reached: an http(s) URL, which may end in a path prefix. Default: the built-in one
    /// (`https://api.anthropic.com`, or ANTHROPIC_BASE_URL; `https://api.poe.com`).
    pub(crate) base_url: Option<String>,
    /// Concurrent requests for each profile of this provider, 1 to 100000. Default: no limit of its
    /// own.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_concurrency: Option<u32>,
    /// How people log in there. Default: not at all; the provider is used with keys.
    pub(crate) oauth: Option<OAuth>,
}

// Not `untagged`, whose errors say only that no variant fits.
impl<'de> Deserialize<'de> for ProviderEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = ProviderEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string (the key) or an object")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(ProviderEntry::Key(Secret::new(key)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let table = ProviderTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ProviderEntry::Table(Box::new(table)))
    }
}

impl JsonSchema for ProviderEntry {
    fn schema_name() -> Cow<'static, str> {
        "Provider".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (key, table) =
            (generator.subschema_for::<Secret>(), generator.subschema_for::<ProviderTable>());
        json_schema!({
            "description": "A provider: its key, or an object with more to say.",
            "anyOf": [key, table],
        })
    }
}
