//! Limits and books behind one lock, held for as long as a decision takes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;

use crate::allowance::{Allowance, Refusal};
use crate::books::{Books, Ledger, Outcome};
use crate::catalogue::Model;
use crate::clock::Clock;
use crate::draw::Draws;
use crate::message::Piece;
use crate::problem::{Kind, Problem};
use crate::request::Ask;
use crate::scenario::{Account, Scenario};
use crate::timeline::Step;

/// What all clones of a simulator share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) scenario: Scenario,
    pub(crate) clock: Clock,
    /// By API key, the index of its account.
    keys: HashMap<String, usize>,
    /// For each account the first one of its organisation, whose limits it uses.
    organizations: Vec<usize>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    /// By organisation and limit class.
    allowances: HashMap<(usize, &'static str), Allowance>,
    /// Answers whose ids are drawn by number, not by what was asked.
    numbered: u64,
    /// Resets so far: a generation of an earlier age is in no books.
    pub(crate) age: u64,
}

/// What became of a valid request on arrival.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) request_id: String,
    pub(crate) draws: Draws,
    /// The rate limit headers, unless a fault came first.
    pub(crate) headers: Vec<(String, String)>,
    /// The age in which generation starts, or why it does not.
    pub(crate) verdict: Result<u64, Problem>,
}

/// Spread of the logarithm of latency.
const LATENCY_SPREAD: f64 = 0.35;

/// Share of the latency after which the first token is there.
const FIRST_TOKEN_AFTER: f64 = 0.3;

impl Core {
    pub(crate) fn new(scenario: Scenario, keeps_messages: bool) -> Self {
        let accounts = &scenario.accounts;
        let keys = accounts.iter().enumerate().flat_map(|(index, account)| {
            account.api_keys.iter().map(move |key| (key.clone(), index))
        });
        let organizations = accounts.iter().enumerate().map(|(index, account)| {
            let is_same = |other: &Account| other.organization_id == account.organization_id;
            accounts.iter().position(is_same).unwrap_or(index)
        });
        Self {
            clock: Clock::new(scenario.time_scale),
            keys: keys.collect(),
            organizations: organizations.collect(),
            state: Mutex::new(State::new(accounts.len(), keeps_messages, 0)),
            scenario,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn books(&self) -> Books {
        let names = self.scenario.accounts.iter().map(|account| account.name.as_str());
        self.state().ledger.snapshot(names)
    }

    pub(crate) fn reset(&self) {
        let mut state = self.state();
        let (keeps_messages, age) = (state.ledger.keeps_messages, state.age + 1);
        *state = State::new(self.scenario.accounts.len(), keeps_messages, age);
    }

    /// An id for an answer that has no draws of its own.
    pub(crate) fn numbered_request_id(&self) -> String {
        let number = {
            let mut state = self.state();
            state.numbered += 1;
            state.numbered
        };
        request_id(Draws::new(self.scenario.seed, &[0; 32], "numbered", number))
    }

    /// Whose credential a request carries. `x-api-key` wins over a bearer token.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<usize, Problem> {
        let fail = |message: &str| Err(Problem::new(Kind::Authentication, message));
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let bearer = text("authorization")
            .and_then(|value: &str| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (key, refusal) = match (text("x-api-key"), bearer) {
            (Some(key), _) => (key, "invalid x-api-key"),
            (None, Some((_, token))) => (token.trim(), "Invalid authentication credentials"),
            (None, None) => return fail("x-api-key header is required"),
        };
        match self.keys.get(key) {
            Some(&account) => Ok(account),
            None if self.scenario.accept_any_key && !key.is_empty() => Ok(self.account_for(key)),
            None => fail(refusal),
        }
    }

    /// Where any key is taken, an unknown one always belongs to the same account.
    fn account_for(&self, key: &str) -> usize {
        let count = self.scenario.accounts.len() as u64;
        let index = Draws::named(self.scenario.seed, key).below("account", 0, count);
        usize::try_from(index).unwrap_or(0)
    }

    /// Decides about a valid request: a fault is drawn first and charges nothing, then the
    /// limits are charged or refuse.
    pub(crate) fn admit(&self, account: usize, ask: &Ask) -> Admission {
        let (seed, model) = (self.scenario.seed, ask.model);
        let mut guard = self.state();
        let state = &mut *guard;
        let seen = state.ledger.seen(&ask.first, &model.id);
        // A refusal depends on the time of arrival, so it must not shift the draws that follow.
        let drawn = u64::from(seen.served) + u64::from(seen.faulted);
        let draws = Draws::new(seed, &ask.first, &model.id, drawn);
        // Ids differ between refusals all the same.
        let of_all = drawn + (u64::from(seen.refused) << 32);
        let request_id = request_id(Draws::new(seed, &ask.first, &model.id, of_all));

        let mut headers = Vec::new();
        let (outcome, verdict) = if let Some(problem) = self.fault(draws) {
            (Outcome::Faulted, Err(problem))
        } else {
            let allowance = state.allowance(self, account, model);
            let admitted = allowance.admit(self.clock.now(), ask.input_tokens);
            headers = allowance.headers(&self.clock);
            match admitted {
                Ok(()) => (Outcome::Served, Ok(state.age)),
                Err(refusal) => {
                    let seconds = self.retry_after(&refusal);
                    headers.push(("retry-after".to_owned(), seconds.to_string()));
                    (Outcome::Refused, Err(self.limited(account, model, &refusal)))
                }
            }
        };
        state.ledger.record(account, &ask.first, &model.id, outcome);
        Admission { request_id, draws, headers, verdict }
    }

    /// Charges output as it is generated.
    pub(crate) fn produced(&self, account: usize, model: &'static Model, age: u64, tokens: u64) {
        let mut state = self.state();
        if state.age == age {
            state.allowance(self, account, model).produced(self.clock.now(), tokens);
        }
    }

    /// When which piece of an answer is there: the first with the first token, the deltas evenly
    /// after it, the end with the last of them.
    pub(crate) fn steps(&self, ask: &Ask, draws: Draws, pieces: Vec<Piece>) -> VecDeque<Step> {
        let median = self.scenario.latency.median(ask.model);
        let latency = Duration::from_secs_f64(draws.lognormal("latency", median, LATENCY_SPREAD));
        let latency = self.clock.real(latency);
        let first = latency.mul_f64(FIRST_TOKEN_AFTER);
        let deltas = u32::try_from(pieces.len().saturating_sub(2)).unwrap_or(u32::MAX).max(1);
        let nth = |index: u32| first + (latency - first) * index.min(deltas) / deltas;
        let step = |(index, piece): (u32, Piece)| Step {
            at: nth(index),
            tokens: piece.tokens,
            bytes: piece.bytes.into(),
        };
        (0..).zip(pieces).map(step).collect()
    }

    fn fault(&self, draws: Draws) -> Option<Problem> {
        let faults = &self.scenario.faults;
        let drawn = draws.uniform("fault");
        if drawn < faults.overloaded_rate {
            Some(Problem::new(Kind::Overloaded, "Overloaded"))
        } else if drawn < faults.overloaded_rate + faults.error_rate {
            Some(Problem::new(Kind::Internal, "Internal server error"))
        } else {
            None
        }
    }

    /// Real seconds until a refused request would be admitted: rounded up, at least one.
    fn retry_after(&self, refusal: &Refusal) -> u64 {
        let real = self.clock.real(refusal.wait);
        let up = u64::from(real.subsec_nanos() > 0);
        (real.as_secs() + up).max(1)
    }

    fn limited(&self, account: usize, model: &Model, refusal: &Refusal) -> Problem {
        let account = self.scenario.accounts.get(account);
        let organization = account.map_or("", |account| &account.organization_id);
        let message = format!(
            "This request would exceed your organization's rate limit of {} {} per minute \
             (org: {organization}, model: {}). For details, refer to: \
             https://docs.claude.com/en/api/rate-limits. You can see the response headers for \
             current usage. Please reduce the prompt length or the maximum tokens requested, or \
             try again later.",
            with_commas(refusal.limit),
            refusal.dimension.name(),
            model.id
        );
        Problem::new(Kind::RateLimit, message)
    }
}

impl State {
    fn new(accounts: usize, keeps_messages: bool, age: u64) -> Self {
        Self {
            ledger: Ledger::new(accounts, keeps_messages),
            allowances: HashMap::new(),
            numbered: 0,
            age,
        }
    }

    fn allowance(&mut self, core: &Core, account: usize, model: &'static Model) -> &mut Allowance {
        let organization = core.organizations.get(account).copied().unwrap_or(account);
        self.allowances.entry((organization, &model.limit_class)).or_insert_with(|| {
            let none = crate::scenario::Limits::default();
            let own = core.scenario.accounts.get(organization).map_or(&none, |a| &a.limits);
            let rates = core.scenario.limits.rates(own, &model.limit_class);
            Allowance::full(&rates, core.clock.now())
        })
    }
}

fn request_id(draws: Draws) -> String {
    format!("req_011C{}", draws.id("request", 20))
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
