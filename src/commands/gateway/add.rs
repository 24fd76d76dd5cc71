//! `polpo gateway key add`: a new client key.

use chrono::Utc;
use polpo_policy::id::{KeyName, is_name};
use polpo_policy::limits::Timestamp;
use polpo_policy::quota::{Limits, REQUESTS_PER_MINUTE};
use polpo_store::keys::{KeyFileError, StoredKey};
use polpo_upstream::random::random;

use super::{Desk, refuse_key};
use crate::cli::KeyAddArgs;
use crate::commands::when::{span, told};
use crate::config::expiry;
use crate::exit::{Exit, Stop};
use crate::keys::hash;
use crate::out::{say, tell};

/// How our keys begin, so that people and scanners of repositories know them.
const PREFIX: &str = "sk-polpo-";

/// As many random characters as are shown of a key: enough to tell a few keys apart, and no help in
/// guessing the other 39.
const SHOWN: usize = 4;

/// Runs the command.
///
/// # Errors
/// When the name is taken or is none, or the key cannot be stored.
pub(super) fn add(desk: &Desk, args: &KeyAddArgs) -> Result<Exit, Stop> {
    let now = Utc::now();
    let name = free_name(desk, &args.name)?;
    let expires = args.expires.as_deref().map(|text| end(text, now)).transpose()?;
    let key = format!("{PREFIX}{}", random());
    let stored = StoredKey {
        name,
        sha256: hash(key.as_bytes()),
        starts_with: key.chars().take(PREFIX.len() + SHOWN).collect(),
        limits: Limits {
            requests_per_minute: args.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE),
            tokens_per_minute: args.tokens_per_minute,
            cost_per_day: args.max_cost_usd_per_day,
            cost_total: args.max_cost_usd,
            concurrency: args.max_concurrency,
        },
        models: args.models.clone(),
        created_at: now,
        expires,
        revoked_at: None,
    };
    let warnings = desk.file.add(&stored).map_err(|error| match error {
        KeyFileError::Taken { .. } => Stop::usage(error),
        KeyFileError::Disk(_) | KeyFileError::Newer { .. } | KeyFileError::Damaged { .. } => {
            Stop::not_written(error)
        }
    })?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    say(&key)?;
    let until = expires.map_or(String::new(), |end| format!(" It ends {}.", told(end, now)));
    tell(format_args!(
        "The key of {} is shown this once: give it to its client, as x-api-key or as a bearer \
         token.{until}",
        stored.name
    ));
    Ok(Exit::Success)
}

/// The name, if polpo.json does not have it.
fn free_name(desk: &Desk, name: &str) -> Result<KeyName, Stop> {
    refuse_key(name)?;
    if !is_name(name) {
        return Err(Stop::usage(
            "this is no name for a client key: use up to 64 letters, digits, `_`, `.` and `-`",
        ));
    }
    if desk.is_configured(name) {
        return Err(Stop::usage(format!(
            "polpo.json has a client key named {name}: choose another name, or remove that one"
        )));
    }
    Ok(name.into())
}

/// When a key ends that is made now.
fn end(text: &str, now: Timestamp) -> Result<Timestamp, Stop> {
    let later = span(text).and_then(|span| now.checked_add_signed(span));
    let end = later.map_or_else(|| expiry(text), Ok).map_err(|_| {
        Stop::usage(format!("--expires {text}: use 30d, 12h, or a date such as 2026-12-31"))
    })?;
    if end <= now {
        return Err(Stop::usage(format!("--expires {text}: that is past; choose a later time")));
    }
    Ok(end)
}
