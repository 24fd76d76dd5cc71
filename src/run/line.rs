//! A result line: an Anthropic batch result with one more key.

use polpo_agents::job::{Ending, Outcome};
use polpo_agents::talk::Why;
use polpo_policy::id::{AgentId, ModelName};
use polpo_policy::limits::Timestamp;
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use polpo_store::journal::{FinishedLine, ResultKind, RunId};
use serde::Serialize;
use serde_json::Value;

/// What the runner knows of a task besides its outcome.
#[derive(Clone, Debug)]
pub(super) struct Label {
    /// The run.
    pub(super) run: RunId,
    /// The id of the task.
    pub(super) id: String,
    /// The hash of its effective request.
    pub sha256: String,
    /// The agent that ran it.
    pub(super) agent: AgentId,
    /// The user's own data, the text of a JSON object.
    pub(super) metadata: Option<String>,
    /// Whether it ran against the simulator.
    pub(super) simulated: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    custom_id: &'a str,
    result: BatchResult<'a>,
    polpo: Polpo<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum BatchResult<'a> {
    Succeeded { message: &'a Value },
    Errored { error: Value },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Polpo<'a> {
    agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    attempts: u32,
    calls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    escalated_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message: Option<&'a Value>,
    usage: Usage,
    cost_usd: Nanodollars,
    started_at: String,
    ended_at: String,
    request_sha256: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    simulated: bool,
}

/// The committed form of a task that has ended; `None` if it has not.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn finished(
    label: Label,
    outcome: &Outcome,
) -> Result<Option<FinishedLine>, serde_json::Error> {
    let (kind, result, reason, last_message) = match &outcome.ending {
        Ending::Succeeded(message) => {
            (ResultKind::Succeeded, BatchResult::Succeeded { message }, None, None)
        }
        Ending::Errored { problem, reason, last_message } => {
            let error = BatchResult::Errored { error: problem.envelope() };
            (ResultKind::Errored, error, Some(*reason), last_message.as_ref())
        }
        Ending::Pending | Ending::Unrecorded(_) => return Ok(None),
    };
    let line = serde_json::to_string(&Line {
        custom_id: &label.id,
        result,
        polpo: Polpo {
            agent: label.agent.as_str(),
            model: outcome.model.as_ref().map(|model| model.as_str()),
            profile: outcome.profile.as_ref().map(|profile| profile.as_str()),
            why: outcome.why.as_ref().and_then(|(wanted, why)| served_because(wanted, *why)),
            attempts: outcome.attempts,
            calls: outcome.spent.calls,
            escalated_from: outcome.escalated_from.as_ref().map(|model| model.as_str()),
            reason,
            last_message,
            usage: outcome.spent.usage,
            cost_usd: outcome.spent.cost,
            started_at: stamp(outcome.started_at),
            ended_at: stamp(outcome.ended_at),
            request_sha256: &label.sha256,
            simulated: label.simulated,
        },
    })?;
    Ok(Some(FinishedLine {
        run: label.run,
        custom_id: label.id,
        request_sha256: label.sha256,
        kind,
        line,
        agent: label.agent,
        model: outcome.model.clone().unwrap_or_else(|| "none".into()),
        profile: outcome.profile.clone().unwrap_or_else(|| "none".into()),
        metadata: label.metadata,
        ended_at: outcome.ended_at,
    }))
}

/// Why the last call had its model and its profile, unless the model that was wanted was served by
/// the profile whose turn had come.
fn served_because(wanted: &ModelName, why: Why) -> Option<String> {
    match why {
        Why::Requested | Why::Home => None,
        Why::Pinned => Some("pinned".to_owned()),
        Why::Fallback { reason, until } => {
            let until = until.map_or_else(String::new, |at| format!(" until {}", stamp(at)));
            Some(format!("fallback: {wanted}: {reason}{until}"))
        }
    }
}

fn stamp(time: Timestamp) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_ordinary_case_is_explained() {
        let told = |why| served_because(&"claude-opus-5-5".into(), why);
        assert_eq!((told(Why::Requested), told(Why::Home)), (None, None));
        assert_eq!(told(Why::Pinned).as_deref(), Some("pinned"));
        let fallback = |until| told(Why::Fallback { reason: "overloaded", until });
        assert_eq!(fallback(None).as_deref(), Some("fallback: claude-opus-5-5: overloaded"));
        let until = "fallback: claude-opus-5-5: overloaded until 1970-01-01T00:00:00.000Z";
        assert_eq!(fallback(Some(Timestamp::UNIX_EPOCH)).as_deref(), Some(until));
    }
}
