//! The simulator without a socket: a transport, for tests in virtual time and for dry runs.

use futures_util::stream;
use polpo_upstream::transport::{Call, Reply, Sending, Transport};

use crate::simulator::Simulator;

/// Carries calls to a simulator in the same process.
#[derive(Clone, Debug)]
pub struct InMemory(Simulator);

impl InMemory {
    /// A transport to `simulator`.
    #[must_use]
    pub const fn new(simulator: Simulator) -> Self {
        Self(simulator)
    }
}

impl Transport for InMemory {
    fn send(&self, call: Call) -> Sending {
        let simulator = self.0.clone();
        Box::pin(async move {
            let mut answer = simulator.answer(&call);
            answer.timeline.open().await;
            let body = stream::unfold(answer.timeline, |mut timeline| async move {
                let bytes = timeline.next().await?;
                Some((Ok(bytes), timeline))
            });
            Ok(Reply { status: answer.status, headers: answer.headers, body: Box::pin(body) })
        })
    }
}
