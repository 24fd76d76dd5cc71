//! The scenario file as it is written, and what makes it valid.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;

use super::{Account, Faults, Latency, Limits, Scenario};
use crate::catalogue;
use crate::draw::{Digest, Draws};

/// A place in the JSON, and what is wrong there.
type Fault = (String, String);

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct File {
    seed: u64,
    time_scale: f64,
    accept_any_key: bool,
    accounts: Vec<AccountEntry>,
    limits: Limits,
    latency: LatencyEntry,
    faults: FaultsEntry,
    accuracy: BTreeMap<String, f64>,
    answers: HashMap<String, String>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            seed: 1,
            time_scale: 1.0,
            accept_any_key: false,
            accounts: ["a", "b", "c"].map(AccountEntry::simulated).into(),
            limits: Limits::default(),
            latency: LatencyEntry::default(),
            faults: FaultsEntry::default(),
            accuracy: BTreeMap::new(),
            answers: HashMap::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccountEntry {
    name: String,
    api_key: Option<String>,
    #[serde(default)]
    api_keys: Vec<String>,
    organization_id: Option<String>,
    workspace_id: Option<String>,
    #[serde(default)]
    limits: Limits,
}

impl AccountEntry {
    fn simulated(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            api_key: Some(format!("sk-ant-api03-simulated-{name}")),
            api_keys: Vec::new(),
            organization_id: None,
            workspace_id: None,
            limits: Limits::default(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct LatencyEntry {
    median_seconds: f64,
    by_model: BTreeMap<String, f64>,
}

impl Default for LatencyEntry {
    fn default() -> Self {
        Self { median_seconds: 1.5, by_model: BTreeMap::new() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct FaultsEntry {
    overloaded_rate: f64,
    error_rate: f64,
}

impl Default for FaultsEntry {
    fn default() -> Self {
        Self { overloaded_rate: 0.01, error_rate: 0.0 }
    }
}

/// How often a model of a class is right, where the file does not say.
const ACCURACY: [(&str, f64); 5] =
    [("haiku", 0.75), ("sonnet", 0.9), ("opus", 0.98), ("fable", 0.99), ("mythos", 0.99)];

/// Reads the JSON.
pub(super) fn read(text: &str) -> Result<File, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let file = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| (place(error.path()), error.inner().to_string()))?;
    deserializer.end().map_err(|error| (".".to_owned(), error.to_string()))?;
    Ok(file)
}

/// The top of the file is `.`, also where the JSON broke off before there was a place.
fn place(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    if path == "?" { ".".to_owned() } else { path }
}

impl File {
    /// Checks what the shape alone does not say.
    pub(super) fn check(self) -> Result<Scenario, Fault> {
        within("timeScale", self.time_scale, 0.001, 1_000_000.0)?;
        check_latency(&self.latency)?;
        within("faults.overloadedRate", self.faults.overloaded_rate, 0.0, 1.0)?;
        let left = 1.0 - self.faults.overloaded_rate;
        within("faults.errorRate", self.faults.error_rate, 0.0, left)?;
        check_classes("limits", &self.limits)?;
        let mut accuracy: BTreeMap<String, f64> =
            ACCURACY.map(|(class, share)| (class.to_owned(), share)).into();
        for (class, share) in self.accuracy {
            let path = format!("accuracy.{class}");
            known(&path, &class, &catalogue::classes(), "model class")?;
            within(&path, share, 0.0, 1.0)?;
            accuracy.insert(class, share);
        }
        let latency = self.latency;
        let faults = self.faults;
        Ok(Scenario {
            seed: self.seed,
            time_scale: thousandths(self.time_scale),
            accept_any_key: self.accept_any_key,
            accounts: check_accounts(self.accounts)?,
            limits: self.limits,
            latency: Latency { median_seconds: latency.median_seconds, by_model: latency.by_model },
            faults: Faults {
                overloaded_rate: faults.overloaded_rate,
                error_rate: faults.error_rate,
            },
            accuracy,
            answers: self.answers.into_iter().map(check_answer).collect::<Result<_, _>>()?,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0.001 and a million, as checked"
)]
fn thousandths(scale: f64) -> u64 {
    (scale * 1000.0).round() as u64
}

/// An hour's latency is a slip of the pen.
const MAX_LATENCY_SECONDS: f64 = 3600.0;

fn check_latency(latency: &LatencyEntry) -> Result<(), Fault> {
    within("latency.medianSeconds", latency.median_seconds, 0.0, MAX_LATENCY_SECONDS)?;
    for (name, &seconds) in &latency.by_model {
        let path = format!("latency.byModel.{name}");
        within(&path, seconds, 0.0, MAX_LATENCY_SECONDS)?;
        let is_id = catalogue::find(name).is_some_and(|model| model.id == *name);
        if !is_id && !catalogue::classes().contains(name.as_str()) {
            return Err((path, format!("`{name}` is neither a model id nor a model class")));
        }
    }
    Ok(())
}

fn check_classes(path: &str, limits: &Limits) -> Result<(), Fault> {
    limits.by_limit_class.keys().try_for_each(|class| {
        let path = format!("{path}.byLimitClass.{class}");
        known(&path, class, &catalogue::limit_classes(), "limit class")
    })
}

fn check_accounts(entries: Vec<AccountEntry>) -> Result<Vec<Account>, Fault> {
    if entries.is_empty() {
        return Err(("accounts".to_owned(), "at least one account is needed".to_owned()));
    }
    let mut accounts: Vec<Account> = Vec::with_capacity(entries.len());
    let mut keys = BTreeSet::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let path = format!("accounts[{index}]");
        let account = check_account(&path, entry)?;
        if accounts.iter().any(|other| other.name == account.name) {
            return Err((format!("{path}.name"), format!("`{}` is taken", account.name)));
        }
        if account.api_keys.iter().any(|key| !keys.insert(key.clone())) {
            return Err((path, "an API key is given twice".to_owned()));
        }
        let differs = |other: &Account| {
            other.organization_id == account.organization_id && other.limits != account.limits
        };
        if let Some(other) = accounts.iter().find(|other| differs(other)) {
            let reason = format!("`{}` has other limits for the same organization", other.name);
            return Err((format!("{path}.limits"), reason));
        }
        accounts.push(account);
    }
    Ok(accounts)
}

fn check_account(path: &str, entry: AccountEntry) -> Result<Account, Fault> {
    if entry.name.is_empty() {
        return Err((format!("{path}.name"), "a name is needed".to_owned()));
    }
    let api_keys: Vec<String> = entry.api_key.into_iter().chain(entry.api_keys).collect();
    if api_keys.is_empty() {
        return Err((path.to_owned(), "an `apiKey` or `apiKeys` is needed".to_owned()));
    }
    if !api_keys.iter().all(|key| !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic())) {
        let reason = "an API key must be printable ASCII without spaces".to_owned();
        return Err((path.to_owned(), reason));
    }
    let draws = Draws::named(0, &entry.name);
    let organization_id = entry.organization_id.unwrap_or_else(|| draws.uuid("organization"));
    if !is_uuid(&organization_id) {
        return Err((format!("{path}.organizationId"), "a UUID is needed".to_owned()));
    }
    let workspace_id =
        entry.workspace_id.unwrap_or_else(|| format!("wrkspc_01{}", draws.id("workspace", 22)));
    let rest = workspace_id.strip_prefix("wrkspc_").unwrap_or_default();
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let reason = "`wrkspc_` with letters and digits is needed".to_owned();
        return Err((format!("{path}.workspaceId"), reason));
    }
    check_classes(&format!("{path}.limits"), &entry.limits)?;
    Ok(Account { name: entry.name, api_keys, organization_id, workspace_id, limits: entry.limits })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn check_answer((hash, answer): (String, String)) -> Result<(Digest, String), Fault> {
    let fail = |reason: &str| (format!("answers.{hash}"), reason.to_owned());
    let lower = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if hash.len() != 64 || !hash.bytes().all(lower) {
        return Err(fail("the key must be a SHA-256 in lowercase hexadecimal"));
    }
    if answer.trim().is_empty() || answer.contains('\n') {
        return Err(fail("an answer is one line with something on it"));
    }
    let mut digest = Digest::default();
    for (index, byte) in digest.iter_mut().enumerate() {
        let pair = hash.get(index * 2..index * 2 + 2).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).map_err(|_| fail("not hexadecimal"))?;
    }
    Ok((digest, answer))
}

fn within(path: &str, value: f64, low: f64, high: f64) -> Result<(), Fault> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err((path.to_owned(), format!("{value} is not between {low} and {high}")))
}

fn known(path: &str, name: &str, names: &BTreeSet<&str>, what: &str) -> Result<(), Fault> {
    if names.contains(name) {
        return Ok(());
    }
    let names = names.iter().copied().collect::<Vec<_>>().join(", ");
    Err((path.to_owned(), format!("`{name}` is no {what}; there are {names}")))
}
