//! The scenario file as it is written, and what makes it valid.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::accounts::{AccountEntry, check_accounts};
use super::oauth::OAuthEntry;
use super::{Faults, Latency, Limits, Scenario};
use crate::batches::Pace;
use crate::catalogue;
use crate::draw::Digest;

/// A place in the JSON, and what is wrong there.
pub(crate) type Misplaced = (String, String);

/// The file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct File {
    seed: u64,
    time_scale: f64,
    accept_any_key: bool,
    accounts: Vec<AccountEntry>,
    limits: Limits,
    latency: LatencyEntry,
    faults: Faults,
    accuracy: BTreeMap<String, f64>,
    tool_use_rate: f64,
    batches: BatchesEntry,
    oauth: OAuthEntry,
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
            faults: Faults::default(),
            accuracy: BTreeMap::new(),
            tool_use_rate: 1.0,
            batches: BatchesEntry::default(),
            oauth: OAuthEntry::default(),
            answers: HashMap::new(),
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
struct BatchesEntry {
    median_seconds: f64,
    expired_rate: f64,
}

impl Default for BatchesEntry {
    fn default() -> Self {
        Self { median_seconds: 60.0, expired_rate: 0.0 }
    }
}

/// A batch that takes ten days expires like one that takes two.
const MAX_BATCH_SECONDS: f64 = 864_000.0;

impl BatchesEntry {
    fn check(&self) -> Result<Pace, Misplaced> {
        within("batches.medianSeconds", self.median_seconds, 0.0, MAX_BATCH_SECONDS)?;
        within("batches.expiredRate", self.expired_rate, 0.0, 1.0)?;
        let median = Duration::from_secs_f64(self.median_seconds);
        Ok(Pace { median, expired_rate: self.expired_rate })
    }
}

/// How often a model of a class is right, where the file does not say.
const ACCURACY: [(&str, f64); 5] =
    [("haiku", 0.75), ("sonnet", 0.9), ("opus", 0.98), ("fable", 0.99), ("mythos", 0.99)];

/// Reads the JSON.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Misplaced> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
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
    pub(super) fn check(self) -> Result<Scenario, Misplaced> {
        within("timeScale", self.time_scale, 0.001, 1_000_000.0)?;
        check_latency(&self.latency)?;
        within("toolUseRate", self.tool_use_rate, 0.0, 1.0)?;
        self.limits.check("limits")?;
        let accounts = check_accounts(self.accounts)?;
        self.faults.check("faults.", &accounts)?;
        let mut accuracy: BTreeMap<String, f64> =
            ACCURACY.map(|(class, share)| (class.to_owned(), share)).into();
        for (class, share) in self.accuracy {
            let path = format!("accuracy.{class}");
            known(&path, &class, &catalogue::classes(), "model class")?;
            within(&path, share, 0.0, 1.0)?;
            accuracy.insert(class, share);
        }
        let latency = self.latency;
        Ok(Scenario {
            seed: self.seed,
            time_scale: thousandths(self.time_scale),
            accept_any_key: self.accept_any_key,
            oauth: self.oauth.check(&accounts)?,
            accounts,
            limits: self.limits,
            latency: Latency { median_seconds: latency.median_seconds, by_model: latency.by_model },
            faults: self.faults,
            accuracy,
            tool_use_rate: self.tool_use_rate,
            batches: self.batches.check()?,
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

fn check_latency(latency: &LatencyEntry) -> Result<(), Misplaced> {
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

fn check_answer((hash, answer): (String, String)) -> Result<(Digest, String), Misplaced> {
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

pub(super) fn within(path: &str, value: f64, low: f64, high: f64) -> Result<(), Misplaced> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err((path.to_owned(), format!("{value} is not between {low} and {high}")))
}

pub(super) fn known(
    path: &str,
    name: &str,
    names: &BTreeSet<&str>,
    what: &str,
) -> Result<(), Misplaced> {
    if names.contains(name) {
        return Ok(());
    }
    let names = names.iter().copied().collect::<Vec<_>>().join(", ");
    Err((path.to_owned(), format!("`{name}` is no {what}; there are {names}")))
}
