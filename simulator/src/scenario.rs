//! What is simulated: accounts, limits, latency, faults and answers.

mod accounts;
mod faults;
mod file;
mod limits;
mod oauth;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use thiserror::Error;

use crate::allotment::Face;
use crate::batches::Pace;
use crate::catalogue::Model;
use crate::draw::Digest;
use crate::money::Money;
use crate::oauth::Config;
pub(crate) use accounts::read_money;
pub(crate) use faults::{Endpoint, Faults, Name as FaultName, Rule, read_faults};
pub(crate) use file::Misplaced;
pub(crate) use limits::{Acceleration, Limits, Rates};

/// A scenario: valid by construction.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(crate) seed: u64,
    /// The time scale in thousandths.
    pub(crate) time_scale: u64,
    pub(crate) accept_any_key: bool,
    pub(crate) accounts: Vec<Account>,
    pub(crate) limits: Limits,
    pub(crate) latency: Latency,
    pub(crate) faults: Faults,
    pub(crate) accuracy: BTreeMap<String, f64>,
    /// How often a model calls a tool of its own accord.
    pub(crate) tool_use_rate: f64,
    pub(crate) batches: Pace,
    pub(crate) oauth: Config,
    pub(crate) answers: HashMap<Digest, String>,
}

/// An account: an organisation's workspace and its keys.
#[derive(Clone)]
pub struct Account {
    /// What the books call it.
    pub name: String,
    /// Its API keys; a subscription has none.
    pub api_keys: Vec<String>,
    /// The organisation whose limits it uses: a UUID.
    pub organization_id: String,
    /// The workspace: `wrkspc_…`.
    pub workspace_id: String,
    pub(crate) limits: Limits,
    /// What the workspace may use of the organisation's limits.
    pub(crate) workspace_limits: Limits,
    pub(crate) money: Money,
    pub(crate) face: Face,
    /// The e-mail address of the user who can sign in to it.
    pub email: String,
}

impl Account {
    /// Whether it is one at Poe.
    #[must_use]
    pub const fn is_poe(&self) -> bool {
        matches!(self.face, Face::Poe(_))
    }
}

/// Without the keys.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, organization_id, workspace_id, limits, money, face, email, .. } = self;
        f.debug_struct("Account")
            .field("name", name)
            .field("api_keys", &self.api_keys.len())
            .field("organization_id", organization_id)
            .field("workspace_id", workspace_id)
            .field("limits", limits)
            .field("workspace_limits", &self.workspace_limits)
            .field("money", money)
            .field("face", face)
            .field("email", email)
            .finish()
    }
}

/// How long answers take.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    pub(crate) median_seconds: f64,
    /// By model id or model class.
    pub(crate) by_model: BTreeMap<String, f64>,
}

impl Latency {
    /// The median for a model: its own, else its class's, else the general one.
    pub(crate) fn median(&self, model: &Model) -> f64 {
        let named = |name: &String| self.by_model.get(name).copied();
        named(&model.id).or_else(|| named(&model.class)).unwrap_or(self.median_seconds)
    }
}

/// Why a scenario cannot be used, and where in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{origin}: {path}: {reason}")]
pub struct ScenarioError {
    /// The file, as the caller named it.
    pub origin: String,
    /// The place in the JSON, e.g. `accounts[0].apiKey`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

impl Scenario {
    /// Reads a scenario file. `origin` names the file in errors.
    ///
    /// # Errors
    /// If it is not JSON, has a key it should not have, or a value that makes no sense.
    pub fn from_json(text: &str, origin: &str) -> Result<Self, ScenarioError> {
        let fail = |(path, reason)| ScenarioError { origin: origin.to_owned(), path, reason };
        file::read(text.as_bytes()).and_then(file::File::check).map_err(fail)
    }

    /// Three accounts, each and per limit class 300 requests, 40,000 input tokens and 80,000
    /// output tokens a minute; a median latency of 1.5 s; one request in a hundred meets a 529.
    #[must_use]
    pub fn default_scenario() -> Self {
        // A file that says nothing is valid; a test holds it.
        file::File::default().check().unwrap_or_else(|_| Self::empty())
    }

    /// The accounts, in the order of the file.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The id of the one client that people can sign in with.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.oauth.client_id
    }

    fn empty() -> Self {
        Self {
            seed: 0,
            time_scale: 1000,
            accept_any_key: false,
            accounts: Vec::new(),
            limits: Limits::default(),
            latency: Latency { median_seconds: 0.0, by_model: BTreeMap::new() },
            faults: Faults::default(),
            accuracy: BTreeMap::new(),
            tool_use_rate: 1.0,
            batches: Pace::default(),
            oauth: Config::default(),
            answers: HashMap::new(),
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self::default_scenario()
    }
}

#[cfg(test)]
mod tests;
