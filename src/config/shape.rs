//! Arrays where objects belong. The library would read one as the fields of a struct in their order.

use serde_json::Value;

use super::error::Fault;
use super::path::{JsonPath, Step};

/// The keys whose values are structs of the schema, and the ones whose values hold several.
const ONE: [&str; 10] = [
    "team",
    "settings",
    "gateway",
    "retryPolicy",
    "defaultRetryPolicy",
    "cooldown",
    "billingDisable",
    "journal",
    "metrics",
    "oauth",
];
const SEVERAL: [&str; 3] = ["agents", "teams", "keys"];

/// Refuses every array that stands for an object.
pub(super) fn refuse_arrays(value: &Value, path: &JsonPath) -> Result<(), Fault> {
    match value {
        Value::Array(_) if is_struct(path) => {
            Err(Fault::at(path, "must be an object, not an array", "correct the value"))
        }
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| refuse_arrays(value, &path.index(index))),
        Value::Object(fields) => {
            fields.iter().try_for_each(|(key, value)| refuse_arrays(value, &path.key(key)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn is_struct(path: &JsonPath) -> bool {
    match path.steps() {
        [] => true,
        [.., Step::Key(parent), Step::Index(_)] => SEVERAL.contains(&parent.as_str()),
        [.., Step::Key(parent), Step::Key(_)] if parent == "prices" => true,
        [.., Step::Key(key)] => ONE.contains(&key.as_str()),
        [.., Step::Index(_)] => false,
    }
}
