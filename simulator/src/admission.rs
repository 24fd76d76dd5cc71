//! What becomes of a valid request on arrival: is there money, does it meet a fault, is it within
//! the limits. What refuses it charges nothing.

use std::time::Duration;

use crate::allowance::{Dimension, Refusal};
use crate::books::{Outcome, Tokens};
use crate::catalogue::Model;
use crate::clock::SimTime;
use crate::core::{Core, State, request_id};
use crate::draw::Draws;
use crate::faults::{Fault, Mishap, MishapKind, Occasion, Target};
use crate::growth;
use crate::limiter::{Caller, Use};
use crate::money::Spent;
use crate::problem::{Kind, Problem};
use crate::request::{Ask, Count};
use crate::scenario::Endpoint;

/// What became of a valid request.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) request_id: String,
    pub(crate) draws: Draws,
    /// The rate limit headers, unless something else came first.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) verdict: Result<Served, Problem>,
}

/// A request that is served.
#[derive(Debug)]
pub(crate) struct Served {
    /// The age in which generation starts.
    pub(crate) age: u64,
    /// When it arrived.
    pub(crate) at: SimTime,
    /// How its input divides.
    pub(crate) input: Tokens,
    pub(crate) mishap: Option<Mishap>,
}

/// Why a request is not served, as the books have it.
pub(crate) type Refused = (Outcome, Problem);

impl Core {
    /// Admits a request for a message, or does not.
    pub(crate) fn admit(&self, caller: Caller, ask: &Ask) -> Admission {
        let (seed, model) = (self.scenario.seed, ask.model);
        let mut guard = self.state();
        let state = &mut *guard;
        let seen = state.ledger.seen(&ask.first, &model.id);
        // A refusal depends on the time of arrival, so it must not shift the draws that follow.
        let drawn = ask.nth(&seen);
        let draws = Draws::new(seed, &ask.first, &model.id, drawn);
        // Ids differ between refusals all the same.
        let request_id = request_id(match u64::from(seen.refused) {
            0 => draws,
            refused => Draws::new(seed, &ask.first, &model.id, drawn + (refused << 32)),
        });
        let (headers, decided) = match self.mishap(state, caller, ask, draws) {
            Ok(mishap) => self.within_limits(state, caller, ask, mishap),
            Err(refused) => (Vec::new(), Err(refused)),
        };
        let outcome = match &decided {
            Ok(Served { mishap: Some(_), .. }) => Outcome::Spoiled,
            Ok(Served { mishap: None, .. }) => Outcome::Served,
            Err((outcome, _)) => *outcome,
        };
        state.ledger.record(caller.account, outcome);
        state.ledger.record_message(&ask.first, &model.id, outcome);
        Admission { request_id, draws, headers, verdict: decided.map_err(|(_, problem)| problem) }
    }

    /// What happens to a request on its way, if it is not refused before the limits.
    fn mishap(
        &self,
        state: &mut State,
        caller: Caller,
        ask: &Ask,
        draws: Draws,
    ) -> Result<Option<Mishap>, Refused> {
        self.check_money(state, caller)?;
        let target = Target { endpoint: Endpoint::Messages, model: Some(ask.model), draws };
        match self.fault(state, caller, target) {
            None => Ok(None),
            Some(Fault::Answer(problem)) => Err((Outcome::Faulted, problem)),
            Some(Fault::Mishap(Mishap { kind: MishapKind::ErrorEvent(problem), .. }))
                if !ask.stream =>
            {
                Err((Outcome::Faulted, problem))
            }
            Some(Fault::Mishap(mishap)) => Ok(Some(mishap)),
        }
    }

    /// Whether the limits allow a request, and the headers that tell of them.
    fn within_limits(
        &self,
        state: &mut State,
        caller: Caller,
        ask: &Ask,
        mishap: Option<Mishap>,
    ) -> (Vec<(String, String)>, Result<Served, Refused>) {
        let at = self.clock.now();
        let input = state.caches.split(at, caller.workspace, &ask.prompt);
        // What is read from the cache does not count.
        let tokens = input.input + input.cache_write();
        let of = Use { caller, model: ask.model, at, tokens };
        let charged = self.charge(state, of);
        if let (Err(_), Some(mishap)) = (&charged, &mishap) {
            state.script.take_back(mishap);
        }
        let headers = self.limit_headers(state, of);
        let served = charged.map(|()| {
            state.caches.refresh(at, caller.workspace, &ask.prompt);
            Served { age: state.age, at, input, mishap }
        });
        (headers, served)
    }

    /// Counts tokens: for nothing, but within limits of its own.
    ///
    /// # Errors
    /// If there is no money, or it meets a fault or a limit.
    pub(crate) fn count(&self, caller: Caller, count: Count) -> Result<u64, Problem> {
        let mut guard = self.state();
        let state = &mut *guard;
        let decided = self.decide_count(state, caller, count);
        let outcome = decided.as_ref().map_or_else(|(outcome, _)| *outcome, |()| Outcome::Counted);
        state.ledger.record(caller.account, outcome);
        decided.map(|()| count.input_tokens).map_err(|(_, problem)| problem)
    }

    fn decide_count(&self, state: &mut State, caller: Caller, count: Count) -> Result<(), Refused> {
        self.check_money(state, caller)?;
        let Count { model, first, .. } = count;
        let key = (first, model.id.as_str());
        let drawn = state.counted.get(&key).copied().unwrap_or(0);
        let draws = Draws::new(self.scenario.seed, &first, &model.id, drawn);
        let target = Target { endpoint: Endpoint::CountTokens, model: Some(model), draws };
        if let Some(Fault::Answer(problem)) = self.fault(state, caller, target) {
            state.counted.insert(key, drawn + 1);
            return Err((Outcome::Faulted, problem));
        }
        state.limiter.count(&self.scenario, caller, self.clock.now()).map_err(|wait| {
            let message = "This request would exceed your organization's rate limit for counting \
                           tokens. Please try again later.";
            (Outcome::Refused, self.wait_for(wait, Problem::new(Kind::RateLimit, message)))
        })?;
        if state.ledger.keeps_messages {
            state.counted.insert(key, drawn + 1);
        } else {
            state.counted.remove(&key);
        }
        Ok(())
    }

    pub(crate) fn check_money(&self, state: &mut State, caller: Caller) -> Result<(), Refused> {
        let State { money, month, ledger, .. } = state;
        let now = self.clock.wall(self.clock.now());
        month.turn(now, (0..self.scenario.accounts.len()).map(|account| ledger.spent(account)));
        let Some(money) = money.get(caller.account).filter(|money| money.is_limited()) else {
            return Ok(());
        };
        let mut spent = Spent::default();
        for &account in self.members(caller) {
            let ever = ledger.spent(account);
            // A time that is told stays, whatever the month.
            let before = if money.regain_access.is_some() { 0 } else { month.before(account) };
            spent.ever += ever;
            spent.organization += ever - before;
            if self.caller(account).workspace == caller.workspace {
                spent.workspace += ever - before;
            }
        }
        money.check(spent, now).map_err(|problem| (Outcome::Unpaid, problem))
    }

    /// The fault that a request meets, if any.
    pub(crate) fn fault(
        &self,
        state: &mut State,
        caller: Caller,
        target: Target<'_>,
    ) -> Option<Fault> {
        let account = self.scenario.accounts.get(caller.account)?;
        let now = self.clock.now();
        state.script.next(&Occasion {
            account: &account.name,
            organization: &account.organization_id,
            target,
            elapsed: state.began.until(now),
            wall: self.clock.wall(now),
        })
    }

    /// How long to wait: real seconds, rounded up, at least one.
    fn seconds(&self, wait: Duration) -> u64 {
        self.clock.seconds(wait).max(1)
    }

    fn wait_for(&self, wait: Duration, problem: Problem) -> Problem {
        problem.with_header("retry-after", self.seconds(wait).to_string())
    }

    /// A limit's refusal in the API's words.
    pub(crate) fn limited(&self, caller: Caller, model: &Model, refusal: &Refusal) -> Problem {
        if refusal.dimension == Dimension::Growth {
            return growth::too_fast(self.seconds(refusal.wait));
        }
        let message = format!(
            "This request would exceed your organization's rate limit of {} {} per minute \
             (org: {}, model: {}). For details, refer to: \
             https://docs.claude.com/en/api/rate-limits. You can see the response headers for \
             current usage. Please reduce the prompt length or the maximum tokens requested, or \
             try again later.",
            with_commas(refusal.limit),
            refusal.dimension.name(),
            self.organization_id(caller),
            model.id
        );
        self.wait_for(refusal.wait, Problem::new(Kind::RateLimit, message))
    }
}

/// `40000` as `40,000`.
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_commas() {
        let texts = [7, 300, 1_000, 40_000, 20_000_000].map(with_commas);
        assert_eq!(texts, ["7", "300", "1,000", "40,000", "20,000,000"]);
    }
}
