//! The breaker of a provider's class of models: while every call fails, one at a time finds out
//! whether it still does.

use super::gate::{Cause, Gate, Passage};
use super::{Pool, Thaw, Verdict};
use crate::failure::Failure;
use crate::id::{LimitClass, ProviderId};
use crate::limits::Timestamp;
use chrono::TimeDelta;

/// So many calls in a row fail by chance once in 10^13 at the failure rates of a good day.
const FAULTS_IN_A_ROW: u32 = 8;

/// How long nothing is sent: an incident is over within seconds or lasts for minutes, and half a
/// minute is as late as its end may be noticed.
const STEPS: [TimeDelta; 6] = [
    TimeDelta::seconds(1),
    TimeDelta::seconds(2),
    TimeDelta::seconds(4),
    TimeDelta::seconds(8),
    TimeDelta::seconds(16),
    TimeDelta::seconds(30),
];

/// How a class of models is served.
#[derive(Clone, Debug, Default)]
pub(super) struct Outage {
    pub(super) gate: Gate,
    in_a_row: u32,
}

impl Outage {
    /// Takes the end of a call into account.
    fn settle(&mut self, now: Timestamp, granted_at: Timestamp, verdict: &Verdict) {
        let is_served = match verdict {
            Verdict::Failed(Failure::Overloaded | Failure::Faulty) => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                if self.in_a_row >= FAULTS_IN_A_ROW {
                    self.gate.climb(now, granted_at, &STEPS, Cause::Outage);
                }
                false
            }
            // A connection that broke says nothing of the service behind it.
            Verdict::Failed(Failure::Network | Failure::Unrefreshed { .. })
            | Verdict::Abandoned => false,
            Verdict::Success | Verdict::Failed(_) => {
                self.in_a_row = 0;
                true
            }
        };
        self.gate.leave(granted_at, is_served);
    }
}

impl Pool {
    /// What the breaker of a class lets through.
    pub(super) fn service(&self, provider: &ProviderId, class: &LimitClass) -> Passage {
        if self.outages.is_empty() {
            return Passage::Free;
        }
        let outage = self.outages.get(&(provider.clone(), class.clone()));
        outage.map_or(Passage::Free, |outage| outage.gate.passage())
    }

    pub(super) fn is_in_service(&self, provider: &ProviderId, class: &LimitClass) -> bool {
        self.service(provider, class) == Passage::Free
    }

    pub(super) fn settle_outage(
        &mut self,
        key: (ProviderId, LimitClass),
        granted_at: Timestamp,
        verdict: &Verdict,
    ) {
        let is_fault = matches!(verdict, Verdict::Failed(failure) if failure.is_fault());
        if is_fault {
            self.outages.entry(key.clone()).or_default();
        }
        if let Some(outage) = self.outages.get_mut(&key) {
            outage.settle(self.now, granted_at, verdict);
            self.outage_changed(&key);
        }
    }

    /// Keeps what depends on a breaker true to it.
    pub(super) fn outage_changed(&mut self, key: &(ProviderId, LimitClass)) {
        let Some(outage) = self.outages.get(key) else { return };
        let until = outage.gate.shut_by().and_then(|(_, until)| until);
        if outage.in_a_row == 0
            && outage.gate.passage() == Passage::Free
            && !outage.gate.is_ramping()
        {
            self.outages.remove(key);
        }
        self.thaws.set(&Thaw::Outage(key.0.clone(), key.1.clone()), until);
    }
}
