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
use crate::message::{Heading, Made, Piece, message_id, pieces, whole};
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
    let id = message_id(draws);
    let diagnosis = ask
        .inquiry
        .clone()
        .map(|inquiry| core.state().diagnoses.diagnose(caller.workspace, &id, inquiry));
    let heading = Heading { ask, id: &id, input: served.input, tier: "standard", diagnosis };
    let Written { pieces, deltas, end } = written(heading, &said, admission, served);
    let mut steps = steps(pieces, deltas, latency(core, ask, draws));
    if let Some(MishapKind::SlowFirstToken(by)) = mishap {
        let by = core.clock.real(*by);
        steps.iter_mut().for_each(|step| step.at += by);
    }
    let generation = Generation::new(core.clone(), caller, ask, served);
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

/// An answer in pieces, with what happens to it on the way.
struct Written {
    pieces: Vec<Piece>,
    /// The deltas there would be if nothing happened.
    deltas: u32,
    end: End,
}

fn written(heading: Heading<'_>, said: &Said, admission: &Admission, served: &Served) -> Written {
    let draws = admission.draws;
    let mishap = served.mishap.as_ref();
    if heading.ask.stream {
        let mut pieces = pieces(heading, said, draws);
        let deltas = pieces.last().map_or(0, |last| last.delta);
        let events = Events::new(draws);
        let end = mishap.map_or(End::Whole, |mishap| {
            mishap::to_stream(mishap, &mut pieces, events, &admission.request_id)
        });
        return Written { pieces, deltas, end };
    }
    let mut body = whole(heading, said);
    let end = mishap.map_or(End::Whole, |mishap| mishap::to_body(mishap, &mut body));
    // Made in the same time, but sent when it is whole.
    let mut pieces = silent(said);
    if let Some(last) = pieces.last_mut() {
        last.bytes = body;
    }
    Written { pieces, deltas: SILENT_PIECES, end }
}

/// Parts in which an answer that is not streamed is charged while it is made.
const SILENT_PIECES: u32 = 4;

/// The pieces of an answer that nobody sees grow.
fn silent(said: &Said) -> Vec<Piece> {
    let mut before = 0;
    let piece = |delta| {
        let so_far = said.output_tokens * u64::from(delta) / u64::from(SILENT_PIECES);
        // The first token is there at once.
        let so_far = so_far.max(said.output_tokens.min(1));
        let output = so_far - before;
        before = so_far;
        let is_last = delta == SILENT_PIECES;
        let (found, searches) = if is_last { (said.found_tokens, said.searches) } else { (0, 0) };
        Piece { bytes: Vec::new(), made: Made { output, found, searches }, delta }
    };
    (0..=SILENT_PIECES).map(piece).collect()
}

/// How long an answer takes, in real time.
fn latency(core: &Core, ask: &Ask, draws: Draws) -> Duration {
    let median = core.scenario.latency.median(ask.model);
    let latency = Duration::from_secs_f64(draws.lognormal("latency", median, LATENCY_SPREAD));
    core.clock.real(latency)
}

/// When which piece of an answer is there: the first with the first token, the deltas evenly
/// after it, the end with the last of them. What is due together goes out together.
fn steps(pieces: Vec<Piece>, deltas: u32, latency: Duration) -> VecDeque<Step> {
    let first = latency.mul_f64(FIRST_TOKEN_AFTER);
    let mut steps = VecDeque::<Step>::new();
    let mut last = None;
    for Piece { bytes, made, delta } in pieces {
        match steps.back_mut().filter(|_| last == Some(delta)) {
            Some(step) => {
                step.bytes.extend_from_slice(&bytes);
                step.made.add(made);
            }
            None => {
                let at = first + (latency - first) * delta / deltas.max(1);
                steps.push_back(Step { at, made, bytes });
            }
        }
        last = Some(delta);
    }
    steps
}
