//! One call upstream: recorded, sent, read, metered, recorded again.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use polpo_metrics::{Allowance, Spending};
use polpo_policy::budget::{Estimate, reservation};
use polpo_policy::failure::{Failure, of_request};
use polpo_policy::id::{ModelName, OrganizationId, ProfileId};
use polpo_policy::limits::Hints;
use polpo_policy::model::{Catalogue, ModelSpec};
use polpo_policy::pool::Verdict;
use polpo_policy::price::Cost;
use polpo_policy::usage::{Terms, Usage};
use polpo_store::journal::{CallEnd, CallId, CallStart, JournalError};
use polpo_upstream::error::TransportError;
use polpo_upstream::meter::{Ending, Meter};
use polpo_upstream::transport::{Body, Call};
use polpo_upstream::wire::problem::Problem;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::agent::{AgentSpec, Desk, Story};
use crate::ask::{Ask, Unanswered};
use crate::lease::Lease;
use crate::relay::Relay;

/// The longest error answer that is read; real ones are below a kilobyte, a proxy's page may be
/// longer and says no more for it.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// How long the end of a body is waited for after the last event of its stream: the connection
/// can be used again then. It comes with the event, or it does not come.
const LINGER: Duration = Duration::from_millis(500);

/// What came of a call.
pub(crate) enum Called {
    Answered(Value),
    Failed(Problem, Failure),
}

/// What a call is to be charged.
enum Charge {
    /// Nothing: upstream refused it or never saw it.
    Nothing,
    /// What was metered.
    Metered(Box<Meter>),
    /// Its reservation: nobody knows what upstream did.
    Reserved(Box<Meter>),
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
    let Ok(body) = asked.job.question.body(&model.model, asked.max_tokens, asked.turns) else {
        let problem =
            Problem::own("invalid_request_error", "the request cannot be written as JSON");
        return Ok(Called::Failed(problem, Failure::Rejected));
    };
    let reserved = reservation(&desk.prices, model.model.as_str(), &estimate(&body, asked));
    let profile = lease.profile().clone();
    let start = CallStart {
        run: asked.job.run,
        task: asked.job.id.clone(),
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
        Ok(Called::Failed(_, failure)) => failure.label(),
        Err(_) => "panic",
    };
    let bill = Bill::new(desk, &model.model, charge, reserved);
    story.spent.calls += 1;
    story.spent.usage += bill.usage;
    story.spent.cost += bill.cost.unwrap_or_default().total();
    bill.count(spec, desk, &profile, outcome);
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
    (mut lease, body): (Lease, Bytes),
) -> (Called, Charge) {
    let (sent, body_bytes) = (Instant::now(), body.len() as u64);
    let reply = match lease.dispatch(request(asked.job.question.version(), body)).await {
        Ok(reply) => reply,
        Err(error) => {
            lease.settle(Verdict::Failed(Failure::Network));
            return (unreached(error), unreached_charge(error));
        }
    };
    let hints = read_headers(desk, &mut lease, model, &reply.headers);
    if !reply.status.is_success() {
        let body = error_body(reply.body).await;
        let problem = Problem::from_body(reply.status, &body);
        let failure = problem.failure(desk.clock.now(), &hints);
        let failure = of_request(failure, &hints, body_bytes);
        lease.settle(Verdict::Failed(failure));
        return (Called::Failed(problem, failure), Charge::Nothing);
    }
    read(desk, model, Relay::new(reply, hints, lease), sent).await
}

async fn read(desk: &Desk, model: &ModelSpec, mut relay: Relay, sent: Instant) -> (Called, Charge) {
    let mut is_first = true;
    while *relay.meter().ending() == Ending::Open
        && let Some(Ok(_)) = relay.next().await
    {
        if is_first && relay.meter().has_content() {
            is_first = false;
            desk.metrics.time_to_first_token(desk.surface, model.model.as_str(), sent.elapsed());
        }
    }
    if *relay.meter().ending() == Ending::Complete {
        let rest = async { while let Some(Ok(_)) = relay.next().await {} };
        let _ = timeout(LINGER, rest).await;
    }
    let relayed = relay.finish(desk.clock.now());
    let meter = Box::new(relayed.meter);
    match relayed.result {
        Ok(message) if meter.has_totals() => (Called::Answered(message), Charge::Metered(meter)),
        // An answer without figures was not free.
        Ok(message) => (Called::Answered(message), Charge::Reserved(meter)),
        Err(fault) => {
            let charge =
                if fault.is_lost { Charge::Reserved(meter) } else { Charge::Metered(meter) };
            (Called::Failed(fault.problem, fault.failure), charge)
        }
    }
}

fn request(version: &'static str, body: Bytes) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static(version));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    Call { method: Method::POST, path: "/v1/messages".to_owned(), headers, body }
}

fn unreached(error: TransportError) -> Called {
    Called::Failed(Problem::own("api_error", error.to_string()), Failure::Network)
}

fn unreached_charge(error: TransportError) -> Charge {
    if error.may_have_been_served() { Charge::Reserved(Box::default()) } else { Charge::Nothing }
}

/// Takes over what the headers tell of organisation and limits.
fn read_headers(desk: &Desk, lease: &mut Lease, model: &ModelSpec, headers: &HeaderMap) -> Hints {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let hints = Hints::read(desk.clock.now(), text);
    let organization = text("anthropic-organization-id").map(OrganizationId::from);
    let scope =
        organization.as_ref().map_or_else(|| lease.profile().to_string(), OrganizationId::short);
    for reading in &hints.limits {
        let allowance = Allowance { limit: reading.limit, remaining: reading.remaining };
        desk.metrics.set_ratelimit(&scope, &model.limit_class(), reading.dimension, allowance);
    }
    lease.answered_by(organization);
    hints
}

/// The beginning of an error answer; what cannot be read is left out.
async fn error_body(mut body: Body) -> BytesMut {
    let mut read = BytesMut::new();
    while let Some(Ok(chunk)) = body.next().await {
        let room = MAX_ERROR_BYTES - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if read.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    read
}

/// What a call used and cost.
struct Bill {
    model: ModelName,
    usage: Usage,
    cost: Option<Cost>,
    has_used: bool,
}

impl Bill {
    fn new(desk: &Desk, asked: &ModelName, charge: Charge, reserved: Option<Cost>) -> Self {
        let (meter, is_reserved) = match charge {
            Charge::Nothing => {
                let (usage, cost) = (Usage::default(), Some(Cost::default()));
                return Self { model: asked.clone(), usage, cost, has_used: false };
            }
            Charge::Metered(meter) => (meter, false),
            Charge::Reserved(meter) => (meter, true),
        };
        // By its own word, if we have figures for that; a relay may answer with names of its own.
        let served = meter.model().filter(|model| Catalogue::get().find(model).is_some());
        let model = served.map_or_else(|| asked.clone(), |model| Catalogue::get().resolve(model));
        let usage = meter.usage().usage();
        let metered = || desk.prices.cost(model.as_str(), &usage, meter.usage().terms());
        let cost = if is_reserved { reserved } else { metered() };
        Self { model, usage, cost, has_used: true }
    }

    fn count(&self, spec: &AgentSpec, desk: &Desk, profile: &ProfileId, outcome: &'static str) {
        desk.metrics.call_ended(profile, self.model.as_str(), outcome);
        if self.has_used {
            desk.metrics.spent(&Spending {
                agent: &spec.name,
                profile,
                model: self.model.as_str(),
                usage: &self.usage,
                cost: self.cost.as_ref(),
            });
        }
    }

    fn record(self, call: CallId, outcome: &'static str, desk: &Desk) -> CallEnd {
        CallEnd {
            call,
            outcome,
            model_served: self.model,
            usage: self.usage,
            cost: self.cost.unwrap_or_default().total(),
            priced: self.cost.is_some(),
            ended_at: desk.clock.now(),
        }
    }
}
