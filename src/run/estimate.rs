//! `--dry-run`: what a run could cost, from what its file asks for.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use polpo_policy::price::{Nanodollars, PriceList};
use polpo_policy::usage::{Terms, Usage};
use serde::Serialize;

use crate::config::Config;
use crate::exit::{Exit, Stop};
use crate::out::say;
use crate::tasks::Scan;

/// Bytes of English prose for a token, about; only a run knows better.
const BYTES_PER_TOKEN: u64 = 4;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    model: String,
    tasks: u64,
    input_tokens: u64,
    max_output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_usd: Option<Nanodollars>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most_usd: Option<Nanodollars>,
}

/// Prints the estimate on stdout: one attempt of each task, each answer at its longest.
///
/// # Errors
/// When it cannot be written.
pub(super) fn show(config: &Config, scan: &Scan, as_json: bool) -> Result<Exit, Stop> {
    let prices = PriceList::new(config.settings.prices.iter().cloned());
    let rows: Vec<Row> = scan
        .models
        .iter()
        .map(|(spec, sums)| {
            let input = sums.input_bytes.div_ceil(BYTES_PER_TOKEN);
            // For each task on its own, as price bands go by the prompt of one call.
            let tasks = sums.tasks.max(1);
            let cost = |output: u64| {
                let usage =
                    Usage { input: input / tasks, output: output / tasks, ..Usage::default() };
                let cost = prices.cost(spec.model.as_str(), &usage, Terms::default())?;
                let all = i64::try_from(tasks).unwrap_or(i64::MAX).saturating_mul(cost.total().0);
                Some(Nanodollars(all))
            };
            Row {
                model: spec.to_string(),
                tasks: sums.tasks,
                input_tokens: input,
                max_output_tokens: sums.max_tokens,
                input_usd: cost(0),
                most_usd: cost(sums.max_tokens),
            }
        })
        .collect();
    if as_json {
        say(serde_json::to_string_pretty(&rows).map_err(Stop::usage)?)?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "model",
        "tasks",
        "input tokens, about",
        "input cost",
        "with longest answers",
    ]);
    for row in &rows {
        let money =
            |cost: Option<Nanodollars>| cost.map_or("unpriced".into(), |it| format!("${it}"));
        table.add_row([
            Cell::new(&row.model),
            Cell::new(row.tasks),
            Cell::new(row.input_tokens),
            Cell::new(money(row.input_usd)),
            Cell::new(money(row.most_usd)),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say(format_args!(
        "{table}\n{} tasks, {} bytes; nothing was sent. One attempt of each task; retries and escalations come \
         on top. For figures of your own tasks: --limit N",
        scan.tasks, scan.bytes
    ))?;
    Ok(Exit::Success)
}
