//! What the key file says. What is not understood is kept as it is.

use polpo_policy::id::{KeyName, is_name};
use polpo_policy::limits::Timestamp;
use polpo_policy::price::Nanodollars;
use polpo_policy::quota::{Limits, REQUESTS_PER_MINUTE};
use serde_json::{Map, Value};

use super::{KeyContents, Revocation, StoredKey};
use crate::disk::{self, Damage};
use crate::iso::{iso, parse_iso};

/// The version that is read and written.
pub(super) const VERSION: u32 = 1;

/// The document, its list apart.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Document {
    keys: Vec<Value>,
    rest: Map<String, Value>,
}

impl Document {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Damage> {
        let mut rest = disk::parse(text, VERSION)?;
        match rest.remove("keys") {
            Some(Value::Array(keys)) => Ok(Self { keys, rest }),
            Some(_) | None => Err(Damage::Corrupt("its \"keys\" is no JSON array".into())),
        }
    }

    pub(super) fn into_text(self) -> String {
        let mut all = self.rest;
        all.insert("version".into(), VERSION.into());
        all.insert("keys".into(), self.keys.into());
        format!("{:#}\n", Value::Object(all))
    }

    pub(super) fn contents(&self) -> KeyContents {
        let mut contents = KeyContents { entries: self.keys.len(), ..KeyContents::default() };
        for (at, entry) in self.keys.iter().enumerate() {
            match stored(entry) {
                Ok(key) => contents.keys.push(key),
                Err(fault) => contents.warnings.push(format!(
                    "keys[{at}] was skipped, so that nobody can use it: {fault}; correct it, or \
                     remove it and make a new one"
                )),
            }
        }
        contents
    }

    /// Whether its name was free.
    pub(super) fn add(&mut self, key: &StoredKey) -> bool {
        if self.keys.iter().any(|entry| is_named(entry, &key.name) && !is_revoked(entry)) {
            return false;
        }
        self.keys.push(entry(key));
        true
    }

    pub(super) fn revoke(&mut self, name: &KeyName, now: Timestamp) -> Revocation {
        let mut answer = Revocation::Unknown;
        for entry in self.keys.iter_mut().filter(|entry| is_named(entry, name)) {
            if is_revoked(entry) {
                let at = entry.get("revokedAt").and_then(parse_iso).unwrap_or_default();
                answer = match answer {
                    Revocation::Done => Revocation::Done,
                    Revocation::Before(_) | Revocation::Unknown => Revocation::Before(at),
                };
            } else if let Value::Object(entry) = entry {
                entry.insert("revokedAt".into(), iso(now));
                answer = Revocation::Done;
            }
        }
        answer
    }
}

fn is_named(entry: &Value, name: &KeyName) -> bool {
    entry.get("name").and_then(Value::as_str) == Some(name.as_str())
}

/// Whatever stands there: somebody has revoked it.
fn is_revoked(entry: &Value) -> bool {
    entry.get("revokedAt").is_some_and(|at| !at.is_null())
}

/// The key of an entry, or what is wrong with it.
fn stored(entry: &Value) -> Result<StoredKey, String> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let name = text("name").filter(|name| is_name(name)).ok_or("it has no name that is one")?;
    let sha256 = text("sha256").and_then(digest).ok_or("its sha256 is not 64 hex digits")?;
    let limits = Limits {
        requests_per_minute: count(entry, "requestsPerMinute")?.unwrap_or(REQUESTS_PER_MINUTE),
        tokens_per_minute: count(entry, "tokensPerMinute")?,
        cost_per_day: given(entry, "maxCostUsdPerDay", amount)?,
        cost_total: given(entry, "maxCostUsd", amount)?,
        concurrency: count(entry, "maxConcurrency")?,
    };
    let created_at = given(entry, "createdAt", parse_iso)?.ok_or("it has no createdAt")?;
    Ok(StoredKey {
        name: name.into(),
        sha256,
        starts_with: text("startsWith").unwrap_or_default().to_owned(),
        limits,
        models: given(entry, "models", globs)?.unwrap_or_default(),
        created_at,
        expires: given(entry, "expires", parse_iso)?,
        revoked_at: given(entry, "revokedAt", parse_iso)?,
    })
}

/// What an entry gives, if it does; what cannot be understood may be a limit, so it is an error.
fn given<T>(
    entry: &Value,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, String> {
    match entry.get(name).filter(|value| !value.is_null()) {
        Some(value) => read(value).map(Some).ok_or_else(|| format!("its {name} is not understood")),
        None => Ok(None),
    }
}

fn count<T: TryFrom<u64>>(entry: &Value, name: &str) -> Result<Option<T>, String> {
    let positive = |value: &Value| value.as_u64().filter(|count| *count > 0);
    given(entry, name, |value| positive(value).and_then(|count| count.try_into().ok()))
}

fn amount(value: &Value) -> Option<Nanodollars> {
    // A float is written with the digits that it was read from, and without an exponent.
    value.as_f64()?.to_string().parse().ok()
}

fn globs(value: &Value) -> Option<Vec<String>> {
    let globs = value.as_array()?.iter().map(|glob| glob.as_str().map(str::to_owned));
    // An empty list would mean all of them.
    globs.collect::<Option<Vec<_>>>().filter(|globs| !globs.is_empty())
}

fn entry(key: &StoredKey) -> Value {
    let StoredKey { name, sha256, starts_with, limits, models, created_at, expires, revoked_at } =
        key;
    let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let dollars = |budget: Option<Nanodollars>| budget.map(|it| it.as_dollars().into());
    let fields: [(&str, Option<Value>); 12] = [
        ("name", Some(name.as_str().into())),
        ("sha256", Some(hex.into())),
        ("startsWith", Some(starts_with.as_str().into())),
        ("requestsPerMinute", Some(limits.requests_per_minute.into())),
        ("tokensPerMinute", limits.tokens_per_minute.map(Into::into)),
        ("maxCostUsdPerDay", dollars(limits.cost_per_day)),
        ("maxCostUsd", dollars(limits.cost_total)),
        ("maxConcurrency", limits.concurrency.map(Into::into)),
        ("models", (!models.is_empty()).then(|| models.as_slice().into())),
        ("createdAt", Some(iso(*created_at))),
        ("expires", expires.map(iso)),
        ("revokedAt", revoked_at.map(iso)),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect())
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}
