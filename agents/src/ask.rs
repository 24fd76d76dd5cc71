//! One question to a chain of models: waits for a profile, fails over, falls back.

use std::time::Duration;

use polpo_metrics::RequestEnded;
use polpo_policy::failure::Failure;
use polpo_policy::id::SessionId;
use polpo_policy::limits::Timestamp;
use polpo_policy::model::ModelSpec;
use polpo_policy::pool::{Alternative, Grounds, Refusal, Request, Size};
use polpo_policy::retry::{BATCH_PATIENCE, Course, Next};
use polpo_store::journal::RunId;
use polpo_upstream::wire::problem::Problem;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::agent::{AgentSpec, Desk, Story};
use crate::call::{Called, call};
use crate::job::{Correction, Ending, Question};
use crate::messages::Granted;
use crate::talk::{Delta, Why};

/// A question.
pub(crate) struct Ask<'a> {
    pub(crate) run: RunId,
    /// What it is called in the journal.
    pub(crate) task: &'a str,
    pub(crate) attempt: u32,
    pub(crate) question: &'a Question,
    /// The model and its fallbacks.
    pub(crate) models: &'a [ModelSpec],
    pub(crate) max_tokens: u64,
    pub(crate) corrections: &'a [Correction],
    /// The conversation that it is a turn of.
    pub(crate) session: Option<&'a SessionId>,
    /// Until when it may wait for a profile.
    pub(crate) deadline: Option<Timestamp>,
    /// Where what the model says goes as it comes. Who stops listening cancels the question.
    pub(crate) deltas: Option<&'a mpsc::Sender<Delta>>,
}

impl Ask<'_> {
    /// Resolves when it is cancelled.
    pub(crate) async fn cancelled(&self) {
        match self.deltas {
            Some(deltas) => deltas.closed().await,
            None => std::future::pending().await,
        }
    }
}

/// Why a question has no answer.
pub(crate) enum Unanswered {
    /// Upstream says that it is wrong, could not answer it for too long, or failed when a part of
    /// the answer had been shown.
    Failed { problem: Problem, failure: Failure, is_cut: bool },
    /// It got no profile, and why the last one it had did not serve it.
    Refused(Refusal, Option<Problem>),
    /// The journal could not be written.
    Unrecorded(String),
    /// Nobody listens any more.
    Cancelled,
}

impl Unanswered {
    pub(crate) fn ending(self, last_message: Option<Value>) -> Ending {
        match self {
            Self::Failed { problem, failure, .. } => {
                Ending::Errored { problem, reason: failure.label(), last_message }
            }
            Self::Refused(..) | Self::Cancelled => Ending::Pending,
            Self::Unrecorded(why) => Ending::Unrecorded(why),
        }
    }

    const fn label(&self) -> &'static str {
        match self {
            Self::Failed { failure, .. } => failure.label(),
            Self::Refused(refusal, _) => refusal.label(),
            Self::Unrecorded(_) => "unrecorded",
            Self::Cancelled => "cancelled",
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
    ended(spec, (desk, asked), story, began, &result);
    result
}

/// Counts a question that was asked at `began`.
pub(crate) fn ended(
    spec: &AgentSpec,
    (desk, asked): (&Desk, &Ask<'_>),
    story: &Story,
    began: Instant,
    result: &Result<Value, Unanswered>,
) {
    let model = story.last_call.as_ref().map_or(&asked.models[0], |(model, _)| model);
    desk.metrics.request_ended(&RequestEnded {
        surface: desk.surface,
        agent: &spec.name,
        model: model.model.as_str(),
        outcome: result.as_ref().map_or_else(Unanswered::label, |_| "succeeded"),
        took: began.elapsed(),
    });
}

/// The same without counting it.
pub(crate) async fn fail_over(
    spec: &AgentSpec,
    desk: &Desk,
    asked: &Ask<'_>,
    story: &mut Story,
) -> Result<Value, Unanswered> {
    let mut course = asked.deadline.map_or_else(|| Course::new(BATCH_PATIENCE), Course::until);
    let mut last: Option<(Problem, Failure)> = None;
    loop {
        let granted = tokio::select! {
            biased;
            () = asked.cancelled() => return Err(Unanswered::Cancelled),
            granted = acquire(spec, desk, asked, &course) => granted,
        };
        let granted = match granted {
            Ok(granted) => granted,
            Err(refusal) => return Err(refused(refusal, last)),
        };
        course.granted(desk.clock.now());
        let model = &asked.models[granted.alternative];
        let why = why(granted.grounds, last.as_ref());
        if let Why::Fallback { reason, .. } = why {
            let from = asked.models[0].model.as_str();
            desk.metrics.fell_back(&spec.name, from, model.model.as_str(), reason);
        }
        story.why = Some((asked.models[0].model.clone(), why));
        let profile = granted.lease.profile().clone();
        story.last_call = Some((model.clone(), profile.clone()));
        let (problem, failure) =
            match call(spec, desk, asked, (model, granted.lease), story).await? {
                Called::Answered(message) => return Ok(message),
                Called::Failed(problem, failure) => (problem, failure),
                Called::Cut(problem, failure) => {
                    return Err(Unanswered::Failed { problem, failure, is_cut: true });
                }
                Called::Cancelled => return Err(Unanswered::Cancelled),
            };
        tracing::debug!(
            agent = %spec.name, task = asked.task, %profile, model = %model.model,
            status = problem.status, reason = failure.label(), problem = problem.message,
            "a call failed"
        );
        match course.failed(desk.clock.now(), &profile, &failure, desk.roll()) {
            Next::Again => desk.metrics.failed_over(&profile, failure.label()),
            Next::GiveUp => return Err(Unanswered::Failed { problem, failure, is_cut: false }),
        }
        // That it does not suit a profile is what is wrong with the request, whatever comes after.
        if !matches!(last, Some((_, Failure::Unsuited))) {
            last = Some((problem, failure));
        }
    }
}

fn refused(refusal: Refusal, last: Option<(Problem, Failure)>) -> Unanswered {
    match (refusal, last) {
        // It is the request that no profile can serve: the others need not wait for one.
        (Refusal::NoCredential, Some((problem, failure @ Failure::Unsuited))) => {
            Unanswered::Failed { problem, failure, is_cut: false }
        }
        (refusal, last) => Unanswered::Refused(refusal, last.map(|(problem, _)| problem)),
    }
}

fn why(grounds: Grounds, last: Option<&(Problem, Failure)>) -> Why {
    match grounds {
        Grounds::Oldest => Why::Requested,
        Grounds::Pinned => Why::Pinned,
        Grounds::Home => Why::Home,
        Grounds::Fallback(Some((cause, until))) => Why::Fallback { reason: cause.label(), until },
        // Nothing keeps it from being served but that it just failed, or that nobody serves it.
        Grounds::Fallback(None) => {
            let reason = last.map_or("no_credential", |(_, failure)| failure.label());
            Why::Fallback { reason, until: None }
        }
    }
}

async fn acquire(
    spec: &AgentSpec,
    desk: &Desk,
    asked: &Ask<'_>,
    course: &Course,
) -> Result<Granted, Refusal> {
    let alternatives = asked.models.iter().map(|model| Alternative {
        provider: model.provider.clone(),
        class: model.limit_class(),
        pin: model.pin.clone(),
    });
    let request = Request {
        agent: spec.name.clone(),
        alternatives: alternatives.collect(),
        avoid: course.avoid().clone(),
        rather: course.rather(),
        not_before: course.not_before(),
        deadline: asked.deadline,
        session: asked.session.cloned(),
        size: Size { bytes: asked.question.bytes(asked.corrections), max_tokens: asked.max_tokens },
    };
    wait(desk, request).await
}

/// Waits for a profile; dropped while it waits, it takes the request back.
pub(crate) async fn wait(desk: &Desk, request: Request) -> Result<Granted, Refusal> {
    let (place, granted) = desk.intake.ask(request);
    let granted = granted.await;
    place.served();
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
        Ok(Err(refusal)) => Err(refusal),
        // Closed mailboxes and channels only happen while the program ends.
        Err(_) => Err(Refusal::NoCredential),
    }
}
