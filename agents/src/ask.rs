//! One question to a chain of models: waits for a profile, fails over, falls back.

use std::time::Duration;

use polpo_metrics::RequestEnded;
use polpo_policy::failure::Failure;
use polpo_policy::model::ModelSpec;
use polpo_policy::pool::{Alternative, Refusal, Request};
use polpo_policy::retry::{BATCH_PATIENCE, Course, Next};
use polpo_upstream::wire::problem::Problem;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::agent::{AgentSpec, Desk, Story};
use crate::call::{Called, call};
use crate::job::{Ending, Job, Turn};
use crate::lease::Place;
use crate::messages::{Acquire, Granted};

/// A question.
pub(crate) struct Ask<'a> {
    pub(crate) job: &'a Job,
    /// The model and its fallbacks.
    pub(crate) models: &'a [ModelSpec],
    pub(crate) max_tokens: u64,
    pub(crate) turns: &'a [Turn],
    pub(crate) attempt: u32,
}

/// Why a question has no answer.
pub(crate) enum Unanswered {
    /// Upstream says that it is wrong, or could not answer it for too long.
    Failed(Problem, Failure),
    /// No profile can serve it, and none has a known return.
    Pending,
    /// The journal could not be written.
    Unrecorded(String),
}

impl Unanswered {
    pub(crate) fn ending(self, last_message: Option<Value>) -> Ending {
        match self {
            Self::Failed(problem, failure) => {
                Ending::Errored { problem, reason: failure.label(), last_message }
            }
            Self::Pending => Ending::Pending,
            Self::Unrecorded(why) => Ending::Unrecorded(why),
        }
    }

    const fn label(&self) -> &'static str {
        match self {
            Self::Failed(_, failure) => failure.label(),
            Self::Pending => "no_credential",
            Self::Unrecorded(_) => "unrecorded",
        }
    }
}

/// Asks until there is an answer, or none to be had.
pub(crate) async fn ask(
    spec: &AgentSpec,
    desk: &Desk,
    asked: &Ask<'_>,
    story: &mut Story,
) -> Result<Value, Unanswered> {
    let began = Instant::now();
    let result = fail_over(spec, desk, asked, story).await;
    let model = story.last_call.as_ref().map_or(&asked.models[0], |(model, _)| model);
    desk.metrics.request_ended(&RequestEnded {
        surface: desk.surface,
        agent: &spec.name,
        model: model.model.as_str(),
        outcome: result.as_ref().map_or_else(Unanswered::label, |_| "succeeded"),
        took: began.elapsed(),
    });
    result
}

async fn fail_over(
    spec: &AgentSpec,
    desk: &Desk,
    asked: &Ask<'_>,
    story: &mut Story,
) -> Result<Value, Unanswered> {
    let mut course = Course::new(BATCH_PATIENCE);
    let mut unsuited = None;
    loop {
        let granted = match acquire(spec, desk, asked.models, &course).await {
            // It is the request that no profile can serve: the others need not wait for one.
            Err(Unanswered::Pending) => return Err(unsuited.unwrap_or(Unanswered::Pending)),
            granted => granted?,
        };
        course.granted(desk.clock.now());
        let model = &asked.models[granted.alternative];
        if granted.alternative > 0 {
            let from = asked.models[0].model.as_str();
            desk.metrics.fell_back(&spec.name, from, model.model.as_str(), "limited");
        }
        let profile = granted.lease.profile().clone();
        story.last_call = Some((model.clone(), profile.clone()));
        let (problem, failure) =
            match call(spec, desk, asked, (model, granted.lease), story).await? {
                Called::Answered(message) => return Ok(message),
                Called::Failed(problem, failure) => (problem, failure),
            };
        tracing::debug!(
            agent = %spec.name, task = asked.job.id, %profile, model = %model.model,
            status = problem.status, reason = failure.label(), problem = problem.message,
            "a call failed"
        );
        match course.failed(desk.clock.now(), &profile, &failure, desk.roll()) {
            Next::Again => desk.metrics.failed_over(&profile, failure.label()),
            Next::GiveUp => return Err(Unanswered::Failed(problem, failure)),
        }
        if failure == Failure::Unsuited {
            unsuited = Some(Unanswered::Failed(problem, failure));
        }
    }
}

/// Waits for a profile; dropped while it waits, it takes the request back.
async fn acquire(
    spec: &AgentSpec,
    desk: &Desk,
    models: &[ModelSpec],
    course: &Course,
) -> Result<Granted, Unanswered> {
    let alternatives = models.iter().map(|model| Alternative {
        provider: model.provider.clone(),
        class: model.limit_class(),
        pin: model.pin.clone(),
    });
    let request = Request {
        agent: spec.name.clone(),
        alternatives: alternatives.collect(),
        avoid: course.avoid().clone(),
        not_before: course.not_before(),
        deadline: None, // A batch waits while any profile has a known return.
    };
    let (answer, granted) = oneshot::channel();
    // Closed mailboxes and channels only happen while the program ends.
    let place = desk.acquire.send(Acquire { request, answer }).await;
    let granted = granted.await;
    place.into_iter().for_each(Place::served);
    match granted {
        Ok(Ok(granted)) => {
            let waited = granted.waited.map_or(Duration::ZERO, |(throttle, waited)| {
                let waited = waited.to_std().unwrap_or_default();
                desk.metrics.throttled(throttle, waited);
                waited
            });
            desk.metrics.queue_waited(desk.surface, waited);
            Ok(granted)
        }
        Ok(Err(Refusal::QueueFull | Refusal::TimedOut | Refusal::NoCredential)) | Err(_) => {
            Err(Unanswered::Pending)
        }
    }
}
