//! What is left to an account, by the kind of credential it has: an API key's limits, a
//! subscription's windows, or points at Poe.

use crate::admission::Refused;
use crate::books::Outcome;
use crate::clock::{Clock, SimTime};
use crate::core::{Core, State};
use crate::limiter::Use;
use crate::poe::{self, Poe};
use crate::subscription::{self, Windows};

/// How an account meets its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// The API's: keys, and limits by organisation and limit class.
    Api,
    Subscription(subscription::Plan),
    Poe(poe::Plan),
}

/// What is left to it.
#[derive(Clone, Debug)]
pub(crate) enum Allotment {
    /// In the limiter, because accounts of an organisation share it.
    Api,
    Subscription(Windows),
    Poe(Poe),
}

impl Allotment {
    pub(crate) fn new(face: &Face, now: SimTime) -> Self {
        match face {
            Face::Api => Self::Api,
            Face::Subscription(plan) => Self::Subscription(Windows::new(*plan)),
            Face::Poe(plan) => Self::Poe(Poe::new(*plan, now)),
        }
    }

    /// Takes what an ended call cost.
    pub(crate) fn spend(&mut self, nanodollars: i64) {
        if let Self::Poe(poe) = self {
            poe.spend(nanodollars);
        }
    }

    fn headers(&self, now: SimTime, clock: &Clock) -> Option<Vec<(String, String)>> {
        match self {
            Self::Api => None,
            Self::Subscription(windows) => Some(windows.headers(now, clock)),
            Self::Poe(poe) => {
                Some(poe.headers(clock).map(|(name, value)| (name.to_owned(), value)).into())
            }
        }
    }
}

impl Core {
    /// Charges a request and its input, if what is left allows it.
    ///
    /// # Errors
    /// The API's refusal; nothing is charged then.
    pub(crate) fn charge(&self, state: &mut State, input: Use) -> Result<(), Refused> {
        let limited = |problem| (Outcome::Refused, problem);
        match state.allotments.get_mut(input.caller.account) {
            Some(Allotment::Subscription(windows)) => {
                windows.check(input.at, &self.clock).map_err(limited)?;
                windows.charge(input.at, input.tokens);
                Ok(())
            }
            Some(Allotment::Poe(poe)) => poe.admit(input.at, &self.clock),
            Some(Allotment::Api) | None => {
                let admitted = state.limiter.admit(&self.scenario, input);
                admitted
                    .map_err(|refusal| limited(self.limited(input.caller, input.model, &refusal)))
            }
        }
    }

    /// Charges output as it is generated.
    pub(crate) fn produced(&self, output: Use, age: u64) {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.age != age {
            return;
        }
        match state.allotments.get_mut(output.caller.account) {
            Some(Allotment::Subscription(windows)) => windows.charge(output.at, output.tokens),
            Some(Allotment::Poe(_)) => {}
            Some(Allotment::Api) | None => state.limiter.produced(&self.scenario, output),
        }
    }

    /// The headers that tell what is left.
    pub(crate) fn limit_headers(&self, state: &State, of: Use) -> Vec<(String, String)> {
        let own = state.allotments.get(of.caller.account);
        own.and_then(|own| own.headers(of.at, &self.clock))
            .unwrap_or_else(|| state.limiter.headers(of.caller, of.model, &self.clock))
    }
}
