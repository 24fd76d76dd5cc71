//! Faults as the scenario writes them: by rate, by script and by time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::Account;
use super::file::{Misplaced, known, read, within};
use crate::catalogue;

/// What goes wrong, and how often.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "FaultsEntry")]
pub(crate) struct Faults {
    /// Share of requests that are answered 529.
    pub(crate) overloaded_rate: f64,
    /// Share of requests that are answered 500.
    pub(crate) error_rate: f64,
    /// Looked at in order, before the rates: the first one that fires decides.
    pub(crate) rules: Vec<Rule>,
}

impl Default for Faults {
    fn default() -> Self {
        FaultsEntry::default().into()
    }
}

/// The faults, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct FaultsEntry {
    overloaded_rate: Option<f64>,
    error_rate: f64,
    rules: Option<Vec<Rule>>,
}

/// Share of requests that are answered 529 where nothing is said: clients must get used to it.
const OVERLOADED_RATE: f64 = 0.01;

impl From<FaultsEntry> for Faults {
    fn from(entry: FaultsEntry) -> Self {
        // Whoever writes rules wants these faults and no others.
        let default = if entry.rules.is_some() { 0.0 } else { OVERLOADED_RATE };
        Self {
            overloaded_rate: entry.overloaded_rate.unwrap_or(default),
            error_rate: entry.error_rate,
            rules: entry.rules.unwrap_or_default(),
        }
    }
}

/// A fault, and the requests that it meets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) fault: Name,
    /// Names of accounts; empty is all.
    #[serde(default)]
    pub(crate) accounts: Vec<String>,
    /// Model ids or classes; empty is all.
    #[serde(default)]
    pub(crate) models: Vec<String>,
    #[serde(default)]
    pub(crate) endpoint: Endpoint,
    /// Simulated seconds since the start or the last reset.
    #[serde(default)]
    pub(crate) from_seconds: f64,
    pub(crate) until_seconds: Option<f64>,
    /// Matching requests that are let through first.
    #[serde(default)]
    pub(crate) skip: u64,
    /// Most requests it meets.
    pub(crate) times: Option<u64>,
    /// Share of the matching requests that it meets.
    #[serde(default = "all")]
    pub(crate) rate: f64,
    /// Says `retry-after` in seconds.
    pub(crate) retry_after_seconds: Option<u64>,
    /// Says `retry-after` as the HTTP date that many seconds from now.
    pub(crate) retry_after_date_seconds: Option<u32>,
    /// Says `retry-after-ms`.
    pub(crate) retry_after_ms: Option<u64>,
    /// What the answer says otherwise than this fault's own.
    #[serde(default)]
    pub(crate) error: ErrorEntry,
    /// Of a fault in a stream: the events that are sent before it, pings not counted.
    after_events: Option<usize>,
    /// Of `slowFirstToken`: how long it takes longer, in simulated seconds.
    delay_seconds: Option<f64>,
}

const fn all() -> f64 {
    1.0
}

/// How much longer a slow first token takes: longer than a hasty client waits.
const DELAY_SECONDS: f64 = 30.0;

/// What an error answer says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ErrorEntry {
    pub(crate) status: Option<u16>,
    pub(crate) r#type: Option<String>,
    pub(crate) message: Option<String>,
    /// `details.error_code`.
    pub(crate) code: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// The endpoint that a rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Endpoint {
    #[default]
    Messages,
    CountTokens,
    /// Creating a batch.
    Batches,
}

/// The faults there are. The first group are error answers, the second ones of a stream or body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Name {
    InvalidRequest,
    CreditTooLow,
    SpendLimit,
    WorkspaceSpendLimit,
    ThirdPartyApp,
    Authentication,
    TokenExpired,
    TokenRevoked,
    OauthNotSupported,
    Cors,
    Billing,
    Permission,
    OauthNotAllowed,
    MissingScope,
    /// The edge's 403, which has no envelope.
    Forbidden,
    NotFound,
    RequestTimeout,
    Conflict,
    Precondition,
    TooLarge,
    Unprocessable,
    RateLimit,
    MonthlyCap,
    ContractCap,
    RampLimit,
    /// A subscription's throttle: 429 without any header that tells of a limit.
    Throttled,
    LongContext,
    Error,
    Timeout,
    Overloaded,

    /// An `error` event in a stream whose status was 200.
    ErrorEvent,
    /// The connection breaks.
    Drop,
    /// Nothing comes any more, and the connection stays.
    Stall,
    SlowFirstToken,
    MalformedJson,
    /// The body ends early, as if it were whole.
    Truncated,
    /// A page of HTML with status 200.
    WrongContentType,
    /// The model refuses: not an error, but an answer with `stop_reason: refusal`.
    Refusal,
}

/// Reads faults alone.
///
/// # Errors
/// The place in the JSON, and what is wrong there.
pub(crate) fn read_faults(json: &[u8], accounts: &[Account]) -> Result<Faults, Misplaced> {
    let faults: Faults = read(json)?;
    faults.check("", accounts)?;
    Ok(faults)
}

impl Faults {
    /// Checks what the shape alone does not say; `path` is a prefix with its dot.
    pub(super) fn check(&self, path: &str, accounts: &[Account]) -> Result<(), Misplaced> {
        within(&format!("{path}overloadedRate"), self.overloaded_rate, 0.0, 1.0)?;
        let left = 1.0 - self.overloaded_rate;
        within(&format!("{path}errorRate"), self.error_rate, 0.0, left)?;
        let names: BTreeSet<&str> = accounts.iter().map(|a| a.name.as_str()).collect();
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check(&format!("{path}rules[{index}]"), &names)?;
        }
        Ok(())
    }
}

/// Longer delays would outlast every client's patience many times.
const MAX_SECONDS: f64 = 86_400.0;

impl Rule {
    /// Events that are sent before a fault in a stream.
    pub(crate) fn after_events(&self) -> usize {
        self.after_events.unwrap_or(0)
    }

    /// How much longer a slow first token takes, in simulated time.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay_seconds.unwrap_or(DELAY_SECONDS))
    }

    fn check(&self, path: &str, accounts: &BTreeSet<&str>) -> Result<(), Misplaced> {
        self.check_fault(path)?;
        within(&format!("{path}.rate"), self.rate, 0.0, 1.0)?;
        let delay = self.delay_seconds.unwrap_or(DELAY_SECONDS);
        within(&format!("{path}.delaySeconds"), delay, 0.0, MAX_SECONDS)?;
        within(&format!("{path}.fromSeconds"), self.from_seconds, 0.0, f64::MAX)?;
        if let Some(until) = self.until_seconds {
            within(&format!("{path}.untilSeconds"), until, self.from_seconds, f64::MAX)?;
        }
        for (index, name) in self.accounts.iter().enumerate() {
            known(&format!("{path}.accounts[{index}]"), name, accounts, "account")?;
        }
        for (index, name) in self.models.iter().enumerate() {
            let is_id = catalogue::find(name).is_some_and(|model| model.id == *name);
            if !is_id {
                let path = format!("{path}.models[{index}]");
                known(&path, name, &catalogue::classes(), "model class or id")?;
            }
        }
        if let Some(status) = self.error.status {
            within(&format!("{path}.error.status"), f64::from(status), 400.0, 599.0)?;
        }
        for (name, value) in &self.error.headers {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                let reason = "not a valid header".to_owned();
                return Err((format!("{path}.error.headers.{name}"), reason));
            }
        }
        Ok(())
    }

    /// Checks that nothing is said that a fault of this kind does not look at.
    fn check_fault(&self, path: &str) -> Result<(), Misplaced> {
        let fail = |key: &str, reason: &str| Err((format!("{path}.{key}"), reason.to_owned()));
        if self.fault.is_mishap() && self.endpoint != Endpoint::Messages {
            return fail("endpoint", "this fault only ever meets `messages`");
        }
        if self.after_events.is_some() && !self.fault.has_place() {
            return fail("afterEvents", "this fault does not come after some events of a stream");
        }
        if self.delay_seconds.is_some() && self.fault != Name::SlowFirstToken {
            return fail("delaySeconds", "only `slowFirstToken` has a delay");
        }
        if self.fault.is_mishap() && self.fault != Name::ErrorEvent {
            let said = [
                ("retryAfterSeconds", self.retry_after_seconds.is_some()),
                ("retryAfterDateSeconds", self.retry_after_date_seconds.is_some()),
                ("retryAfterMs", self.retry_after_ms.is_some()),
                ("error", self.error != ErrorEntry::default()),
            ];
            if let Some((key, _)) = said.into_iter().find(|(_, is_said)| *is_said) {
                return fail(key, "this fault is no error answer");
            }
        }
        Ok(())
    }
}

impl Name {
    /// Whether a message is served, and this happens to it on its way.
    const fn is_mishap(self) -> bool {
        self.has_place()
            || matches!(self, Self::SlowFirstToken | Self::WrongContentType | Self::Refusal)
    }

    /// Whether it happens in a stream after some events.
    const fn has_place(self) -> bool {
        matches!(
            self,
            Self::ErrorEvent | Self::Drop | Self::Stall | Self::MalformedJson | Self::Truncated
        )
    }
}
