//! Whether the model thinks before it speaks, and how hard it tries.

use serde_json::{Map, Value};

use super::shape::Kind::{Dictionary, Integer, Record, Tagged, Word};
use super::shape::Presence::{Beta, Optional, Required};
use super::shape::{Checked, Field, Kind, Variant};
use crate::catalogue::Model;
use crate::problem::Problem;

/// What the model does before it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thinking {
    Off,
    /// It thinks; what it thought is in the answer only if that is asked for.
    On {
        shown: bool,
    },
}

/// `thinking`.
pub(crate) const THINKING: Kind = Tagged(&[
    Variant("enabled", Optional, &[&[Field("budget_tokens", Required, Integer(1024))], DISPLAY]),
    Variant("adaptive", Optional, &[DISPLAY]),
    Variant("disabled", Optional, &[]),
    Variant("between_tools", Optional, &[]),
]);

/// `output_config`.
pub(crate) const OUTPUT_CONFIG: Kind = Record(&[&[
    Field("effort", Optional, EFFORT),
    Field("format", Optional, Tagged(&[Variant("json_schema", Optional, &[SCHEMA])])),
    Field("task_budget", Beta, Tagged(&[Variant("tokens", Optional, &[BUDGET])])),
]]);

/// How hard the model tries.
pub(crate) const EFFORT: Kind = Word(&["low", "medium", "high", "xhigh", "max"]);

const DISPLAY: &[Field] = &[
    Field("display", Optional, Word(&["summarized", "omitted", "updates"])),
    Field("block_binding", Beta, Dictionary),
];

const SCHEMA: &[Field] = &[Field("schema", Required, Dictionary)];

const BUDGET: &[Field] =
    &[Field("total", Required, Integer(1)), Field("remaining", Optional, Integer(0))];

/// Reads `thinking`, as far as the model can be told.
pub(crate) fn read(
    body: &Map<String, Value>,
    model: &Model,
    answers_tool: bool,
) -> Checked<Thinking> {
    let asked = body.get("thinking").and_then(Value::as_object);
    let text = |name| asked.and_then(|asked| asked.get(name)).and_then(Value::as_str);
    let display = text("display");
    // From 4.7 on, what was thought is left out unless asked for.
    let shown = display.map_or(model.version < (4, 7), |display| display != "omitted");
    let on = Thinking::On { shown };
    match text("type") {
        None if model.always_thinks() => Ok(on),
        None => Ok(Thinking::Off),
        Some("enabled") => check_enabled(body, model).map(|()| on),
        Some("adaptive") if model.version >= (4, 6) => Ok(on),
        Some("adaptive") => refuse("adaptive thinking is not supported on this model"),
        Some("between_tools") if model.has_between_tools() && answers_tool => Ok(on),
        Some("between_tools") if model.has_between_tools() => Ok(Thinking::Off),
        Some("disabled") => check_disabled(body, model).map(|()| Thinking::Off),
        Some(other) => {
            refuse(format!("\"thinking.type.{other}\" is not supported for this model."))
        }
    }
}

/// Checks `output_config.effort` for a model.
pub(crate) fn check_effort(body: &Map<String, Value>, model: &Model) -> Checked<()> {
    let has_effort = model.version >= (4, 6) || model.class == "opus" && model.version == (4, 5);
    if effort(body).is_some() && !has_effort {
        return refuse("This model does not support the effort parameter.");
    }
    Ok(())
}

fn check_enabled(body: &Map<String, Value>, model: &Model) -> Checked<()> {
    if model.version >= (4, 7) {
        return refuse(unsupported("enabled"));
    }
    if model.version < (3, 7) {
        return refuse(format!("'{}' does not support thinking.", model.id));
    }
    let number = |value: Option<&Value>| value.and_then(Value::as_u64);
    let budget = number(body.get("thinking").and_then(|thinking| thinking.get("budget_tokens")));
    // Tokens are counted without a maximum.
    if number(body.get("max_tokens")).is_some_and(|most| Some(most) <= budget) {
        return refuse("`max_tokens` must be greater than `thinking.budget_tokens`.");
    }
    Ok(())
}

fn check_disabled(body: &Map<String, Value>, model: &Model) -> Checked<()> {
    if model.always_thinks() {
        return refuse(unsupported("disabled"));
    }
    match effort(body) {
        Some(effort @ ("xhigh" | "max")) if model.version >= (5, 0) => refuse(format!(
            "output_config.effort '{effort}' is not supported when thinking is disabled on this \
             model. Use effort 'high' or below, or enable thinking."
        )),
        _ => Ok(()),
    }
}

fn effort(body: &Map<String, Value>) -> Option<&str> {
    body.get("output_config")?.get("effort")?.as_str()
}

fn unsupported(tag: &str) -> String {
    format!(
        "\"thinking.type.{tag}\" is not supported for this model. Use \"thinking.type.adaptive\" \
         and \"output_config.effort\" to control thinking behavior."
    )
}

fn refuse<T>(message: impl Into<String>) -> Checked<T> {
    Err(Problem::invalid(message))
}
