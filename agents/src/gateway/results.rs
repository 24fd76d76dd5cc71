//! The results of a message batch on their way to a client: the same bytes, metered line by line.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use polpo_metrics::Spending;
use polpo_policy::model::Catalogue;
use polpo_policy::price::{Cost, Nanodollars};
use polpo_policy::usage::Terms;
use polpo_store::journal::{BatchRecord, BookedCall};
use polpo_upstream::error::TransportError;
use polpo_upstream::meter::Meter;
use polpo_upstream::transport::Body;
use polpo_upstream::wire::batch::Outcome;
use tokio::task::JoinHandle;

use super::Gateway;
use crate::relay::MAX_WHOLE_BYTES;

/// What hears of the cost of a batch that was settled.
type Settled = Box<dyn FnOnce(Nanodollars) + Send>;

/// The results of a batch. When all of them have been read, what they cost takes the place of what
/// was held; until then, and if they cannot be metered, nothing changes.
pub struct Results {
    gateway: Gateway,
    batch: BatchRecord,
    body: Body,
    /// The beginning of the next line.
    begun: Vec<u8>,
    lines: u32,
    calls: Vec<(BookedCall, Option<Cost>)>,
    /// Whether every line so far could be read.
    is_readable: bool,
    settled: Option<Settled>,
    settling: Option<JoinHandle<()>>,
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").field("batch", &self.batch.id).finish_non_exhaustive()
    }
}

impl Gateway {
    /// The results of a batch that come as `body`; `settled` hears what they cost, if they are the
    /// first to tell, and holds what a shutdown waits for.
    pub fn results(
        &self,
        batch: BatchRecord,
        body: Body,
        settled: impl FnOnce(Nanodollars) + Send + 'static,
    ) -> Results {
        Results {
            gateway: self.clone(),
            batch,
            body,
            begun: Vec::new(),
            lines: 0,
            calls: Vec::new(),
            is_readable: true,
            settled: Some(Box::new(settled)),
            settling: None,
        }
    }
}

impl Results {
    fn read(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            if self.begun.is_empty() {
                self.line(line);
            } else {
                self.begin(line);
                let line = std::mem::take(&mut self.begun);
                self.line(&line);
            }
            rest = &after[1..];
        }
        self.begin(rest);
    }

    /// Keeps the beginning of a line, unless it is longer than any answer.
    fn begin(&mut self, part: &[u8]) {
        if self.begun.len() + part.len() > MAX_WHOLE_BYTES {
            self.is_readable = false;
        }
        if self.is_readable {
            self.begun.extend_from_slice(part);
        }
    }

    fn line(&mut self, line: &[u8]) {
        if !self.is_readable || line.trim_ascii().is_empty() {
            return;
        }
        self.lines += 1;
        match Outcome::read(line) {
            Outcome::Succeeded(meter) if self.lines <= self.batch.requests => {
                let call = self.call(&meter);
                self.calls.push(call);
            }
            Outcome::Unserved => {}
            Outcome::Succeeded(_) | Outcome::Unreadable => self.is_readable = false,
        }
    }

    /// A call of the batch, and what it cost.
    fn call(&self, meter: &Meter) -> (BookedCall, Option<Cost>) {
        let (desk, batch) = (&self.gateway.desk, &self.batch);
        let model = Catalogue::get().resolve(meter.model().unwrap_or_default());
        let (usage, terms) = (meter.usage().usage(), meter.usage().terms());
        let cost = desk.prices.cost(model.as_str(), &usage, Terms { batch: true, ..terms });
        let call = BookedCall {
            key: batch.key.clone(),
            request: batch.id.clone(),
            model: model.clone(),
            model_served: model,
            profile: batch.profile.clone(),
            outcome: "succeeded",
            usage,
            cost: cost.as_ref().map(Cost::total).unwrap_or_default(),
            priced: cost.is_some(),
            is_lost: false,
            simulated: batch.simulated,
            started_at: batch.created_at,
            ended_at: desk.clock.now(),
        };
        (call, cost)
    }

    /// Settles the batch, now that all results have come, unless they cannot be metered or it was
    /// settled before. It is not for the client to stop that.
    fn settle(&mut self) -> Option<JoinHandle<()>> {
        if !self.begun.is_empty() {
            let line = std::mem::take(&mut self.begun);
            self.line(&line);
        }
        let BatchRecord { id, requests, settled: is_settled, .. } = &self.batch;
        if !self.is_readable || self.lines != *requests {
            tracing::warn!(batch = id, lines = self.lines, "results that cannot be metered");
            return None;
        }
        let settled = self.settled.take().filter(|_| !is_settled)?;
        let (gateway, id) = (self.gateway.clone(), id.clone());
        let calls = std::mem::take(&mut self.calls);
        #[expect(clippy::disallowed_methods, reason = "who waits for it is in `settled`")]
        Some(tokio::spawn(async move { gateway.settle(id, calls, settled).await }))
    }
}

impl Gateway {
    /// Books the calls of a batch in the place of what was held for it, once.
    async fn settle(&self, id: String, calls: Vec<(BookedCall, Option<Cost>)>, settled: Settled) {
        let desk = &self.desk;
        let booked = calls.iter().map(|(call, _)| call.clone()).collect();
        match desk.journal.settle_batch(id.clone(), booked).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return tracing::error!(batch = id, %error, "a batch could not be settled");
            }
        }
        for (call, cost) in &calls {
            let model = call.model_served.as_str();
            desk.metrics.call_ended(&call.profile, model, call.outcome);
            desk.metrics.spent(&Spending {
                agent: &self.agent,
                profile: &call.profile,
                model,
                usage: &call.usage,
                cost: cost.as_ref(),
            });
        }
        settled(calls.iter().map(|(call, _)| call.cost).sum());
    }
}

impl Stream for Results {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(settling) = &mut self.settling {
                // It has failed only if it panicked, which it has said.
                let _ = ready!(Pin::new(settling).poll(cx));
                return Poll::Ready(None);
            }
            match ready!(self.body.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => {
                    self.read(&chunk);
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => match self.settle() {
                    Some(settling) => self.settling = Some(settling),
                    None => return Poll::Ready(None),
                },
            }
        }
    }
}
