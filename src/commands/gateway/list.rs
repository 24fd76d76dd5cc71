//! `polpo gateway key list`: the client keys, what they may use and what they have used.

use std::collections::BTreeMap;

use chrono::Utc;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use polpo_policy::id::KeyName;
use polpo_policy::limits::Timestamp;
use polpo_policy::price::Nanodollars;
use polpo_policy::quota::{Limits, Spent};
use polpo_store::keys::StoredKey;
use serde::Serialize;

use super::Desk;
use crate::cli::KeyListArgs;
use crate::commands::when::told;
use crate::config::KeyConfig;
use crate::exit::{Exit, Stop};
use crate::keys::spent;
use crate::out::say;
use crate::run::{journal_path, open_journal};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: KeyName,
    /// Nothing is shown of keys that were not made here.
    starts_with: Option<String>,
    /// `config` or `stored`.
    source: &'static str,
    state: State,
    requests_per_minute: u32,
    tokens_per_minute: Option<u64>,
    max_cost_usd_per_day: Option<Nanodollars>,
    max_cost_usd: Option<Nanodollars>,
    max_concurrency: Option<u32>,
    /// None: all.
    models: Option<Vec<String>>,
    created_at: Option<Timestamp>,
    expires: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// Of the name, since midnight, UTC.
    spent_today_usd: Nanodollars,
    /// Of the name, ever.
    spent_usd: Nanodollars,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    Expired,
    Revoked,
    /// polpo.json has another key of its name.
    Unused,
}

/// Runs the command.
///
/// # Errors
/// When the keys or the journal cannot be read.
pub(super) async fn list(desk: &Desk, args: KeyListArgs) -> Result<Exit, Stop> {
    let now = Utc::now();
    let spent = all_spent(desk, now).await?;
    let contents = desk.file.read().map_err(Stop::usage)?;
    contents.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let configured = desk.config.gateway.keys.iter().map(|key| configured(key, now));
    let stored = contents.keys.into_iter().map(|key| stored(desk, key, now));
    let mut rows: Vec<_> = configured.chain(stored).collect();
    for row in &mut rows {
        let Spent { today, total, .. } = spent.get(&row.name).copied().unwrap_or_default();
        (row.spent_today_usd, row.spent_usd) = (today, total);
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    if args.json {
        say(serde_json::to_string_pretty(&rows).map_err(Stop::usage)?)?;
    } else if rows.is_empty() {
        say(
            "there are no client keys: the gateway takes any, from this machine only; make one with \
             `polpo gateway key add NAME`",
        )?;
    } else {
        say(as_table(&rows, now))?;
    }
    Ok(Exit::Success)
}

fn configured(key: &KeyConfig, now: Timestamp) -> Row {
    let is_over = key.expires.is_some_and(|end| end <= now);
    let state = if is_over { State::Expired } else { State::Good };
    Row {
        models: key.models.as_ref().map(|list| list.patterns().to_vec()),
        expires: key.expires,
        ..row(key.name.clone(), "config", state, key.limits)
    }
}

fn stored(desk: &Desk, key: StoredKey, now: Timestamp) -> Row {
    let StoredKey { name, starts_with, limits, models, created_at, expires, revoked_at, .. } = key;
    let state = if revoked_at.is_some() {
        State::Revoked
    } else if desk.is_configured(name.as_str()) {
        State::Unused
    } else if expires.is_some_and(|end| end <= now) {
        State::Expired
    } else {
        State::Good
    };
    Row {
        starts_with: Some(starts_with),
        models: (!models.is_empty()).then_some(models),
        created_at: Some(created_at),
        expires,
        revoked_at,
        ..row(name, "stored", state, limits)
    }
}

fn row(name: KeyName, source: &'static str, state: State, limits: Limits) -> Row {
    Row {
        name,
        starts_with: None,
        source,
        state,
        requests_per_minute: limits.requests_per_minute,
        tokens_per_minute: limits.tokens_per_minute,
        max_cost_usd_per_day: limits.cost_per_day,
        max_cost_usd: limits.cost_total,
        max_concurrency: limits.concurrency,
        models: None,
        created_at: None,
        expires: None,
        revoked_at: None,
        spent_today_usd: Nanodollars::default(),
        spent_usd: Nanodollars::default(),
    }
}

/// What each name has spent, as the journal knows it.
async fn all_spent(desk: &Desk, now: Timestamp) -> Result<BTreeMap<KeyName, Spent>, Stop> {
    let Desk { config, state, is_simulated, .. } = desk;
    if !journal_path(config, state, *is_simulated).exists() {
        return Ok(BTreeMap::new());
    }
    let journal = open_journal(config, state, *is_simulated).await?;
    let spent = spent(&*journal, *is_simulated, now).await?;
    journal.close().await.map_err(Stop::not_written)?;
    Ok(spent.into_iter().collect())
}

fn as_table(rows: &[Row], now: Timestamp) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "name", "key", "from", "state", "limits", "models", "until", "today", "in all",
    ]);
    for row in rows {
        let state = match row.state {
            State::Good => "good",
            State::Expired => "expired",
            State::Revoked => "revoked",
            State::Unused => "unused: polpo.json has one of its name",
        };
        table.add_row([
            row.name.to_string(),
            row.starts_with.as_ref().map_or_else(String::new, |start| format!("{start}…")),
            row.source.to_owned(),
            state.to_owned(),
            limits(row),
            row.models.as_ref().map_or_else(|| "all".to_owned(), |models| models.join(", ")),
            row.revoked_at.or(row.expires).map(|at| told(at, now)).unwrap_or_default(),
            format!("${}", row.spent_today_usd),
            format!("${}", row.spent_usd),
        ]);
    }
    for column in table.column_iter_mut().skip(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn limits(row: &Row) -> String {
    let limits = [
        Some(format!("{} requests a minute", row.requests_per_minute)),
        row.tokens_per_minute.map(|most| format!("{most} tokens a minute")),
        row.max_cost_usd_per_day.map(|most| format!("${most} a day")),
        row.max_cost_usd.map(|most| format!("${most} in all")),
        row.max_concurrency.map(|most| format!("{most} at once")),
    ];
    limits.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
