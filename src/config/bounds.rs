//! Numbers that make sense.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Fault;
use super::path::JsonPath;

/// More requests at once than one machine has descriptors for.
pub(super) const CONCURRENCY: RangeInclusive<u32> = 1..=100_000;

/// A number, or nothing, if it is in its range.
pub(super) fn bounded<T: PartialOrd + Display>(
    value: Option<T>,
    path: &JsonPath,
    range: RangeInclusive<T>,
) -> Result<Option<T>, Fault> {
    match value {
        Some(value) if !range.contains(&value) => {
            let problem = format!("must be from {} to {}", range.start(), range.end());
            Err(Fault::at(path, problem, "correct the number"))
        }
        value => Ok(value),
    }
}

/// A positive number of hours, up to a year.
pub(super) fn hours(value: Option<f64>, path: &JsonPath, default: f64) -> Result<Duration, Fault> {
    let hours = value.unwrap_or(default);
    if hours > 0.0 && hours <= 8760.0 {
        return Ok(Duration::from_secs_f64(hours * 3600.0));
    }
    Err(Fault::at(path, "must be more than 0 and at most 8760 hours", "correct the number"))
}
