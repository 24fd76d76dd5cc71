//! `polpo models status`: can the models that the agents need be served?

use std::collections::{BTreeMap, BTreeSet};

use chrono::{TimeDelta, Utc};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use polpo_policy::id::ProfileId;
use polpo_policy::limits::Timestamp;
use polpo_policy::model::ModelSpec;
use serde::Serialize;

use crate::cli::{Global, StatusArgs};
use crate::commands::keyring::{Entry, Keyring, specs};
use crate::commands::standing::{Standing, standings};
use crate::commands::when::told;
use crate::exit::{Exit, Stop};
use crate::out::say;
use crate::run::no_profile;

/// A login that cannot be renewed and ends within this is due for a new one.
const SOON: TimeDelta = TimeDelta::hours(24);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    model: &'a str,
    provider: &'a str,
    /// The only profile that serves it.
    pin: Option<&'a ProfileId>,
    /// How many of the provider's profiles are in each state, for this model.
    profiles: BTreeMap<&'a str, usize>,
    /// When the first of those that rest returns, as far as that is known.
    next_return: Option<Timestamp>,
}

/// Runs the command.
///
/// # Errors
/// When the profiles cannot be read.
pub(super) async fn status(global: &Global, args: &StatusArgs) -> Result<Exit, Stop> {
    let keyring = Keyring::open(global, &args.simulation)?;
    let now = Utc::now();
    let standings = standings(&keyring, now).await;
    let mut needed: Vec<&ModelSpec> = Vec::new();
    for spec in specs(&keyring.config) {
        if !needed.contains(&spec) {
            needed.push(spec);
        }
    }
    let profiles = |spec: &ModelSpec| {
        let own = keyring.entries.values().filter(|it| {
            it.is_used()
                && it.provider == spec.provider
                && spec.pin.as_ref().is_none_or(|pin| *pin == it.id)
        });
        own.filter_map(|it| Some((it, standings.get(&it.id)?))).collect::<Vec<_>>()
    };
    let rows: Vec<_> = needed.iter().map(|spec| row(spec, &profiles(spec))).collect();
    if args.json {
        say(serde_json::to_string_pretty(&rows).map_err(Stop::usage)?)?;
    } else {
        say(as_table(&rows, now))?;
        let known: Vec<_> = keyring.entries.keys().map(ProfileId::as_str).collect();
        let pins: BTreeSet<_> = rows.iter().filter_map(|row| row.pin).collect();
        let lost = pins.into_iter().filter(|pin| !known.contains(&pin.as_str()));
        lost.map(|pin| no_profile(pin, &known)).try_for_each(say)?;
    }
    let of_each = needed.iter().map(|spec| profiles(spec));
    Ok(if args.check { verdict(of_each, now) } else { Exit::Success })
}

fn row<'a>(spec: &'a ModelSpec, profiles: &[(&Entry, &'a Standing)]) -> Row<'a> {
    let mut states = BTreeMap::new();
    let mut next_return: Option<Timestamp> = None;
    for (_, standing) in profiles {
        let (state, until) = standing.status.for_class(&spec.limit_class());
        *states.entry(state).or_default() += 1;
        next_return = [next_return, until].into_iter().flatten().min();
    }
    let ModelSpec { model, provider, pin, .. } = spec;
    let (model, provider, pin) = (model.as_str(), provider.as_str(), pin.as_ref());
    Row { model, provider, pin, profiles: states, next_return }
}

fn as_table(rows: &[Row<'_>], now: Timestamp) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["model", "provider", "profiles", "next return"]);
    for row in rows {
        let states: Vec<_> =
            row.profiles.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let states = if states.is_empty() { "none".to_owned() } else { states.join(", ") };
        let next = row.next_return.map(|at| told(at, now)).unwrap_or_default();
        let pin = row.pin.map(|pin| format!("@{pin}")).unwrap_or_default();
        table.add_row([&format!("{}{pin}", row.model), row.provider, &states, &next]);
    }
    table
}

/// What `--check` says of the profiles of each provider.
fn verdict<'a>(
    of_each: impl Iterator<Item = Vec<(&'a Entry, &'a Standing)>>,
    now: Timestamp,
) -> Exit {
    let mut verdict = Exit::Success;
    for profiles in of_each {
        if profiles.is_empty() {
            return Exit::Failed;
        }
        let is_impaired = |(entry, standing): &(&Entry, &Standing)| {
            let ends_soon = entry.ends.is_some_and(|at| at <= now + SOON);
            ends_soon || !["ready", "probing"].contains(&standing.status.state.as_str())
        };
        if profiles.iter().any(is_impaired) {
            verdict = Exit::Impaired;
        }
    }
    verdict
}
