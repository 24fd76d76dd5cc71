//! From `settings` to [`Settings`]: defaults filled in, numbers checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use polpo_policy::model::Catalogue;
use polpo_policy::price::{PriceOverride, Rate};

use super::allowlist::Allowlist;
use super::bounds::{CONCURRENCY, bounded, hours};
use super::effective::{BillingDisable, JournalConfig, Settings, Synchronous};
use super::error::Fault;
use super::path::JsonPath;
use super::schema;

/// A cooldown longer than a week is a disabled profile.
const STEP_SECONDS: std::ops::RangeInclusive<u32> = 1..=604_800;

/// A price above this is a slip of the decimal point.
const PRICE_MAX: f64 = 1_000_000.0;

/// Checks the settings. A relative path of the journal starts at `directory`.
pub(super) fn settings(given: schema::Settings, directory: &Path) -> Result<Settings, Fault> {
    let top = JsonPath::keys(&["settings"]);
    let at_most = bounded(given.max_concurrency, &top.key("maxConcurrency"), CONCURRENCY)?;
    let queue = bounded(given.max_queue_seconds, &top.key("maxQueueSeconds"), 1..=86_400)?;
    Ok(Settings {
        max_concurrency: at_most.unwrap_or(256),
        max_queue: Duration::from_secs(queue.unwrap_or(60).into()),
        allowlist: allowlist(given.model_allowlist, &top.key("modelAllowlist"))?,
        cooldown_steps: cooldown(given.cooldown, &top.key("cooldown").key("stepsSeconds"))?,
        billing: billing(&given.billing_disable, &top.key("billingDisable"))?,
        prices: prices(given.prices, &top.key("prices"))?,
        journal: journal(given.journal, &top.key("journal"), directory)?,
        show_profile_names: given.metrics.show_profile_names,
    })
}

fn allowlist(
    given: Option<schema::ModelAllowlist>,
    path: &JsonPath,
) -> Result<Option<Allowlist>, Fault> {
    given.map(|schema::ModelAllowlist(patterns)| Allowlist::checked(patterns, path)).transpose()
}

fn cooldown(given: schema::Cooldown, path: &JsonPath) -> Result<Vec<Duration>, Fault> {
    let steps = given.steps_seconds.unwrap_or_else(|| vec![60, 300, 1500, 3600]);
    if steps.is_empty() || steps.len() > 16 {
        return Err(Fault::at(path, "must have from 1 to 16 steps", "correct the list"));
    }
    let steps = steps.into_iter().enumerate().map(|(at, step)| {
        bounded(Some(step), &path.index(at), STEP_SECONDS)?;
        Ok(Duration::from_secs(step.into()))
    });
    steps.collect()
}

fn billing(given: &schema::BillingDisable, path: &JsonPath) -> Result<BillingDisable, Fault> {
    let max_path = path.key("billingMaxHours");
    let backoff = hours(given.billing_backoff_hours, &path.key("billingBackoffHours"), 5.0)?;
    let max = match given.billing_max_hours {
        // A longer first step, given alone, moves the default out of its way.
        None => hours(None, &max_path, 24.0)?.max(backoff),
        given => hours(given, &max_path, 24.0)?,
    };
    if max < backoff {
        let problem = "must be at least `billingBackoffHours`";
        return Err(Fault::at(&max_path, problem, "correct one of the two"));
    }
    let window = hours(given.failure_window_hours, &path.key("failureWindowHours"), 24.0)?;
    Ok(BillingDisable { backoff, max, window })
}

fn prices(
    given: BTreeMap<String, schema::Price>,
    path: &JsonPath,
) -> Result<Vec<(String, PriceOverride)>, Fault> {
    let mut seen: BTreeMap<String, JsonPath> = BTreeMap::new();
    let prices = given.into_iter().map(|(model, price)| {
        let path = path.key(&model);
        let id = Catalogue::get().resolve(&model).to_string();
        if let Some(first) = seen.insert(id, path.clone()) {
            let problem = format!("this is the same model as {first}");
            return Err(Fault::at(&path, problem, "keep one of them"));
        }
        Ok((model, price_override(&price, &path)?))
    });
    prices.collect()
}

fn price_override(price: &schema::Price, path: &JsonPath) -> Result<PriceOverride, Fault> {
    let rate = |dollars: f64, key: &str| {
        if (0.0..=PRICE_MAX).contains(&dollars) {
            return Ok(Rate::from_dollars(dollars));
        }
        let problem = "must be from 0 to 1000000 dollars for a million tokens";
        Err(Fault::at(&path.key(key), problem, "correct the number"))
    };
    let maybe = |dollars: Option<f64>, key| dollars.map(|d| rate(d, key)).transpose();
    Ok(PriceOverride {
        input: rate(price.input, "input")?,
        output: rate(price.output, "output")?,
        cache_read: maybe(price.cache_read, "cacheRead")?,
        cache_write_5m: maybe(price.cache_write_5m, "cacheWrite5m")?,
        cache_write_1h: maybe(price.cache_write_1h, "cacheWrite1h")?,
    })
}

fn journal(
    given: schema::Journal,
    path: &JsonPath,
    directory: &Path,
) -> Result<JournalConfig, Fault> {
    if given.path.as_ref().is_some_and(|text| text.trim().is_empty()) {
        return Err(Fault::at(&path.key("path"), "the path is empty", "name a file"));
    }
    Ok(JournalConfig {
        path: given.path.map(|text| directory.join(text)),
        synchronous: match given.synchronous {
            schema::Synchronous::Normal => Synchronous::Normal,
            schema::Synchronous::Full => Synchronous::Full,
        },
    })
}
