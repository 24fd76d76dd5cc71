//! A task from its first attempt to its end: ask, check, retry, escalate, give up.

use polpo_policy::expect::Mismatch;
use polpo_policy::ladder::{MAX_RAISES, raised_max_tokens};
use polpo_policy::model::{Catalogue, ModelClass, ModelSpec};
use polpo_upstream::wire::assemble::text;
use polpo_upstream::wire::problem::Problem;
use serde_json::Value;

use crate::agent::{AgentSpec, Desk, Story};
use crate::ask::{Ask, Unanswered, ask};
use crate::job::{Correction, Ending, Job};

/// What is wrong with an answer.
struct Flaw {
    reason: &'static str,
    diagnosis: String,
    /// The diagnosis as the model gets it.
    hint: String,
}

/// Runs a task to its end; `story` is kept up to date at every await.
pub(crate) async fn run(spec: &AgentSpec, desk: &Desk, job: &Job, story: &mut Story) -> Ending {
    let mut corrections: Vec<Correction> = Vec::new();
    let mut told: Vec<String> = Vec::new();
    let mut max_tokens = job.question.max_tokens;
    let mut flawed: Option<(Flaw, Value)> = None;
    let mut previous = &job.model;
    while let Some(model) = spec.retry.model(&job.model, story.attempts) {
        if let Some((flaw, _)) = &flawed {
            note_retry(spec, desk, (previous, model), flaw.reason);
        }
        if model != &job.model {
            story.escalated_from = Some(job.model.clone());
        }
        previous = model;
        story.attempts += 1;
        let mut result =
            answer(spec, desk, job, (model, &corrections, &mut max_tokens), story).await;
        if matches!(result, Err(Unanswered::Refused(..))) && *model != job.model {
            // Nobody can serve the stronger model, and nobody will: the own one is better than none.
            story.escalated_from = None;
            result =
                answer(spec, desk, job, (&job.model, &corrections, &mut max_tokens), story).await;
        }
        let message = match result {
            Ok(message) => message,
            Err(unanswered) => return unanswered.ending(flawed.map(|(_, message)| message)),
        };
        let Some(flaw) = check(job, &message) else { return Ending::Succeeded(message) };
        told.push(format!("attempt {} on {}: {}", story.attempts, model.model, flaw.diagnosis));
        corrections.push(Correction { answer: text(&message), diagnosis: advice(&flaw) });
        flawed = Some((flaw, message));
    }
    let problem = Problem::own("api_error", format!("no answer was good: {}", told.join("; ")));
    let (reason, last_message) = flawed.map_or(("expectation", None), |(flaw, message)| {
        (if flaw.reason == "refusal" { "refusal" } else { "expectation" }, Some(message))
    });
    Ending::Errored { problem, reason, last_message }
}

/// One attempt: the answer, asked for again with more room while it is cut off and no good.
async fn answer(
    spec: &AgentSpec,
    desk: &Desk,
    job: &Job,
    (model, corrections, max_tokens): (&ModelSpec, &[Correction], &mut u64),
    story: &mut Story,
) -> Result<Value, Unanswered> {
    let models = chain(spec, job, model);
    let limit = Catalogue::get().find(model.model.as_str()).map(|info| info.max_output_tokens);
    let mut raises = 0;
    loop {
        let attempt = story.attempts;
        let asked = Ask {
            run: job.run,
            task: &job.id,
            attempt,
            question: &job.question,
            models: &models,
            max_tokens: *max_tokens,
            corrections,
            session: None,
            deadline: None, // A batch waits while any profile has a known return.
            deltas: None,
        };
        let message = ask(spec, desk, &asked, story).await?;
        let is_cut = message["stop_reason"] == "max_tokens";
        let more = limit.and_then(|limit| raised_max_tokens(*max_tokens, limit));
        match more {
            Some(more) if is_cut && raises < MAX_RAISES && check(job, &message).is_some() => {
                *max_tokens = more;
                raises += 1;
            }
            Some(_) | None => return Ok(message),
        }
    }
}

/// The models to ask, in order. Fallbacks below the class that an escalation has reached would
/// undo it, and the user's own request names its model itself.
fn chain(spec: &AgentSpec, job: &Job, model: &ModelSpec) -> Vec<ModelSpec> {
    let class = |spec: &ModelSpec| ModelClass::of(spec.model.as_str());
    let is_escalated = *model != job.model;
    let fallbacks = spec.fallbacks.iter().filter(|fallback| {
        job.question.is_ours
            && *fallback != model
            && (!is_escalated || class(fallback) >= class(model))
    });
    [model].into_iter().chain(fallbacks).cloned().collect()
}

fn check(job: &Job, message: &Value) -> Option<Flaw> {
    let expectation = job.expectation.as_ref()?;
    let Mismatch { told, hint } = expectation.check(&text(message)).err()?;
    Some(match message["stop_reason"].as_str() {
        Some("refusal") => {
            let refused = "it was refused".to_owned();
            Flaw { reason: "refusal", diagnosis: refused.clone(), hint: refused }
        }
        Some("max_tokens") => {
            let cut = |why: String| format!("it was cut off at the token limit, and {why}");
            Flaw { reason: "truncated", diagnosis: cut(told), hint: cut(hint) }
        }
        Some(_) | None => Flaw { reason: "expectation", diagnosis: told, hint },
    })
}

fn advice(flaw: &Flaw) -> String {
    format!(
        "That answer was checked automatically and not accepted: {}. Look at the task again, \
         find the mistake, and give a complete answer in the form that was asked for.",
        flaw.hint
    )
}

fn note_retry(
    spec: &AgentSpec,
    desk: &Desk,
    (previous, model): (&ModelSpec, &ModelSpec),
    reason: &'static str,
) {
    desk.metrics.retried(&spec.name, model.model.as_str(), reason);
    if previous != model {
        let (from, to) = (previous.model.as_str(), model.model.as_str());
        desk.metrics.escalated(&spec.name, from, to, reason);
    }
}
