//! The fields of a request's body, beside what is said in it.

use serde_json::{Map, Value};

use super::Rules;
use super::blocks::CACHE_CONTROL;
use super::shape::Kind::{
    Anything, Boolean, Dictionary, Either, Integer, Length, List, Record, Text, Word,
};
use super::shape::Presence::{Beta, Older, Optional, Required};
use super::shape::{Checked, Field, Kind, Path};
use super::thinking::{OUTPUT_CONFIG, THINKING};
use super::tools::TOOL_CHOICE;
use crate::catalogue::Model;
use crate::price::Terms;
use crate::problem::{self, Problem};

/// Fields of a request for a message. No tokens at all warm the cache.
pub(crate) const MESSAGE: &[&[Field]] =
    &[&[Field("max_tokens", Required, Integer(0)), SPEED], ANSWER, PROMPT];

/// Fields of a request in a batch.
pub(crate) const BATCHED: &[&[Field]] =
    &[&[Field("max_tokens", Required, Integer(1))], ANSWER, PROMPT];

/// Fields of a request for a count of tokens.
pub(crate) const COUNT: &[&[Field]] = &[&[SPEED], PROMPT];

/// `stop_sequences`.
pub(crate) fn stop_sequences(body: &Map<String, Value>) -> Checked<Vec<String>> {
    let sequences = body.get("stop_sequences").and_then(Value::as_array).into_iter().flatten();
    let one = |text: &str| {
        if text.trim().is_empty() {
            let path = Path::Root.name("stop_sequences");
            return path.wrong("each stop sequence must contain non-whitespace");
        }
        Ok(text.to_owned())
    };
    sequences.filter_map(Value::as_str).map(one).collect()
}

/// Conversations are not kept: whoever goes on with one hears what the API says after it lost it,
/// and can send all of it again.
pub(crate) fn check_thread(body: &Map<String, Value>, rules: Rules) -> Checked<()> {
    let thread = body.get("thread").and_then(Value::as_object).filter(|_| rules.has_beta);
    let text = |name| thread.and_then(|thread| thread.get(name)).and_then(Value::as_str);
    if text("type") != Some("continue") {
        return Ok(());
    }
    let id = text("previous_message_id").unwrap_or_default();
    let message = format!("thread.previous_message_id: there is no thread with {id}");
    Err(Problem::new(problem::Kind::NotFound, message).with_code("thread_not_found"))
}

/// Fast mode is silently standard on 4.6, and an error on the other models without it.
pub(crate) fn terms(body: &Map<String, Value>, model: &Model) -> Checked<Terms> {
    let text = |name| body.get(name).and_then(Value::as_str);
    let geo = text("inference_geo");
    if geo.is_some() && model.version < (4, 6) {
        return Path::Root.name("inference_geo").wrong("not supported for this model");
    }
    let fast = text("speed") == Some("fast");
    let has_fast = model.fast_multiplier.is_some();
    if fast && !has_fast && model.version != (4, 6) {
        return Path::Root.name("speed").wrong("'fast' is not supported for this model");
    }
    Ok(Terms { us_only: geo == Some("us"), fast: fast && has_fast, batch: false })
}

/// Sampling parameters under the older version: in range and, from 4.7 on, the defaults only.
/// While it thinks, a model samples with few of them.
pub(crate) fn check_sampling(
    body: &Map<String, Value>,
    model: &Model,
    thinks: bool,
) -> Checked<()> {
    for name in ["temperature", "top_p", "top_k"] {
        let Some(value) = body.get(name).filter(|value| !value.is_null()) else { continue };
        let path = Path::Root.name(name);
        let Some(number) = value.as_f64() else {
            return path.wrong("Input should be a valid number");
        };
        let is_share = name != "top_k";
        if number < 0.0 {
            return path.wrong("Input should be greater than or equal to 0");
        }
        if is_share && number > 1.0 {
            return path.wrong("Input should be less than or equal to 1");
        }
        let is_default = is_share && (1.0 - number).abs() < f64::EPSILON;
        if model.version >= (4, 7) && !is_default {
            return Err(Problem::invalid(format!("`{name}` is deprecated for this model.")));
        }
        let complaint = match name {
            "temperature" if !is_default => "may only be set to 1 when thinking is enabled.",
            "top_p" if number < 0.95 => {
                "must be greater than or equal to 0.95 or unset when thinking is enabled."
            }
            "top_k" => "must be unset when thinking is enabled.",
            _ => continue,
        };
        if thinks {
            return Err(Problem::invalid(format!("`{name}` {complaint}")));
        }
    }
    Ok(())
}

const SPEED: Field = Field("speed", Optional, Word(&["standard", "fast"]));

/// What is said to the model, as counted as it is answered. What has more to it than its shape is
/// checked elsewhere.
const PROMPT: &[Field] = &[
    Field("model", Required, Length(1, 256)),
    Field("messages", Required, Anything),
    Field("system", Optional, Anything),
    Field("tools", Optional, Anything),
    Field("tool_choice", Optional, TOOL_CHOICE),
    Field("thinking", Optional, THINKING),
    Field("output_config", Optional, OUTPUT_CONFIG),
    Field("cache_control", Optional, CACHE_CONTROL),
    Field("billing_policy", Beta, Dictionary),
    Field("compaction", Beta, Dictionary),
    Field("context_management", Beta, Record(&[&[Field("edits", Optional, List(&Dictionary))]])),
    Field("mcp_servers", Beta, List(&Dictionary)),
];

/// How to answer.
const ANSWER: &[Field] = &[
    Field("stream", Optional, Boolean),
    Field("stop_sequences", Optional, List(&Text)),
    Field("metadata", Optional, Record(&[&[Field("user_id", Optional, Text)]])),
    Field("service_tier", Optional, Word(&["auto", "standard_only"])),
    Field("inference_geo", Optional, Word(&["global", "us"])),
    Field("container", Optional, Either(&[Text, CONTAINER])),
    Field("diagnostics", Optional, Record(&[&[Field("previous_message_id", Optional, Text)]])),
    Field("temperature", Older, Anything),
    Field("top_p", Older, Anything),
    Field("top_k", Older, Anything),
    Field("fallbacks", Beta, Anything),
    Field("fallback_credit_token", Beta, Either(&[Text, Dictionary])),
    Field("thread", Beta, Dictionary),
];

const CONTAINER: Kind =
    Record(&[&[Field("id", Optional, Text), Field("skills", Optional, List(&Record(&[SKILL])))]]);

const SKILL: &[Field] = &[
    Field("skill_id", Required, Text),
    Field("type", Required, Word(&["anthropic", "custom"])),
    Field("version", Optional, Text),
];
