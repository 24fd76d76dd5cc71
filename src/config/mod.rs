//! polpo.json: found, read, checked, and shown again without its secrets.
//!
//! `schema` is what a user types, [`Config`] what the program uses. A secret appears in no error,
//! no `Debug` and no output: every message is built from our own words and JSON paths, never from
//! values (see `sanitise`).

mod agents;
mod allowlist;
mod bounds;
mod credentials;
mod discover;
mod document;
mod effective;
mod env;
mod error;
mod expand;
mod gateway;
mod load;
mod locate;
mod nearest;
mod oauth;
mod path;
mod providers;
mod sanitise;
mod schema;
mod secret;
mod settings;
mod shape;
mod show;
mod starter;
mod stray;
#[cfg(test)]
mod tests;
mod unique;
mod url;

pub(crate) use agents::model_max_tokens;
pub use allowlist::Allowlist;
pub use credentials::{
    Credentials, Found, FoundSecret, key_variable, profile_id, resolve_credentials,
};
pub use discover::{Search, discover};
pub use effective::{
    AgentConfig, BillingDisable, Config, JournalConfig, ProviderConfig, RetryConfig, Settings,
    Synchronous,
};
pub use env::{Env, process_env};
pub use error::ConfigError;
pub(crate) use error::io_words;
pub use gateway::{GatewayConfig, KeyConfig};
pub(crate) use gateway::{budget, expiry};
pub use load::{Accounts, load};
pub(crate) use nearest::{nearest, shown_key};
pub(crate) use providers::{is_built_in, usable_key};
pub use schema::json_schema;
pub use secret::Secret;
pub use show::show;
pub use starter::STARTER;
pub(crate) use stray::looks_like_key;
