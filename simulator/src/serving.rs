//! A request for a message, from its arrival to the answer that it gets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use crate::admission::{Admission, Served};
use crate::answer::{Said, Stop, answer};
use crate::core::Core;
use crate::draw::Draws;
use crate::faults::MishapKind;
use crate::generation::Generation;
use crate::limiter::Caller;
use crate::message::{Heading, Piece, pieces, whole};
use crate::mishap;
use crate::request::Ask;
use crate::response::Response;
use crate::sse::Events;
use crate::timeline::{End, Step, Timeline};

/// Spread of the logarithm of latency.
const LATENCY_SPREAD: f64 = 0.35;

/// Share of the latency after which the first token is there.
const FIRST_TOKEN_AFTER: f64 = 0.3;

/// Serves a valid request, or refuses it.
pub(crate) fn serve(core: &Arc<Core>, caller: Caller, ask: &Ask) -> Response {
    let admission = core.admit(caller, ask);
    let response = match &admission.verdict {
        Ok(served) => generate(core, caller, ask, &admission, served),
        Err(problem) => core.error(problem, &admission.request_id, Some(caller)),
    };
    response.with_headers(&admission.headers)
}

fn generate(
    core: &Arc<Core>,
    caller: Caller,
    ask: &Ask,
    admission: &Admission,
    served: &Served,
) -> Response {
    let draws = admission.draws;
    let mut said = answer(&core.scenario, ask, draws, core.organization_id(caller));
    let mishap = served.mishap.as_ref().map(|mishap| &mishap.kind);
    if mishap == Some(&MishapKind::Refusal) {
        said.stop = Stop::Refusal;
    }
    let id = format!("msg_01{}", draws.id("message", 22));
    let diagnosis = ask
        .inquiry
        .clone()
        .map(|inquiry| core.state().diagnoses.diagnose(caller.workspace, &id, inquiry));
    let heading = Heading { ask, id: &id, input: served.input, tier: "standard", diagnosis };
    let (pieces, end) = written(heading, &said, admission, served);
    let mut steps = steps(core, ask, draws, pieces);
    if let Some(MishapKind::SlowFirstToken(by)) = mishap {
        let by = core.clock.real(*by);
        steps.iter_mut().for_each(|step| step.at += by);
    }
    let mut generation = Generation::new(core.clone(), caller, ask, served);
    generation.search(&said);
    let mut headers = core.headers(&admission.request_id, Some(caller));
    let content_type = match (mishap, ask.stream) {
        (Some(MishapKind::WrongContentType), _) => "text/html; charset=utf-8",
        (_, true) => "text/event-stream; charset=utf-8",
        (_, false) => "application/json",
    };
    headers.insert("content-type", HeaderValue::from_static(content_type));
    if ask.stream {
        headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    }
    Response { status: StatusCode::OK, headers, timeline: Timeline::new(steps, end, generation) }
}

/// The answer in pieces, with what happens to it on the way.
fn written(
    heading: Heading<'_>,
    said: &Said,
    admission: &Admission,
    served: &Served,
) -> (Vec<Piece>, End) {
    let draws = admission.draws;
    let mut pieces = pieces(heading, said, draws);
    let mut end = End::Whole;
    if heading.ask.stream {
        if let Some(mishap) = &served.mishap {
            let events = Events::new(draws);
            end = mishap::to_stream(mishap, &mut pieces, events, &admission.request_id);
        }
        return (pieces, end);
    }
    // Generated in the same time, but sent when it is whole.
    let mut body = whole(heading, said);
    if let Some(mishap) = &served.mishap {
        end = mishap::to_body(mishap, &mut body);
    }
    pieces.iter_mut().for_each(|piece| piece.bytes.clear());
    if let Some(last) = pieces.last_mut() {
        last.bytes = body;
    }
    (pieces, end)
}

/// When which piece of an answer is there: the first with the first token, the deltas evenly
/// after it, the end with the last of them. What is due together goes out together.
fn steps(core: &Core, ask: &Ask, draws: Draws, pieces: Vec<Piece>) -> VecDeque<Step> {
    let median = core.scenario.latency.median(ask.model);
    let latency = Duration::from_secs_f64(draws.lognormal("latency", median, LATENCY_SPREAD));
    let latency = core.clock.real(latency);
    let first = latency.mul_f64(FIRST_TOKEN_AFTER);
    let deltas = pieces.iter().map(|piece| piece.delta).max().unwrap_or(0).max(1);
    let mut steps = VecDeque::<Step>::new();
    let mut last = None;
    for piece in pieces {
        match steps.back_mut().filter(|_| last == Some(piece.delta)) {
            Some(step) => {
                step.bytes.extend_from_slice(&piece.bytes);
                step.tokens += piece.tokens;
            }
            None => steps.push_back(Step {
                at: first + (latency - first) * piece.delta / deltas,
                tokens: piece.tokens,
                bytes: piece.bytes,
            }),
        }
        last = Some(piece.delta);
    }
    steps
}
