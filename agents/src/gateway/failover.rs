//! A client's request: waits for a profile, is sent, and sent to another one while that may help.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::StatusCode;
use polpo_policy::failure::{Failure, is_foreign_thought, of_request};
use polpo_policy::id::{LimitClass, ProviderId};
use polpo_policy::limits::Hints;
use polpo_policy::pool::{Alternative, Refusal, Request, Size, Verdict};
use polpo_policy::retry::{Course, Next};
use polpo_upstream::error::TransportError;
use polpo_upstream::headers;
use polpo_upstream::meter::Meter;
use polpo_upstream::transport::{Body, Call, Reply, SILENCE, SILENCE_OF_WHOLE};
use polpo_upstream::wire::problem::Problem;
use serde::Deserialize;

use super::errand::Errand;
use super::{Answer, AnswerBody, Flow, Gateway, Incoming, Passed, Route, Served};
use crate::ask::wait;
use crate::call::{error_body, read_headers};
use crate::lease::Lease;
use crate::messages::{Granted, NoReply};
use crate::relay::{MAX_WHOLE_BYTES, is_stream, lost, used};

/// A call that failed before the client has heard of it.
struct Failed {
    problem: Problem,
    failure: Failure,
    /// Whether upstream may have done it all the same.
    is_lost: bool,
    /// What upstream said, word for word.
    said: Option<Box<(StatusCode, headers::Forwarded, Bytes)>>,
}

/// Passes a request on until it has an answer, or none is to be had.
pub(super) async fn pass(gateway: &Gateway, incoming: Incoming) -> Passed {
    let desk = &gateway.desk;
    let mut course = Course::until(incoming.deadline);
    let mut last: Option<(Failed, Served)> = None;
    // Providers that have not got the model.
    let mut without: Vec<ProviderId> = Vec::new();
    loop {
        let open = |route: &&Route| !without.contains(&route.provider);
        let routes: Vec<&Route> = incoming.routes.iter().filter(open).collect();
        let granted = match acquire(gateway, &incoming, &routes, &course).await {
            Ok(granted) => granted,
            Err(refusal) => return refused(refusal, last, &incoming),
        };
        course.granted(desk.clock.now());
        if last.is_none() {
            let waited = incoming.tally.edit(|totals| totals.waited);
            let ours = incoming.tally.arrived().elapsed().saturating_sub(waited);
            desk.metrics.overhead(desk.surface, ours);
        }
        let route = routes[granted.alternative];
        let served: Served = granted.lease.profile().clone();
        let profile = &served;
        let failed = match send(gateway, &incoming, route, granted.lease).await {
            Ok((status, headers, body)) => {
                return Passed::Answered(Answer { status, headers, body, served });
            }
            Err(failed) => failed,
        };
        tracing::debug!(
            request = incoming.tally.request, %profile, status = failed.problem.status,
            reason = failed.failure.label(), problem = failed.problem.message, "a call failed"
        );
        if failed.is_lost && incoming.is_once {
            return Passed::Lost(failed.problem, served);
        }
        if failed.problem.status == 404 {
            without.push(route.provider.clone());
            if without.len() == providers(&incoming) {
                return failed.passed(served, &incoming);
            }
            desk.metrics.failed_over(profile, failed.failure.label());
            last = Some((failed, served));
            continue;
        }
        match course.failed(desk.clock.now(), profile, &failed.failure, desk.roll()) {
            Next::Again => desk.metrics.failed_over(profile, failed.failure.label()),
            Next::GiveUp => return failed.passed(served, &incoming),
        }
        // That it does not suit a profile is what is wrong with the request, whatever comes after.
        if last.as_ref().is_none_or(|(last, _)| !last.is_unsuited()) {
            last = Some((failed, served));
        }
    }
}

/// How many providers may be asked.
fn providers(incoming: &Incoming) -> usize {
    incoming.routes.iter().map(|route| &route.provider).collect::<BTreeSet<_>>().len()
}

async fn acquire(
    gateway: &Gateway,
    incoming: &Incoming,
    routes: &[&Route],
    course: &Course,
) -> Result<Granted, Refusal> {
    let alternatives = routes.iter().map(|route| Alternative {
        provider: route.provider.clone(),
        class: route.class.clone(),
        pin: route.pin.clone(),
    });
    let size = incoming.estimate.map_or_else(Size::default, |estimate| Size {
        bytes: estimate.body_bytes,
        max_tokens: estimate.max_tokens,
    });
    let request = Request {
        agent: incoming.tally.key.as_str().into(),
        alternatives: alternatives.collect(),
        avoid: course.avoid().clone(),
        rather: course.rather(),
        not_before: course.not_before(),
        deadline: Some(incoming.deadline),
        session: incoming.session.clone(),
        size,
    };
    let granted = wait(&gateway.desk, request).await?;
    if let Some((_, waited)) = granted.waited {
        incoming.tally.edit(|totals| totals.waited += waited.to_std().unwrap_or_default());
    }
    Ok(granted)
}

fn refused(refusal: Refusal, last: Option<(Failed, Served)>, incoming: &Incoming) -> Passed {
    match last {
        // It is the request, or the provider, that keeps it from being served.
        Some((failed, served)) if failed.failure.is_fault() || failed.is_of_request() => {
            failed.passed(served, incoming)
        }
        last => Passed::Refused(refusal, last.map(|(failed, _)| failed.problem)),
    }
}

type Sent = (StatusCode, headers::Forwarded, AnswerBody);

/// Makes one call with `lease`.
async fn send(
    gateway: &Gateway,
    incoming: &Incoming,
    route: &Route,
    lease: Lease,
) -> Result<Sent, Failed> {
    let errand = Errand::begin(gateway, incoming, route, &lease);
    let call = Call {
        method: incoming.method.clone(),
        path: incoming.path.clone(),
        headers: incoming.headers.clone(),
        body: route.body.clone(),
        silence: silence(incoming),
    };
    let reply = match lease.dispatch(call).await {
        Ok(reply) => reply,
        Err(NoReply::Transport(error)) => return Err(unreached(error, errand, lease)),
        Err(NoReply::Unsigned(unsigned)) => {
            lease.settle(Verdict::Failed(unsigned.failure), None);
            errand.free(unsigned.failure.label());
            let problem = Problem::own("authentication_error", unsigned.message);
            return Err(Failed { problem, failure: unsigned.failure, is_lost: false, said: None });
        }
    };
    answered(gateway, incoming, &route.class, reply, (errand, lease)).await
}

/// Takes the answer to a call.
async fn answered(
    gateway: &Gateway,
    incoming: &Incoming,
    class: &LimitClass,
    reply: Reply,
    (errand, mut lease): (Errand, Lease),
) -> Result<Sent, Failed> {
    let request_id = reply.headers.get("request-id").and_then(|id| id.to_str().ok());
    let request_id = request_id.map(str::to_owned);
    if request_id.is_some() {
        incoming.tally.edit(|totals| totals.request_id.clone_from(&request_id));
    }
    let (hints, reading) = read_headers(&gateway.desk, &lease, class, &reply.headers);
    let (comes_as_events, is_stream) = (is_stream(&reply.headers), incoming.is_stream);
    if comes_as_events && is_stream {
        lease.note(reading);
    } else {
        lease.keep(reading); // The rest is there already: whole answers are written before they are sent.
    }
    if !reply.status.is_success() {
        return Err(fail(incoming, reply, hints, (errand, lease)).await);
    }
    let (status, headers) = (reply.status, headers::of_answer(reply.headers));
    let body = if incoming.estimate.is_none() {
        lease.settle(Verdict::Success, None);
        let tally = errand.tally().clone();
        errand.free("succeeded");
        tally.close("succeeded", status.as_u16());
        AnswerBody::Other(reply.body)
    } else if comes_as_events && is_stream {
        let request_id = request_id.unwrap_or_else(|| incoming.tally.request.clone());
        let flow = Flow::new(reply.body, hints, request_id, (errand, lease)).begin().await;
        let flow = flow.map_err(|(problem, failure)| Failed {
            problem,
            failure,
            is_lost: false,
            said: None,
        })?;
        AnswerBody::Events(Box::new(flow))
    } else {
        let kinds = (comes_as_events, is_stream);
        AnswerBody::Whole(whole(reply.body, errand, lease, kinds).await?)
    };
    Ok((status, headers, body))
}

/// How long an answer may be silent: one in one piece until it is written.
const fn silence(incoming: &Incoming) -> Duration {
    if incoming.estimate.is_some() && !incoming.is_stream { SILENCE_OF_WHOLE } else { SILENCE }
}

fn unreached(error: TransportError, errand: Errand, lease: Lease) -> Failed {
    let failure = Failure::Network;
    lease.settle(Verdict::Failed(failure), None);
    let is_lost = error.may_have_been_served();
    if is_lost {
        errand.lost(failure.label());
    } else {
        errand.free(failure.label());
    }
    Failed { problem: Problem::own("api_error", error.to_string()), failure, is_lost, said: None }
}

/// An answer with an error status.
async fn fail(
    incoming: &Incoming,
    reply: Reply,
    hints: Hints,
    (errand, lease): (Errand, Lease),
) -> Failed {
    let body = error_body(reply.body).await.freeze();
    let mut problem = Problem::from_body(reply.status, &body);
    let id = reply.headers.get("request-id").and_then(|id| id.to_str().ok());
    problem.request_id = id.map(str::to_owned).or(problem.request_id);
    let bytes = incoming.estimate.map_or(0, |estimate| estimate.body_bytes);
    let failure = of_request(problem.failure(errand.now(), &hints), &hints, bytes);
    // Another organisation may have had the thought; and what a client asks for beyond what everyone
    // gets may be forbidden where the model is not.
    let is_elsewhere = (failure == Failure::Rejected
        && is_foreign_thought(problem.status, &problem.message))
        || (failure == Failure::Forbidden && incoming.headers.contains_key("anthropic-beta"));
    let failure = if is_elsewhere { Failure::Unsuited } else { failure };
    let is_quoted = lease.is_quoted_in(&body);
    lease.settle(Verdict::Failed(failure), None);
    errand.free(failure.label());
    // Clients match on the API's wording, and do what its headers say; what a proxy answers is not for
    // them, a limit names the account, and whose key is quoted is not the client's.
    let is_error = reply.status.is_client_error() || reply.status.is_server_error();
    let is_limit = reply.status == StatusCode::TOO_MANY_REQUESTS;
    let is_said = is_error && !is_limit && is_envelope(&body) && !is_quoted;
    let said = is_said.then(|| Box::new((reply.status, headers::of_answer(reply.headers), body)));
    Failed { problem: told(problem), failure, is_lost: false, said }
}

/// Whether it is about the request, and not about the profile or the provider.
const fn is_of_request(failure: Failure) -> bool {
    match failure {
        Failure::Rejected | Failure::Unsuited | Failure::Forbidden => true,
        Failure::Limited { .. }
        | Failure::Unfunded { .. }
        | Failure::Unrefreshed { .. }
        | Failure::Revoked
        | Failure::Overloaded
        | Failure::Faulty
        | Failure::Network => false,
    }
}

/// Whether an error answer is in the API's own form.
fn is_envelope(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        r#type: &'a str,
    }
    serde_json::from_slice::<Envelope<'_>>(body).is_ok_and(|it| it.r#type == "error")
}

/// A problem as a client of the API expects it.
fn told(problem: Problem) -> Problem {
    match problem.status {
        // So Poe says that there is no such model.
        400 if problem.code == "model_not_found" => {
            Problem { status: 404, kind: "not_found_error".to_owned(), ..problem }
        }
        413 => Problem { kind: "request_too_large".to_owned(), ..problem },
        400..=599 => problem,
        // A redirection, say, that nobody should follow with our clients' keys.
        _ => Problem { status: 502, kind: "api_error".to_owned(), ..problem },
    }
}

/// An answer in one piece, read to its end: only then it is known to be whole, and what it costs.
/// A client that waits for a stream cannot read one, nor the other way round; and whoever answers so
/// once does it again, at the same price.
async fn whole(
    mut body: Body,
    errand: Errand,
    lease: Lease,
    (comes_as_events, is_stream): (bool, bool),
) -> Result<Bytes, Failed> {
    let (mut read, mut broken, mut is_garbled) = (BytesMut::new(), None, false);
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) if read.len() + chunk.len() <= MAX_WHOLE_BYTES => {
                read.extend_from_slice(&chunk);
            }
            Ok(_) => {
                is_garbled = true;
                break;
            }
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    let mut meter = Meter::default();
    if broken.is_none() && !is_garbled {
        meter.observe_message(&read);
    }
    if meter.has_totals() && !is_stream {
        lease.settle(Verdict::Success, used(&meter));
        let tally = errand.tally().clone();
        errand.metered(&meter, "succeeded");
        tally.close("succeeded", 200);
        return Ok(read.freeze());
    }
    let is_other = broken.is_none() && (meter.has_totals() || comes_as_events && !is_stream);
    let failure = if is_other { Failure::Unsuited } else { Failure::Network };
    lease.settle(Verdict::Failed(failure), None);
    if meter.has_totals() {
        errand.metered(&meter, failure.label());
    } else if broken.is_some() || is_other {
        errand.lost(failure.label());
    } else {
        errand.free(failure.label()); // A whole page that is no message was served by someone else.
    }
    Err(Failed { problem: lost(broken, true), failure, is_lost: false, said: None })
}

impl Failed {
    fn is_unsuited(&self) -> bool {
        self.failure == Failure::Unsuited
    }

    fn is_of_request(&self) -> bool {
        is_of_request(self.failure)
    }

    /// What the client hears: what upstream said, if it said anything.
    fn passed(self, served: Served, incoming: &Incoming) -> Passed {
        let outcome = self.failure.label();
        let Some(said) = self.said else {
            incoming.tally.expect(outcome, self.problem.status);
            return Passed::Failed(self.problem);
        };
        let (status, headers, body) = *said;
        incoming.tally.expect(outcome, status.as_u16());
        Passed::Answered(Answer { status, headers, body: AnswerBody::Whole(body), served })
    }
}
