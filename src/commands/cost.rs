//! `polpo cost`: what calls have cost, from the journal.

use chrono::{DateTime, NaiveDate, Utc};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use polpo_store::journal::{CostQuery, CostReport, CostRow, Group};
use serde::Serialize;

use super::config::find;
use super::when::span;
use crate::cli::{CostArgs, Global};
use crate::config::{Accounts, process_env};
use crate::exit::{Exit, Stop};
use crate::out::say;
use crate::run::open_journal;
use crate::run::points::{NOTE, has_estimates, is_estimate};
use crate::state::StateDir;

/// The name of the row for calls of tasks and batches that have not ended.
const UNENDED: &str = "(not ended)";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    key: &'a str,
    calls: u64,
    usage: Usage,
    cost_usd: Nanodollars,
    /// Whether the cost is an estimate, where a row is a profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated: Option<bool>,
    unpriced_calls: u64,
    lost_calls: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    /// Whether some costs are estimates.
    estimated: bool,
    rows: Vec<Row<'a>>,
    not_ended: Row<'a>,
    total: Row<'a>,
}

/// Runs the command.
///
/// # Errors
/// When its options are wrong or the journal cannot be read.
pub async fn cost(global: &Global, args: &CostArgs) -> Result<Exit, Stop> {
    let query = CostQuery {
        group: group(&args.by)?,
        since: args.since.as_deref().map(|text| since(text, Utc::now())).transpose()?,
        simulated: args.simulate,
        run: None,
    };
    let config = find(global, Accounts::Simulated)?; // Costs need no key.
    let state = StateDir::open(global.state_dir.as_deref(), args.simulate, &process_env)?;
    let journal = open_journal(&config, &state, args.simulate).await?;
    let by_profile = query.group == Group::Profile;
    let report = journal.costs(query.clone()).await.map_err(Stop::not_written)?;
    let estimated = has_estimates(&*journal, query, &report).await?;
    journal.close().await.map_err(Stop::not_written)?;
    let text = if args.json {
        as_json(&report, estimated, by_profile)?
    } else if args.csv {
        as_csv(&report)
    } else {
        let note = if estimated { NOTE } else { "" };
        format!("{}\n{note}", as_table(&report, &args.by))
    };
    say(text.trim_end())?;
    Ok(Exit::Success)
}

fn group(text: &str) -> Result<Group, Stop> {
    Ok(match text {
        "agent" => Group::Agent,
        "model" => Group::Model,
        "profile" => Group::Profile,
        "day" => Group::Day,
        "run" => Group::Run,
        _ => match text.strip_prefix("metadata.").filter(|key| !key.is_empty()) {
            Some(key) => Group::Metadata(key.to_owned()),
            None => {
                return Err(Stop::usage(format!(
                    "--by {text}: use agent, model, profile, day, run or metadata.KEY"
                )));
            }
        },
    })
}

/// A time as `7d`, `12h`, `30m` before now, or as a date.
fn since(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Stop> {
    let ago = || now.checked_sub_signed(span(text)?);
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(chrono::NaiveTime::MIN).and_utc());
    let time = || Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc));
    ago().or_else(day).or_else(time).ok_or_else(|| {
        Stop::usage(format!("--since {text}: use 7d, 12h, 30m, or a date such as 2026-01-14"))
    })
}

fn lines(report: &CostReport) -> impl Iterator<Item = (&str, &CostRow)> {
    let rows = report.rows.iter().map(|row| (row.key.as_str(), row));
    rows.chain([(UNENDED, &report.unended), ("total", &report.total)])
}

fn row<'a>((key, row): (&'a str, &CostRow)) -> Row<'a> {
    Row {
        key,
        calls: row.calls,
        usage: row.usage,
        cost_usd: row.cost,
        estimated: None,
        unpriced_calls: row.unpriced_calls,
        lost_calls: row.lost_calls,
    }
}

fn as_json(report: &CostReport, estimated: bool, by_profile: bool) -> Result<String, Stop> {
    let rows = report.rows.iter().map(|it| Row {
        estimated: by_profile.then(|| is_estimate(&it.key)),
        ..row((&it.key, it))
    });
    let rows = rows.collect();
    let (not_ended, total) = (row((UNENDED, &report.unended)), row(("total", &report.total)));
    let report = Report { estimated, rows, not_ended, total };
    serde_json::to_string_pretty(&report).map_err(Stop::usage)
}

fn as_csv(report: &CostReport) -> String {
    let mut text = "key,calls,input,output,cache_read,cache_write_5m,cache_write_1h,web_searches,\
                    cost_usd,unpriced_calls,lost_calls\n"
        .to_owned();
    for (key, row) in lines(report) {
        let Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } =
            row.usage;
        text += &format!(
            "{},{},{input},{output},{cache_read},{cache_write_5m},{cache_write_1h},{web_searches},{},{},{}\n",
            quoted(key),
            row.calls,
            row.cost,
            row.unpriced_calls,
            row.lost_calls
        );
    }
    text
}

/// A CSV field (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn as_table(report: &CostReport, by: &str) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([by, "calls", "input", "output", "cache read", "cache write", "cost"]);
    for (key, row) in lines(report) {
        if key == UNENDED && row.calls == 0 {
            continue;
        }
        let usage = &row.usage;
        let written = usage.cache_write_5m + usage.cache_write_1h;
        let numbers = [row.calls, usage.input, usage.output, usage.cache_read, written];
        let mut cells = vec![Cell::new(if key.is_empty() { "(none)" } else { key })];
        cells.extend(numbers.map(Cell::new));
        cells.push(Cell::new(format!("${}", row.cost)));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_ages_and_as_dates() {
        let now: DateTime<Utc> = "2026-11-22T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7d", "2026-11-15T10:00:00Z"),
            ("12h", "2026-11-21T22:00:00Z"),
            ("30m", "2026-11-22T09:30:00Z"),
            ("2026-01-14", "2026-01-14T00:00:00Z"),
            ("2026-01-14T10:00:00+01:00", "2026-01-14T09:00:00Z"),
        ] {
            assert_eq!(since(text, now).unwrap(), expected.parse::<DateTime<Utc>>().unwrap());
        }
        for text in ["", "d", "-3d", "7w", "yesterday", "7é", "99999999999999d"] {
            assert!(since(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn a_csv_field_with_a_comma_or_a_quote_is_quoted() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
