//! From `gateway` to [`GatewayConfig`]: defaults filled in, keys and numbers checked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use polpo_policy::id::{KeyName, is_name};
use polpo_policy::limits::Timestamp;
use polpo_policy::price::Nanodollars;
use polpo_policy::quota::{Limits, REQUESTS_PER_MINUTE};

use super::allowlist::Allowlist;
use super::bounds::{CONCURRENCY, bounded};
use super::error::Fault;
use super::load::Accounts;
use super::path::JsonPath;
use super::providers::secret;
use super::schema;
use super::secret::Secret;

/// The port that the contract of clients names.
const PORT: u16 = 8787;

/// More than anybody's limit at the API.
const REQUESTS: std::ops::RangeInclusive<u32> = 1..=1_000_000;
const TOKENS: std::ops::RangeInclusive<u64> = 1..=1_000_000_000_000;

/// Above this a budget is a slip of the decimal point, and a float no longer tells nanodollars.
const MOST_MONEY: Nanodollars = Nanodollars(1_000_000_000_000_000);

/// From the largest request that the API takes to more memory than a machine has.
const HELD: std::ops::RangeInclusive<u64> = 33_554_432..=1_099_511_627_776;
const HELD_DEFAULT: u64 = 1_073_741_824;

/// Shorter keys can be found by trying.
const KEY_MIN: usize = 16;

/// The `gateway` of polpo.json.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Opens what changes the state of profiles; `None` = nobody may.
    pub admin_key: Option<Secret>,
    /// The client keys, in the order of the file; names and keys are unique.
    pub keys: Vec<KeyConfig>,
    /// Bytes of requests and answers that it holds at once.
    pub max_held_bytes: u64,
}

/// A client key of polpo.json.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyConfig {
    /// Its name.
    pub name: KeyName,
    /// What the client shows.
    pub key: Secret,
    /// What it may use.
    pub limits: Limits,
    /// The models it may ask for; `None` = all.
    pub models: Option<Allowlist>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// Checks the gateway. Relative `file:` paths start at `directory`.
pub(super) fn gateway(
    given: schema::Gateway,
    accounts: Accounts,
    directory: &Path,
) -> Result<GatewayConfig, Fault> {
    let top = JsonPath::keys(&["gateway"]);
    let mut keyring = Keyring { accounts, directory, keys: Vec::new() };
    let admin_key = match given.admin_key {
        Some(key) => keyring.take(&key, &top.key("adminKey"))?,
        None => None,
    };
    let list = top.key("keys");
    let mut names = BTreeMap::new();
    let mut keys = Vec::new();
    for (at, given) in given.keys.into_iter().enumerate() {
        let path = list.index(at);
        if let Some(first) = names.insert(given.name.clone(), path.clone()) {
            let problem = format!("this is also the name of {first}");
            return Err(Fault::at(&path.key("name"), problem, "rename one of them"));
        }
        keys.extend(keyring.client(given, &path)?);
    }
    let held = bounded(given.max_held_bytes, &top.key("maxHeldBytes"), HELD)?;
    Ok(GatewayConfig {
        bind: bind(given.bind.as_deref(), &top.key("bind"))?,
        admin_key,
        keys,
        max_held_bytes: held.unwrap_or(HELD_DEFAULT),
    })
}

fn bind(given: Option<&str>, path: &JsonPath) -> Result<SocketAddr, Fault> {
    let Some(text) = given else { return Ok((Ipv4Addr::LOCALHOST, PORT).into()) };
    text.trim().parse().map_err(|_| {
        let problem = "must be an IP address and a port";
        Fault::at(path, problem, "write it as 127.0.0.1:8787 or [::1]:8787")
    })
}

/// The keys seen so far, none of which may come again.
struct Keyring<'a> {
    accounts: Accounts,
    directory: &'a Path,
    keys: Vec<(Secret, JsonPath)>,
}

impl Keyring<'_> {
    /// The client key, unless a simulation leaves it out.
    fn client(
        &mut self,
        given: schema::ClientKey,
        path: &JsonPath,
    ) -> Result<Option<KeyConfig>, Fault> {
        if !is_name(&given.name) {
            let problem = "this is no name for a client key";
            let advice = "names match ^[a-zA-Z0-9_.-]{1,64}$";
            return Err(Fault::at(&path.key("name"), problem, advice));
        }
        let limits = limits(&given, path)?;
        let models = models(given.models, &path.key("models"))?;
        let expires = given.expires.map(|text| {
            expiry(&text).map_err(|problem| {
                Fault::at(&path.key("expires"), problem, "write it as 2026-12-31")
            })
        });
        let (name, expires) = (KeyName::from(given.name), expires.transpose()?);
        let key = self.take(&given.key, &path.key("key"))?;
        Ok(key.map(|key| KeyConfig { name, key, limits, models, expires }))
    }

    /// The secret behind a text of the file. A simulation has only those that stand in it.
    fn take(&mut self, text: &Secret, path: &JsonPath) -> Result<Option<Secret>, Fault> {
        let is_elsewhere = text.expose().starts_with("file:") || text.expose().contains("${");
        if self.accounts == Accounts::Simulated && is_elsewhere {
            return Ok(None);
        }
        let key = secret(text, path, self.directory)?;
        if key.expose().len() < KEY_MIN {
            let problem = format!("a key of fewer than {KEY_MIN} characters can be guessed");
            let advice = "choose a longer one, at random";
            return Err(Fault::at(path, problem, advice));
        }
        if let Some((_, first)) = self.keys.iter().find(|(known, _)| *known == key) {
            let problem = format!("this is also the key of {first}");
            return Err(Fault::at(path, problem, "give each client a key of its own"));
        }
        self.keys.push((key.clone(), path.clone()));
        Ok(Some(key))
    }
}

fn limits(given: &schema::ClientKey, path: &JsonPath) -> Result<Limits, Fault> {
    let requests = bounded(given.requests_per_minute, &path.key("requestsPerMinute"), REQUESTS)?;
    let at_once = bounded(given.max_concurrency, &path.key("maxConcurrency"), CONCURRENCY)?;
    Ok(Limits {
        requests_per_minute: requests.unwrap_or(REQUESTS_PER_MINUTE),
        tokens_per_minute: bounded(given.tokens_per_minute, &path.key("tokensPerMinute"), TOKENS)?,
        cost_per_day: money(given.max_cost_usd_per_day, &path.key("maxCostUsdPerDay"))?,
        cost_total: money(given.max_cost_usd, &path.key("maxCostUsd"))?,
        concurrency: at_once,
    })
}

fn money(dollars: Option<f64>, path: &JsonPath) -> Result<Option<Nanodollars>, Fault> {
    // A float is written with the digits that it was read from.
    let read = |dollars: f64| {
        budget(&dollars.to_string())
            .map_err(|problem| Fault::at(path, problem, "correct the number"))
    };
    dollars.map(read).transpose()
}

/// The budget that a text gives in dollars.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn budget(dollars: &str) -> Result<Nanodollars, &'static str> {
    let budget = dollars.parse().ok();
    budget
        .filter(|budget| Nanodollars(0) < *budget && *budget <= MOST_MONEY)
        .ok_or("must be more than 0 and at most 1000000 dollars, with at most nine decimals")
}

fn models(given: Option<Vec<String>>, path: &JsonPath) -> Result<Option<Allowlist>, Fault> {
    given.map(|patterns| Allowlist::checked(patterns, path)).transpose()
}

/// The time that a text names: the end of a date, UTC, or a time as in RFC 3339.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn expiry(text: &str) -> Result<Timestamp, &'static str> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        let next = date.checked_add_days(Days::new(1)).ok_or("the date is too far away")?;
        return Ok(next.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| "must be a date, or a time as in RFC 3339")
}
