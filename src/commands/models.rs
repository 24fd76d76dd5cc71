//! `polpo models`: the catalogue, and whether what is needed of it can be served.

mod status;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use polpo_policy::model::{Catalogue, Lifecycle, ModelInfo};
use polpo_policy::price::{Nanodollars, Rate};
use serde_json::json;

use crate::cli::{Global, ModelsCommand};
use crate::exit::{Exit, Stop};
use crate::out::say;

/// Runs the command.
///
/// # Errors
/// When the profiles cannot be read, or nobody can be told.
pub async fn models(global: &Global, command: &ModelsCommand) -> Result<Exit, Stop> {
    match command {
        ModelsCommand::List { json } => list(*json),
        ModelsCommand::Status(args) => status::status(global, args).await,
    }
}

fn list(json: bool) -> Result<Exit, Stop> {
    let models = Catalogue::get().models();
    if json {
        let list: Vec<_> = models.iter().map(as_json).collect();
        say(serde_json::to_string_pretty(&list).map_err(Stop::usage)?)?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "model",
        "class",
        "state",
        "input",
        "output",
        "cache read",
        "context",
        "most output",
    ]);
    for info in models {
        let rates = &info.rates;
        table.add_row([
            Cell::new(&info.id),
            Cell::new(info.class.label()),
            Cell::new(state(info)),
            Cell::new(price(rates.input)),
            Cell::new(price(rates.output)),
            Cell::new(price(rates.cache_read)),
            Cell::new(info.context_tokens),
            Cell::new(info.max_output_tokens),
        ]);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say(format_args!(
        "{table}\nPrices in US dollars a million tokens. Any other model can be used, too; its calls are unpriced."
    ))?;
    Ok(Exit::Success)
}

fn price(rate: Rate) -> String {
    format!("${}", Nanodollars(rate.0))
}

fn state(info: &ModelInfo) -> String {
    let word = match info.lifecycle {
        Lifecycle::Active => "active",
        Lifecycle::Deprecated => "deprecated",
        Lifecycle::Legacy => "legacy",
        Lifecycle::Retired => "retired",
    };
    info.retires_at.as_ref().map_or_else(|| word.to_owned(), |day| format!("{word}, {day}"))
}

fn as_json(info: &ModelInfo) -> serde_json::Value {
    let usd = |rate: Rate| Nanodollars(rate.0);
    json!({
        "id": info.id,
        "aliases": info.aliases,
        "class": info.class,
        "lifecycle": info.lifecycle,
        "retiresAt": info.retires_at,
        "limitClass": info.limit_class,
        "contextTokens": info.context_tokens,
        "maxOutputTokens": info.max_output_tokens,
        "usdPerMillionTokens": {
            "input": usd(info.rates.input),
            "output": usd(info.rates.output),
            "cacheRead": usd(info.rates.cache_read),
            "cacheWrite5m": usd(info.rates.cache_write_5m),
            "cacheWrite1h": usd(info.rates.cache_write_1h),
        },
    })
}
