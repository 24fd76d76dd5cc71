//! Writes down the calls of the gateway after they ended. Nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polpo_store::journal::{BookedCall, Journal};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Calls that may wait to be written: some seconds of the largest rate, and twenty megabytes.
const WAITING: usize = 65_536;

/// Calls that are written at once.
const AT_ONCE: usize = 1_024;

/// How long the first waits for others to be written with it: a transaction costs as much as many
/// rows, and a run may lose as much by a kill.
const LINGER: Duration = Duration::from_millis(20);

/// After a failure to write, which on a full disk would come again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Where calls are booked.
#[derive(Clone, Debug)]
pub struct Ledger {
    calls: mpsc::Sender<BookedCall>,
    is_stuck: Arc<AtomicBool>,
    is_simulated: bool,
}

/// Writes what is booked.
#[derive(Debug)]
pub struct Writer {
    calls: mpsc::Receiver<BookedCall>,
    is_stuck: Arc<AtomicBool>,
}

/// A ledger, and who must be run to have it written.
#[must_use]
pub fn ledger(is_simulated: bool) -> (Ledger, Writer) {
    let (sender, calls) = mpsc::channel(WAITING);
    let is_stuck = Arc::new(AtomicBool::new(false));
    (Ledger { calls: sender, is_stuck: is_stuck.clone(), is_simulated }, Writer { calls, is_stuck })
}

impl Ledger {
    /// Books a call.
    pub fn book(&self, call: BookedCall) {
        if let Err(error) = self.calls.try_send(call) {
            // More were let in at once than can wait; whoever lets them in has looked before.
            tracing::error!(%error, "a call is not in the ledger, as too many wait to be written");
        }
    }

    /// Whether nothing more should be let in, as it could not be written down.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed) || self.calls.capacity() < WAITING / 2
    }

    /// Whether the calls go to the simulator.
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        self.is_simulated
    }
}

impl Writer {
    /// Writes what is booked until every ledger is gone.
    pub async fn write(mut self, journal: Arc<dyn Journal>) {
        let mut calls = Vec::new();
        while self.calls.recv_many(&mut calls, AT_ONCE).await > 0 {
            if calls.len() < AT_ONCE {
                sleep(LINGER).await;
            }
            while calls.len() < AT_ONCE
                && let Ok(call) = self.calls.try_recv()
            {
                calls.push(call);
            }
            while let Err(error) = journal.book(calls.clone()).await {
                if !self.is_stuck.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the ledger cannot be written");
                }
                sleep(PAUSE).await;
            }
            if self.is_stuck.swap(false, Ordering::Relaxed) {
                tracing::warn!("the ledger is written again");
            }
            calls.clear();
        }
    }
}
