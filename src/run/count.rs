//! What a run counts while it goes on, shared between those who work and those who show.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use polpo_agents::job::{Ending, Outcome};
use polpo_metrics::TaskCounts;
use polpo_policy::price::Nanodollars;

/// Counters of a run in this process.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Tasks that this run is to end, those that had ended before included.
    pub(super) total: AtomicU64,
    /// Tasks that had succeeded before.
    pub(super) succeeded_before: AtomicU64,
    /// Tasks that had failed before and stay failed.
    pub(super) failed_before: AtomicU64,
    /// Tasks that have succeeded in this process.
    pub(super) succeeded: AtomicU64,
    /// Tasks that have failed in this process.
    pub(super) failed: AtomicU64,
    /// Tasks that are running.
    pub(super) running: AtomicU64,
    /// Tasks that took more than one attempt.
    pub(super) retried: AtomicU64,
    /// Tasks that were escalated.
    pub(super) escalated: AtomicU64,
    /// What the ended tasks have cost, in nanodollars.
    pub(super) cost: AtomicI64,
    /// Failed tasks by reason.
    pub(super) reasons: Mutex<BTreeMap<&'static str, u64>>,
}

/// Reads a counter.
#[must_use]
pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Adds one to a counter.
pub(super) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counts {
    /// Counts an outcome.
    pub(super) fn ended(&self, outcome: &Outcome) {
        match &outcome.ending {
            Ending::Succeeded(_) => bump(&self.succeeded),
            Ending::Errored { reason, .. } => {
                bump(&self.failed);
                let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
                *reasons.entry(reason).or_default() += 1;
            }
            Ending::Pending | Ending::Unrecorded(_) => return,
        }
        if outcome.attempts > 1 {
            bump(&self.retried);
        }
        if outcome.escalated_from.is_some() {
            bump(&self.escalated);
        }
        self.cost.fetch_add(outcome.spent.cost.0, Ordering::Relaxed);
    }

    /// Tasks that have ended in this process.
    #[must_use]
    pub(super) fn ended_now(&self) -> u64 {
        get(&self.succeeded) + get(&self.failed)
    }

    /// Tasks that have ended, in this process or before.
    #[must_use]
    pub(super) fn done(&self) -> u64 {
        self.ended_now() + get(&self.succeeded_before) + get(&self.failed_before)
    }

    /// What the tasks that ended in this process have cost.
    #[must_use]
    pub(super) fn cost(&self) -> Nanodollars {
        Nanodollars(self.cost.load(Ordering::Relaxed))
    }

    /// The gauges of the run.
    #[must_use]
    pub(super) fn gauges(&self) -> TaskCounts {
        let running = get(&self.running);
        TaskCounts {
            pending: get(&self.total).saturating_sub(self.done() + running),
            running,
            succeeded: get(&self.succeeded) + get(&self.succeeded_before),
            failed: get(&self.failed) + get(&self.failed_before),
        }
    }
}
