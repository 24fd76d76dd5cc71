//! What is simulated: accounts, limits, latency, faults and answers.

mod accounts;
mod faults;
mod file;
mod limits;
mod oauth;

use std::collections::{BTreeMap, HashMap};

use thiserror::Error;

use crate::allotment::Face;
use crate::batches::Pace;
use crate::catalogue::Model;
use crate::draw::Digest;
use crate::money::Money;
use crate::oauth::Config;
pub(crate) use accounts::read_money;
pub(crate) use faults::{Endpoint, Faults, Name as FaultName, Rule, read_faults};
pub(crate) use file::Fault as Place;
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
#[derive(Clone, Debug)]
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
mod tests {
    use super::*;
    use crate::catalogue;

    fn refused(text: &str) -> String {
        Scenario::from_json(text, "scenario.json").unwrap_err().to_string()
    }

    #[test]
    fn the_default_scenario_is_the_file_that_says_nothing() {
        let scenario = Scenario::from_json("{}", "x").unwrap();
        let names: Vec<_> =
            Scenario::default_scenario().accounts().iter().map(|a| a.name.clone()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(scenario.accounts()[1].api_keys, ["sk-ant-api03-simulated-b"]);
        let rates = scenario.limits.rates(&scenario.accounts()[0].limits, "opus-4");
        assert_eq!(rates.requests_per_minute, Some(300));
        assert_eq!(rates.input_tokens_per_minute, Some(40_000));
        assert_eq!(rates.output_tokens_per_minute, Some(80_000));
        assert_eq!(scenario.time_scale, 1000);
    }

    #[test]
    fn the_documentation_shows_the_default_scenario() {
        let document = include_str!("../../docs/simulator.md");
        let (_, rest) = document.split_once("```json\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let shown = Scenario::from_json(example, "docs/simulator.md").unwrap();
        let default = Scenario::default_scenario();
        let rates = |scenario: &Scenario| {
            let rates = |class| scenario.limits.rates(&Limits::default(), class);
            catalogue::limit_classes().into_iter().map(rates).collect::<Vec<_>>()
        };
        assert_eq!(rates(&shown), rates(&default));
        // What is written out is the same as what is left out, in all but the limits' layers.
        let told = |scenario: Scenario| {
            format!("{:?}", Scenario { limits: Limits::default(), ..scenario })
        };
        assert_eq!(told(shown), told(default));
    }

    #[test]
    fn limits_are_laid_over_each_other_and_null_lifts_one() {
        let scenario = Scenario::from_json(
            r#"{"limits": {"requestsPerMinute": 10, "inputTokensPerMinute": null,
                           "byLimitClass": {"opus-4": {"requestsPerMinute": 5}}},
                "accounts": [{"name": "x", "apiKey": "k", "limits": {"outputTokensPerMinute": 7}},
                             {"name": "y", "apiKeys": ["l", "m"],
                              "limits": {"byLimitClass": {"opus-4": {"requestsPerMinute": null}}}}]}"#,
            "x",
        )
        .unwrap();
        let rates = |account: usize, class| {
            let rates = scenario.limits.rates(&scenario.accounts()[account].limits, class);
            [
                rates.requests_per_minute,
                rates.input_tokens_per_minute,
                rates.output_tokens_per_minute,
            ]
        };
        assert_eq!(rates(0, "opus-4"), [Some(5), None, Some(7)]);
        assert_eq!(rates(0, "sonnet-4"), [Some(10), None, Some(7)]);
        assert_eq!(rates(1, "opus-4"), [None, None, Some(80_000)]);
    }

    #[test]
    fn errors_name_the_file_the_place_and_the_reason() {
        let with_account = |entry: &str| format!(r#"{{"accounts": [{entry}]}}"#);
        for (text, expected) in [
            (r#"{"sead": 1}"#.to_owned(), "scenario.json: sead: unknown field `sead`"),
            (r#"{"seed": "x"}"#.to_owned(), "scenario.json: seed: invalid type: string"),
            ("{".to_owned(), "scenario.json: .: EOF while parsing"),
            ("{} {}".to_owned(), "scenario.json: .: trailing characters"),
            (r#"{"timeScale": 0}"#.to_owned(), "timeScale: 0 is not between 0.001 and 1000000"),
            (r#"{"accounts": []}"#.to_owned(), "accounts: at least one account is needed"),
            (with_account(r#"{"name": "x"}"#), "accounts[0]: an `apiKey` or `apiKeys` is needed"),
            (with_account(r#"{"apiKey": "k"}"#), "accounts[0]: missing field `name`"),
            (
                with_account(r#"{"name": "x", "apiKey": "k", "organizationId": "o"}"#),
                "accounts[0].organizationId: a UUID is needed",
            ),
            (
                with_account(r#"{"name": "x", "apiKey": "k"}, {"name": "y", "apiKey": "k"}"#),
                "accounts[1]: an API key is given twice",
            ),
            (
                with_account(r#"{"name": "x", "apiKey": "k"}, {"name": "x", "apiKey": "l"}"#),
                "accounts[1].name: `x` is taken",
            ),
            (
                r#"{"limits": {"requestsPerMinute": 0}}"#.to_owned(),
                "limits.requestsPerMinute: invalid value: integer `0`",
            ),
            (
                r#"{"limits": {"byLimitClass": {"opus": {}}}}"#.to_owned(),
                "limits.byLimitClass.opus: `opus` is no limit class",
            ),
            (
                r#"{"latency": {"byModel": {"gpt": 1}}}"#.to_owned(),
                "latency.byModel.gpt: `gpt` is neither",
            ),
            (
                r#"{"faults": {"overloadedRate": 0.6, "errorRate": 0.5}}"#.to_owned(),
                "faults.errorRate: 0.5 is not between 0 and 0.4",
            ),
            (
                r#"{"accuracy": {"opus": 1.5}}"#.to_owned(),
                "accuracy.opus: 1.5 is not between 0 and 1",
            ),
            (r#"{"answers": {"abc": "4"}}"#.to_owned(), "answers.abc: the key must be a SHA-256"),
        ] {
            let error = refused(&text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn accounts_of_one_organization_share_its_limits() {
        let organization = "3f0c9a2b-0000-4000-8000-000000000001";
        let text = format!(
            r#"{{"accounts": [{{"name": "x", "apiKey": "k", "organizationId": "{organization}"}},
                {{"name": "y", "apiKey": "l", "organizationId": "{organization}",
                  "limits": {{"requestsPerMinute": 1}}}}]}}"#
        );
        assert!(refused(&text).contains("accounts[1].limits: `x` has other limits"));
    }
}
