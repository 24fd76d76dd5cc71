//! One call upstream: recorded, sent, read, metered, recorded again.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use polpo_metrics::Allowance;
use polpo_policy::budget::{Estimate, reservation};
use polpo_policy::failure::{Failure, of_request};
use polpo_policy::id::{LimitClass, OrganizationId, WorkspaceId};
use polpo_policy::limits::{Hints, Reading};
use polpo_policy::model::ModelSpec;
use polpo_policy::pool::Verdict;
use polpo_policy::usage::{Terms, Usage};
use polpo_store::journal::{CallStart, JournalError};
use polpo_upstream::error::TransportError;
use polpo_upstream::meter::Ending;
use polpo_upstream::transport::{Body, Call, SILENCE};
use polpo_upstream::wire::assemble::text;
use polpo_upstream::wire::problem::Problem;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::agent::{AgentSpec, Desk, Story};
use crate::ask::{Ask, Unanswered};
use crate::bill::{Bill, Charge};
use crate::lease::Lease;
use crate::messages::NoReply;
use crate::relay::Relay;
use crate::talk::Delta;
use crate::token::Unsigned;

/// The longest error answer that is read; real ones are below a kilobyte, a proxy's page may be
/// longer and says no more for it.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// An error answer that is not here after this long is judged by what there is: the status says most
/// of it, and another profile could have answered by then.
const ERROR_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end of a body is waited for after the last event of its stream: the connection
/// can be used again then. It comes with the event, or it does not come.
const LINGER: Duration = Duration::from_millis(500);

/// What came of a call.
pub(crate) enum Called {
    Answered(Value),
    Failed(Problem, Failure),
    /// It failed when a part of the answer had been shown.
    Cut(Problem, Failure),
    /// Nobody listens to it any more.
    Cancelled,
}

/// Makes one call with `lease`. Once it is recorded, its cost reaches `story` whatever happens.
pub(crate) async fn call(
    spec: &AgentSpec,
    desk: &Desk,
    asked: &Ask<'_>,
    (model, lease): (&ModelSpec, Lease),
    story: &mut Story,
) -> Result<Called, Unanswered> {
    let granted = Instant::now();
    let Ok(body) = asked.question.body(&model.model, asked.max_tokens, asked.corrections) else {
        let problem =
            Problem::own("invalid_request_error", "the request cannot be written as JSON");
        return Ok(Called::Failed(problem, Failure::Rejected));
    };
    let reserved = reservation(&desk.prices, model.model.as_str(), &estimate(&body, asked));
    let profile = lease.profile().clone();
    let start = CallStart {
        run: asked.run,
        task: asked.task.to_owned(),
        attempt: asked.attempt,
        agent: spec.name.clone(),
        model: model.model.clone(),
        profile: profile.clone(),
        reserved: reserved.unwrap_or_default().total(),
        started_at: desk.clock.now(),
    };
    let recorded = desk.journal.begin_call(start).await;
    let id = recorded.map_err(|error| Unanswered::Unrecorded(told(&error)))?;
    desk.metrics.overhead(desk.surface, granted.elapsed());

    // A panic passes on when the call is booked: nobody knows what upstream did.
    let sent = AssertUnwindSafe(send(desk, asked, model, (lease, body))).catch_unwind().await;
    let (called, charge) = match sent {
        Ok((called, charge)) => (Ok(called), charge),
        Err(panic) => (Err(panic), Charge::Reserved(Box::default())),
    };
    let outcome = match &called {
        Ok(Called::Answered(_)) => "succeeded",
        Ok(Called::Failed(_, failure) | Called::Cut(_, failure)) => failure.label(),
        Ok(Called::Cancelled) => "cancelled",
        Err(_) => "panic",
    };
    let bill = Bill::new(desk, &model.model, charge, reserved);
    story.spent.calls += 1;
    story.spent.usage += bill.usage;
    story.spent.cost += bill.cost.unwrap_or_default().total();
    bill.count(desk, &spec.name, &profile, outcome);
    let end = bill.record(id, outcome, desk);
    let recorded = desk.journal.end_call(end).await;
    recorded.map_err(|error| Unanswered::Unrecorded(told(&error)))?;
    called.map_or_else(|panic| resume_unwind(panic), Ok)
}

/// An error with what caused it.
fn told(error: &JournalError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn estimate(body: &Bytes, asked: &Ask<'_>) -> Estimate {
    let mentions = |text: &[u8]| memchr::memmem::find(body, text).is_some();
    Estimate {
        body_bytes: body.len() as u64,
        max_tokens: asked.max_tokens,
        // A mention inside a prompt only makes the bound higher.
        writes_cache: mentions(b"cache_control"),
        terms: Terms {
            batch: false,
            us_only: mentions(b"inference_geo"),
            fast: mentions(b"\"speed\""),
        },
    }
}

/// Sends the call and reads its answer; the lease is settled as soon as upstream is done.
async fn send(
    desk: &Desk,
    asked: &Ask<'_>,
    model: &ModelSpec,
    (lease, body): (Lease, Bytes),
) -> (Called, Charge) {
    let (sent, body_bytes) = (Instant::now(), body.len() as u64);
    let reply = tokio::select! {
        biased;
        () = asked.cancelled() => return (Called::Cancelled, Charge::Reserved(Box::default())),
        reply = lease.dispatch(request(asked.question.version(), body)) => reply,
    };
    let reply = match reply {
        Ok(reply) => reply,
        Err(NoReply::Transport(error)) => {
            lease.settle(Verdict::Failed(Failure::Network), None);
            return (unreached(error), unreached_charge(error));
        }
        Err(NoReply::Unsigned(Unsigned { failure, message })) => {
            lease.settle(Verdict::Failed(failure), None);
            let problem = Problem::own("authentication_error", message);
            return (Called::Failed(problem, failure), Charge::Nothing);
        }
    };
    let (hints, reading) = read_headers(desk, &lease, &model.limit_class(), &reply.headers);
    lease.note(reading);
    if !reply.status.is_success() {
        let body = error_body(reply.body).await;
        let problem = Problem::from_body(reply.status, &body);
        let failure = problem.failure(desk.clock.now(), &hints);
        let failure = of_request(failure, &hints, body_bytes);
        lease.settle(Verdict::Failed(failure), None);
        return (Called::Failed(problem, failure), Charge::Nothing);
    }
    let relay = Relay::new(reply, hints, lease, asked.deltas.is_some());
    read(desk, asked, model, relay, sent).await
}

async fn read(
    desk: &Desk,
    asked: &Ask<'_>,
    model: &ModelSpec,
    mut relay: Relay,
    sent: Instant,
) -> (Called, Charge) {
    let (mut is_first, mut shown) = (true, 0);
    while *relay.meter().ending() == Ending::Open {
        let next = tokio::select! {
            biased;
            () = asked.cancelled() => return (Called::Cancelled, cancelled(&relay, shown)),
            next = relay.next() => next,
        };
        let Some(Ok(_)) = next else { break };
        if is_first && relay.meter().has_content() {
            is_first = false;
            desk.metrics.time_to_first_token(desk.surface, model.model.as_str(), sent.elapsed());
        }
        shown += show(asked, relay.take_deltas()).await;
    }
    if *relay.meter().ending() == Ending::Complete {
        let rest = async { while let Some(Ok(_)) = relay.next().await {} };
        let _ = timeout(LINGER, rest).await;
    }
    let relayed = relay.finish(desk.clock.now());
    let meter = Box::new(relayed.meter);
    match relayed.result {
        Ok(message) => {
            if shown == 0 {
                show(asked, vec![Delta::Text(text(&message))]).await; // It came in one piece.
            }
            // An answer without figures was not free.
            let is_metered = meter.has_totals();
            let charge = if is_metered { Charge::Metered(meter) } else { Charge::Reserved(meter) };
            (Called::Answered(message), charge)
        }
        Err(fault) => {
            let charge =
                if fault.is_lost { Charge::Reserved(meter) } else { Charge::Metered(meter) };
            let failed = if shown > 0 { Called::Cut } else { Called::Failed };
            (failed(fault.problem, fault.failure), charge)
        }
    }
}

/// What a call is charged that is cancelled after this many bytes.
fn cancelled(relay: &Relay, said: usize) -> Charge {
    let meter = Box::new(relay.meter().clone());
    // What it has read is told at the beginning.
    let has_figures = meter.usage().usage() != Usage::default();
    if has_figures { Charge::Cancelled(meter, said) } else { Charge::Reserved(meter) }
}

/// Shows what the model says to whoever listens, at his pace; tells how many bytes that was.
async fn show(asked: &Ask<'_>, said: Vec<Delta>) -> usize {
    let Some(deltas) = asked.deltas else { return 0 };
    let mut bytes = 0;
    for delta in said {
        bytes += delta.len();
        let _ = deltas.send(delta).await; // Whoever reads on notices that nobody listens.
    }
    bytes
}

fn request(version: &'static str, body: Bytes) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static(version));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    Call { method: Method::POST, path: "/v1/messages".to_owned(), headers, body, silence: SILENCE }
}

fn unreached(error: TransportError) -> Called {
    Called::Failed(Problem::own("api_error", error.to_string()), Failure::Network)
}

fn unreached_charge(error: TransportError) -> Charge {
    if error.may_have_been_served() { Charge::Reserved(Box::default()) } else { Charge::Nothing }
}

/// What the headers tell of when to come back, and what the pool is to know of them.
pub(crate) fn read_headers(
    desk: &Desk,
    lease: &Lease,
    class: &LimitClass,
    headers: &HeaderMap,
) -> (Hints, Reading) {
    // Gone through once: to look each up that there may be costs several times as much.
    let told = headers.iter().filter(|(name, _)| {
        let is_told = |prefix| name.as_str().starts_with(prefix);
        ["anthropic-", "retry-after", "x-ratelimit-"].into_iter().any(is_told)
    });
    let told = told.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let told: Vec<_> = told.collect();
    let text = |name: &str| told.iter().find(|(told, _)| *told == name).map(|(_, text)| *text);
    let hints = Hints::read(desk.clock.now(), text);
    let organization = text("anthropic-organization-id").map(OrganizationId::from);
    let workspace = text("anthropic-workspace-id").map(WorkspaceId::from);
    let scope =
        organization.as_ref().map_or_else(|| lease.profile().to_string(), OrganizationId::short);
    for reading in &hints.limits {
        let allowance = Allowance { limit: reading.limit, remaining: reading.remaining };
        desk.metrics.set_ratelimit(&scope, class, reading.dimension, allowance);
    }
    let reading = Reading { organization, workspace, limits: hints.limits.clone() };
    (hints, reading)
}

/// The beginning of an error answer; what cannot be read is left out.
pub(crate) async fn error_body(mut body: Body) -> BytesMut {
    let mut read = BytesMut::new();
    let rest = async {
        while let Some(Ok(chunk)) = body.next().await {
            let room = MAX_ERROR_BYTES - read.len();
            read.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if read.len() == MAX_ERROR_BYTES {
                break;
            }
        }
    };
    let _ = timeout(ERROR_TIMEOUT, rest).await;
    read
}
