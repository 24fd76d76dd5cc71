//! A stream of events on its way to a client: the same bytes, metered, whole events at a time.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use polpo_policy::failure::Failure;
use polpo_policy::limits::Hints;
use polpo_policy::pool::Verdict;
use polpo_upstream::error::TransportError;
use polpo_upstream::meter::{Ending, Meter};
use polpo_upstream::sse::Decoder;
use polpo_upstream::transport::Body;
use polpo_upstream::wire::problem::Problem;
use tokio::time::{Sleep, sleep};

use super::errand::Errand;
use crate::lease::Lease;
use crate::relay::{lost, used};

/// How long the end of a body is waited for after the last event of its stream: the connection
/// can be used again then. It comes with the event, or it does not come.
const LINGER: Duration = Duration::from_millis(500);

/// How much may come before the first content, where a message's head and pings take a kilobyte.
/// More is not held, and so cannot be asked for elsewhere.
const MOST_HELD: usize = 1024 * 1024;

/// A stream of events. It owns body, meter and lease: dropping it cancels the call, charges what has
/// been metered and gives the profile back.
///
/// An event is passed on when it is whole, so that whoever sends something of its own (a ping, an
/// error) finds a place between two events.
pub struct Flow {
    body: Body,
    decoder: Decoder,
    meter: Meter,
    hints: Hints,
    /// Upstream's id of the request, or ours.
    request_id: String,
    /// Whole events that are to go out.
    out: VecDeque<Bytes>,
    /// The beginning of the next one.
    begun: Vec<Bytes>,
    /// The call, until it is settled.
    call: Option<(Errand, Lease)>,
    fault: Option<(Problem, Failure)>,
    linger: Option<Pin<Box<Sleep>>>,
    /// Whether it is too late to ask another profile.
    is_committed: bool,
    has_ended: bool,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("meter", &self.meter).finish_non_exhaustive()
    }
}

impl Flow {
    pub(super) fn new(body: Body, hints: Hints, request_id: String, call: (Errand, Lease)) -> Self {
        Self {
            request_id,
            body,
            decoder: Decoder::default(),
            meter: Meter::default(),
            hints,
            out: VecDeque::new(),
            begun: Vec::new(),
            call: Some(call),
            fault: None,
            linger: None,
            is_committed: false,
            has_ended: false,
        }
    }

    /// Reads on until there is something that only an answer has; what was read goes out first.
    ///
    /// # Errors
    /// When it fails before that. Nothing of it has gone out, so another profile can be asked.
    pub(super) async fn begin(mut self) -> Result<Self, (Problem, Failure)> {
        let held = |flow: &Self| flow.out.iter().map(Bytes::len).sum::<usize>();
        let is_undecided =
            |flow: &Self| !flow.meter.has_begun() && flow.fault.is_none() && !flow.has_ended;
        while is_undecided(&self) && held(&self) < MOST_HELD {
            poll_fn(|cx| self.read(cx)).await;
        }
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        self.is_committed = true;
        if let Some((errand, _)) = &self.call {
            errand.tally().streams();
        }
        Ok(self)
    }

    /// Takes what comes next from upstream.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.body.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => self.take(chunk),
            Poll::Ready(Some(Err(error))) => self.end(Some(error)),
            Poll::Ready(None) => self.end(None),
            Poll::Pending => {
                let Some(linger) = &mut self.linger else { return Poll::Pending };
                ready!(linger.as_mut().poll(cx));
                self.end(None);
            }
        }
        Poll::Ready(())
    }

    fn take(&mut self, mut chunk: Bytes) {
        let had_content = self.meter.has_content();
        let meter = &mut self.meter;
        if self.decoder.feed(&chunk, |event| meter.observe(&event)).is_err() {
            return self.fail(lost(None, true), Failure::Network);
        }
        if let Some((errand, _)) = &self.call
            && !had_content
            && meter.has_content()
        {
            errand.has_content();
        }
        // All goes out but the beginning of an event.
        let whole = chunk.len().checked_sub(self.decoder.pending()).filter(|whole| *whole > 0);
        if let Some(whole) = whole {
            let rest = chunk.split_off(whole);
            self.out.extend(self.begun.drain(..));
            self.out.push_back(chunk);
            chunk = rest;
        }
        if !chunk.is_empty() {
            self.begun.push(chunk);
        }
        match self.meter.ending() {
            Ending::Open => {}
            Ending::Complete => self.succeed(),
            Ending::Failed(problem) => {
                let problem = problem.clone();
                self.fall(problem);
            }
        }
    }

    /// The body has ended, or broken off.
    fn end(&mut self, broken: Option<TransportError>) {
        let meter = &mut self.meter;
        self.decoder.finish(|event| meter.observe(&event));
        // All that matters has arrived when only the last event is missing.
        let is_whole = broken.is_none() && meter.has_totals();
        match self.meter.ending() {
            Ending::Failed(problem) => {
                let problem = problem.clone();
                self.fall(problem);
            }
            Ending::Open if !is_whole => {
                return self.fail(lost(broken, false), Failure::Network);
            }
            Ending::Open | Ending::Complete => self.succeed(),
        }
        self.out.extend(self.begun.drain(..));
        self.has_ended = true;
    }

    /// Upstream says in its own words that it failed.
    fn fall(&mut self, problem: Problem) {
        let Some((errand, _)) = &self.call else { return };
        let failure = problem.failure(errand.now(), &self.hints);
        self.fault = Some((problem, failure));
        self.linger = Some(Box::pin(sleep(LINGER)));
        self.settle(failure, Errand::failed);
    }

    /// It says nothing more, so that we do.
    fn fail(&mut self, problem: Problem, failure: Failure) {
        self.has_ended = true;
        self.begun.clear();
        if self.call.is_some() {
            let problem = Problem { request_id: Some(self.request_id.clone()), ..problem };
            self.out.push_back(error_event(&problem));
            self.fault = Some((problem, failure));
            self.settle(failure, Errand::cut);
        }
    }

    fn settle(&mut self, failure: Failure, end: fn(Errand, &Meter, &'static str)) {
        let Some((errand, lease)) = self.call.take() else { return };
        lease.settle(Verdict::Failed(failure), used(&self.meter));
        let tally = errand.tally().clone();
        end(errand, &self.meter, failure.label());
        if self.is_committed {
            tally.close(failure.label(), self.fault.as_ref().map_or(200, |(it, _)| it.status));
        }
    }

    fn succeed(&mut self) {
        let Some((errand, lease)) = self.call.take() else { return };
        self.linger = Some(Box::pin(sleep(LINGER)));
        lease.settle(Verdict::Success, used(&self.meter));
        let tally = errand.tally().clone();
        errand.metered(&self.meter, "succeeded");
        tally.close("succeeded", 200);
    }
}

impl Stream for Flow {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            ready!(self.read(cx));
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // The client went away.
        if let Some((errand, _lease)) = self.call.take() {
            errand.cut(&self.meter, "cancelled");
        }
    }
}

/// An error as an event of a stream.
#[must_use]
pub fn error_event(problem: &Problem) -> Bytes {
    format!("event: error\ndata: {}\n\n", problem.envelope()).into()
}
