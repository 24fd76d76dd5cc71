//! What a run has come to: a table for people, JSON for programs.

use std::sync::PoisonError;
use std::time::Duration;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use polpo_policy::price::Nanodollars;
use polpo_store::journal::{CostQuery, CostReport, CostRow, Group, Journal, LostCall, Run};
use serde::Serialize;

use super::count::{Counts, get};
use super::points::{NOTE, has_estimates};
use super::progress::{dollars, projected};
use crate::exit::Stop;
use crate::out::say;

/// All that the summary is made of.
pub(super) struct Summary<'a> {
    /// Where the sums come from.
    pub(super) journal: &'a dyn Journal,
    /// The run.
    pub(super) run: &'a Run,
    /// What this process counted.
    pub(super) counts: &'a Counts,
    /// Tasks in the file.
    pub(super) tasks_in_file: u64,
    /// How many of them the run was limited to.
    pub(super) limit: Option<u64>,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// Calls that were in flight when an earlier process ended.
    pub(super) lost: &'a [LostCall],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    results: &'a str,
    tasks: u64,
    succeeded: u64,
    failed: u64,
    pending: u64,
    retried: u64,
    escalated: u64,
    seconds: f64,
    cost_usd: Nanodollars,
    /// Whether some of it is an estimate.
    estimated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    projected_cost_usd: Option<Nanodollars>,
    models: Vec<ModelRow<'a>>,
    failures: std::collections::BTreeMap<&'static str, u64>,
    failed_before: u64,
    lost_calls: Vec<Lost<'a>>,
}

/// A call that was in flight when an earlier process ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lost<'a> {
    task: &'a str,
    attempt: u32,
    model: &'a str,
    profile: &'a str,
    charged_usd: Nanodollars,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelRow<'a> {
    model: &'a str,
    attempts: u64,
    calls: u64,
    usage: polpo_policy::usage::Usage,
    cost_usd: Nanodollars,
}

impl Summary<'_> {
    /// Prints the summary on stdout.
    ///
    /// # Errors
    /// When the journal cannot be read, or stdout not be written.
    pub(super) async fn show(&self, as_json: bool) -> Result<(), Stop> {
        let query = CostQuery {
            group: Group::Model,
            since: None,
            simulated: self.run.simulated,
            run: Some(self.run.id),
        };
        let costs = self.journal.costs(query.clone()).await.map_err(Stop::not_written)?;
        let estimated = has_estimates(self.journal, query, &costs).await?;
        if as_json {
            let json = serde_json::to_string_pretty(&self.report(&costs, estimated));
            return say(json.map_err(Stop::not_written)?);
        }
        let mut lines = self.words(&costs);
        if estimated {
            lines.push(NOTE.to_owned());
        }
        lines.push(format!("results: {}", self.run.results_path));
        say(format_args!("{}\n{}", self.table(&costs), lines.join("\n")))
    }

    fn report<'a>(&'a self, costs: &'a CostReport, estimated: bool) -> Report<'a> {
        let gauges = self.counts.gauges();
        let reasons = self.counts.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            results: &self.run.results_path,
            tasks: get(&self.counts.total),
            succeeded: gauges.succeeded,
            failed: gauges.failed,
            pending: gauges.pending + gauges.running,
            retried: get(&self.counts.retried),
            escalated: get(&self.counts.escalated),
            seconds: self.elapsed.as_secs_f64(),
            cost_usd: costs.total.cost,
            estimated,
            projected_cost_usd: self.projection(costs),
            models: costs.rows.iter().map(row).collect(),
            failures: reasons.clone(),
            failed_before: get(&self.counts.failed_before),
            lost_calls: self.lost.iter().map(lost).collect(),
        }
    }

    /// What the whole file will have cost, if what a pilot of some of it left over costs what its
    /// tasks did.
    fn projection(&self, costs: &CostReport) -> Option<Nanodollars> {
        let limit = self.limit.filter(|limit| *limit < self.tasks_in_file)?;
        let (cost, ended) = (self.counts.cost(), self.counts.ended_now());
        let rest = projected(cost, ended, self.tasks_in_file - limit)?.0 - cost.0;
        Some(costs.total.cost + Nanodollars(rest))
    }

    fn table(&self, costs: &CostReport) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["model", "attempts", "calls", "input", "output", "cached", "cost"]);
        for row in &costs.rows {
            table.add_row(cells(&row.key, row));
        }
        if costs.unended.calls > 0 {
            table.add_row(cells("(not ended)", &costs.unended));
        }
        if costs.rows.len() + usize::from(costs.unended.calls > 0) > 1 {
            table.add_row(cells("total", &costs.total));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn words(&self, costs: &CostReport) -> Vec<String> {
        let gauges = self.counts.gauges();
        let counts = self.counts;
        let mut lines = vec![format!(
            "{} tasks: {} succeeded, {} failed, {} pending; {} retried, {} escalated; {:.1} s",
            get(&counts.total),
            gauges.succeeded,
            gauges.failed,
            gauges.pending + gauges.running,
            get(&counts.retried),
            get(&counts.escalated),
            self.elapsed.as_secs_f64()
        )];
        let reasons = counts.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let reasons: Vec<_> = reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
        if !reasons.is_empty() {
            lines.push(format!("failed: {}", reasons.join(", ")));
        }
        if get(&counts.failed_before) > 0 {
            let before = get(&counts.failed_before);
            lines.push(format!(
                "failed in an earlier run: {before} (--retry-failed runs them again)"
            ));
        }
        if costs.total.unpriced_calls > 0 {
            lines.push(format!(
                "{} calls are not in the cost, as their model has no known price (settings.prices)",
                costs.total.unpriced_calls
            ));
        }
        if costs.total.lost_calls > 0 {
            let lost = costs.total.lost_calls;
            lines.push(format!("{lost} calls with an unknown end are charged at most"));
        }
        if let Some(projection) = self.projection(costs) {
            let all = self.tasks_in_file;
            lines.push(format!("projected for all {all} tasks: {}", dollars(projection)));
        }
        lines
    }
}

fn lost(call: &LostCall) -> Lost<'_> {
    Lost {
        task: &call.task,
        attempt: call.attempt,
        model: call.model.as_str(),
        profile: call.profile.as_str(),
        charged_usd: call.reserved,
    }
}

fn row(row: &CostRow) -> ModelRow<'_> {
    ModelRow {
        model: &row.key,
        attempts: row.attempts,
        calls: row.calls,
        usage: row.usage,
        cost_usd: row.cost,
    }
}

fn cells(name: &str, row: &CostRow) -> Vec<Cell> {
    let cached = row.usage.cache_read + row.usage.cache_write_5m + row.usage.cache_write_1h;
    let numbers = [row.attempts, row.calls, row.usage.input, row.usage.output, cached];
    let mut cells = vec![Cell::new(name)];
    cells.extend(numbers.map(Cell::new));
    cells.push(Cell::new(format!("${}", row.cost)));
    cells
}
