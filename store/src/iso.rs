//! Times as texts in a file, with milliseconds.

use chrono::{DateTime, SecondsFormat, Utc};
use polpo_policy::limits::Timestamp;
use serde_json::Value;

pub(crate) fn iso(time: Timestamp) -> Value {
    time.to_rfc3339_opts(SecondsFormat::Millis, true).into()
}

pub(crate) fn parse_iso(value: &Value) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    Some(time.with_timezone(&Utc))
}
