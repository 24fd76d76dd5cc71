//! The simulator without a socket: a transport, for tests in virtual time and for dry runs.

use futures_util::stream;
use polpo_upstream::error::TransportError;
use polpo_upstream::transport::{Call, Reply, Sending, Transport};

use crate::simulator::Simulator;
use crate::timeline::Broken;

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
            let mut response = simulator.answer(&call).await;
            response.timeline.open().await.map_err(|Broken| TransportError::Broken)?;
            let body = stream::unfold(response.timeline, |mut timeline| async move {
                let bytes = timeline.next().await?;
                Some((bytes.map_err(|Broken| TransportError::Broken), timeline))
            });
            Ok(Reply { status: response.status, headers: response.headers, body: Box::pin(body) })
        })
    }
}
