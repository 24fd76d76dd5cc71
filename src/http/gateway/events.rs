//! The body of a streamed answer, with pings while nothing else comes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use polpo_agents::gateway::Flow;
use tokio::time::{Instant, Sleep, sleep};

use super::drain::UnderWay;

/// Silence after which a ping is sent: proxies close a connection that is silent for a minute.
const SILENCE: Duration = Duration::from_secs(15);

/// A ping as the API writes it.
const PING: Bytes = Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n");

/// What comes to a stream that was begun before there was anything to say.
pub(super) type Coming = Pin<Box<dyn Future<Output = Source>>>;

/// Where events come from.
pub(super) enum Source {
    /// From upstream.
    Flow(Box<Flow>),
    /// Nowhere yet.
    Coming(Coming),
    /// These are the last.
    Last(Bytes),
}

/// A stream of events for a client. Dropping it cancels what it waits for.
pub(super) struct Events {
    source: Source,
    ping: Pin<Box<Sleep>>,
    /// When something was last sent.
    sent: Instant,
    _under_way: Arc<UnderWay>,
}

impl Events {
    pub(super) fn new(source: Source, under_way: Arc<UnderWay>) -> Self {
        let sent = Instant::now();
        Self { source, ping: Box::pin(sleep(SILENCE)), sent, _under_way: under_way }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.source {
                Source::Flow(flow) => return Pin::new(&mut **flow).poll_next(cx),
                Source::Last(bytes) if bytes.is_empty() => return Poll::Ready(None),
                Source::Last(bytes) => return Poll::Ready(Some(std::mem::take(bytes))),
                Source::Coming(coming) => match coming.as_mut().poll(cx) {
                    Poll::Ready(source) => self.source = source,
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(bytes) = self.poll_source(cx) {
            self.sent = Instant::now();
            return Poll::Ready(bytes.map(Ok));
        }
        // The timer is set anew when it rings, not with each event.
        while self.ping.as_mut().poll(cx).is_ready() {
            let due = self.sent + SILENCE;
            let now = Instant::now();
            if due <= now {
                self.sent = now;
                self.ping.as_mut().reset(now + SILENCE);
                return Poll::Ready(Some(Ok(PING)));
            }
            self.ping.as_mut().reset(due);
        }
        Poll::Pending
    }
}
