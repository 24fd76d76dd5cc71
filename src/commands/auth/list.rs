//! `polpo auth list`: the profiles and how they stand.

use std::collections::BTreeMap;

use chrono::{NaiveTime, Utc};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use polpo_policy::id::{LimitClass, OrganizationId, ProfileId};
use polpo_policy::limits::Timestamp;
use polpo_policy::price::Nanodollars;
use polpo_store::journal::{CostQuery, Group};
use serde::Serialize;

use crate::cli::{Global, ListArgs};
use crate::commands::keyring::{Entry, Keyring, unknown};
use crate::commands::standing::{EXPIRED, Standing, standings};
use crate::commands::when::{distance, told};
use crate::control::{ClassStatus, Headroom};
use crate::exit::{Exit, Stop};
use crate::out::say;
use crate::run::points::{NOTE, is_estimate};
use crate::run::{journal_path, open_journal};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a ProfileId,
    provider: &'a str,
    /// `api_key` or `oauth`; none: only a running process knows.
    r#type: Option<&'static str>,
    source: &'static str,
    /// Whether runs use it.
    used: bool,
    state: &'a str,
    reason: Option<&'a str>,
    until: Option<Timestamp>,
    last_error: Option<&'a str>,
    last_used: Option<Timestamp>,
    expires: Option<Timestamp>,
    email: Option<&'a str>,
    in_flight: u32,
    headroom: &'a [Headroom],
    /// Of the tasks that have ended since midnight, UTC.
    spent_today_usd: Nanodollars,
    /// Whether that is a list-price estimate.
    estimated: bool,
    organization_id: Option<&'a OrganizationId>,
    classes: &'a BTreeMap<LimitClass, ClassStatus>,
    /// The processes that say so; none: the profile file does.
    pids: &'a [u32],
}

/// Runs the command.
///
/// # Errors
/// When the profiles cannot be read.
pub(super) async fn list(global: &Global, args: &ListArgs) -> Result<Exit, Stop> {
    let keyring = Keyring::open(global, &args.simulation)?;
    let now = Utc::now();
    let standings = standings(&keyring, now).await;
    let spent = all_spent_today(&keyring, now).await?;
    let rows = standings.iter().map(|(id, standing)| {
        let spent = spent.get(id.as_str()).copied().unwrap_or_default();
        row(id, keyring.entries.get(id), standing, spent)
    });
    let mut rows: Vec<_> = rows.collect();
    if let Some(name) = args.name.as_deref() {
        let known: Vec<_> = rows.iter().flat_map(|row| [row.id.as_str(), row.provider]).collect();
        if !known.contains(&name) {
            return Err(unknown(name, known));
        }
        rows.retain(|row| row.id.as_str() == name || row.provider == name);
    }
    if args.json {
        say(serde_json::to_string_pretty(&rows).map_err(Stop::usage)?)?;
    } else if rows.is_empty() {
        say("there are no profiles: store a key with `polpo auth add anthropic`")?;
    } else {
        say(as_table(&rows, now))?;
        rows.iter().filter_map(advice).try_for_each(say)?;
        for entry in rows.iter().filter_map(|row| keyring.entries.get(row.id)) {
            if !entry.is_used() {
                say(format_args!("{} is unused: {}", entry.id, keyring.why_unused(entry)))?;
            }
        }
        if rows.iter().any(|row| row.estimated && row.spent_today_usd > Nanodollars::default()) {
            say(NOTE)?;
        }
    }
    Ok(Exit::Success)
}

fn row<'a>(
    id: &'a ProfileId,
    entry: Option<&'a Entry>,
    standing: &'a Standing,
    spent: Nanodollars,
) -> Row<'a> {
    let Standing { status, pids } = standing;
    let stored = entry.and_then(Entry::stored);
    Row {
        id,
        provider: id.as_str().split_once(':').map_or("", |(provider, _)| provider),
        r#type: entry.map(Entry::kind),
        source: entry.map_or("process", Entry::source),
        used: entry.is_none_or(Entry::is_used),
        state: &status.state,
        reason: status.reason.as_deref(),
        until: status.until,
        last_error: status.last_error.as_deref(),
        last_used: status.last_used,
        expires: stored.and_then(|it| it.expires),
        email: stored.and_then(|it| it.email.as_deref()),
        in_flight: status.in_flight,
        headroom: &status.headroom,
        spent_today_usd: spent,
        estimated: is_estimate(id.as_str()),
        organization_id: status.organization_id.as_ref(),
        classes: &status.classes,
        pids,
    }
}

/// What the calls of each profile have cost since midnight, UTC.
async fn all_spent_today(
    keyring: &Keyring,
    now: Timestamp,
) -> Result<BTreeMap<String, Nanodollars>, Stop> {
    let Keyring { config, state, simulator, .. } = keyring;
    let simulated = simulator.is_some();
    if !journal_path(config, state, simulated).exists() {
        return Ok(BTreeMap::new());
    }
    let journal = open_journal(config, state, simulated).await?;
    let since = Some(now.date_naive().and_time(NaiveTime::MIN).and_utc());
    let query = CostQuery { group: Group::Profile, since, simulated, run: None };
    let report = journal.costs(query).await.map_err(Stop::not_written)?;
    journal.close().await.map_err(Stop::not_written)?;
    Ok(report.rows.into_iter().map(|row| (row.key, row.cost)).collect())
}

fn as_table(rows: &[Row<'_>], now: Timestamp) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "profile",
        "type",
        "from",
        "state",
        "why",
        "until",
        "last used",
        "in flight",
        "headroom",
        "today",
    ]);
    for row in rows {
        let state = if row.used { row.state.to_owned() } else { format!("{}, unused", row.state) };
        let expiry = row.expires.filter(|_| row.state == EXPIRED);
        table.add_row([
            row.id.to_string(),
            row.r#type.unwrap_or_default().to_owned(),
            row.source.to_owned(),
            state,
            row.reason.unwrap_or_default().to_owned(),
            row.until.or(expiry).map(|at| told(at, now)).unwrap_or_default(),
            row.last_used.map_or_else(|| "never".to_owned(), |at| distance(at, now)),
            row.in_flight.to_string(),
            scarcest(row.headroom),
            spent_today(row),
        ]);
    }
    for column in table.column_iter_mut().skip(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn spent_today(row: &Row<'_>) -> String {
    let about =
        if row.estimated && row.spent_today_usd > Nanodollars::default() { "about " } else { "" };
    format!("{about}${}", row.spent_today_usd)
}

/// What is left of the limit that is used most.
fn scarcest(headroom: &[Headroom]) -> String {
    let percent = |it: &Headroom| it.remaining.saturating_mul(100) / it.limit.max(1);
    let scarcest = headroom.iter().min_by_key(|it| percent(it));
    scarcest.map_or_else(String::new, |it| {
        format!("{} % of {}, {}", percent(it), it.dimension.replace('_', " "), it.class)
    })
}

/// What to do about a profile that will not come back by itself.
fn advice(row: &Row<'_>) -> Option<String> {
    let Row { id, provider, .. } = row;
    Some(match (row.state, row.reason) {
        ("revoked", _) if row.r#type == Some("oauth") => {
            format!("{id}: its login was refused; log in again: polpo auth login {provider}")
        }
        ("revoked", _) => format!(
            "{id}: its key was refused; replace it, or if it should work: polpo auth test {id}"
        ),
        (EXPIRED, _) => {
            format!("{id}: its token is over; log in again: polpo auth login {provider}")
        }
        ("disabled", Some("operator")) => format!("{id}: to use it again: polpo auth enable {id}"),
        ("disabled", _) => {
            format!("{id}: once its account has money again: polpo auth clear {id}")
        }
        _ => return None,
    })
}
