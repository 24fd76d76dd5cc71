//! Limits and books behind one lock, held for as long as a decision takes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;

use crate::allowance::{Allowance, Dimension, Refusal};
use crate::books::{AccountBook, Books, Ledger, Outcome, Tokens};
use crate::bucket::Bucket;
use crate::catalogue::Model;
use crate::clock::{Clock, SimTime};
use crate::draw::Draws;
use crate::faults::{Fault, Mishap, MishapKind, Occasion, Script};
use crate::message::Piece;
use crate::money::{Money, Spent};
use crate::problem::{Kind, Problem};
use crate::request::Ask;
use crate::scenario::{Account, Endpoint, Scenario};
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
    script: Script,
    /// When the scenario began: at the start, or at the last reset.
    began: SimTime,
    /// By organisation and limit class.
    allowances: HashMap<(usize, &'static str), Allowance>,
    /// By workspace and limit class.
    workspace_allowances: HashMap<(usize, &'static str), Allowance>,
    /// Of token counts, by organisation.
    counts: HashMap<usize, Option<Bucket>>,
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
    /// The rate limit headers, unless something else came first.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) verdict: Result<Served, Problem>,
}

/// A request that is served.
#[derive(Debug)]
pub(crate) struct Served {
    /// The age in which generation starts.
    pub(crate) age: u64,
    /// How its input divides.
    pub(crate) input: Tokens,
    pub(crate) mishap: Option<Mishap>,
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
        let clock = Clock::new(scenario.time_scale);
        Self {
            keys: keys.collect(),
            organizations: organizations.collect(),
            state: Mutex::new(State::new(&scenario, clock.now(), keeps_messages, 0)),
            clock,
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
        *state = State::new(&self.scenario, self.clock.now(), keeps_messages, age);
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

    /// Decides about a valid request: is there money, does it meet a fault, is it within the
    /// limits. What refuses it charges nothing.
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
        let (outcome, verdict) = self.decide(state, account, ask, draws, &mut headers);
        state.ledger.record(account, &ask.first, &model.id, outcome);
        Admission { request_id, draws, headers, verdict }
    }

    fn decide(
        &self,
        state: &mut State,
        account: usize,
        ask: &Ask,
        draws: Draws,
        headers: &mut Vec<(String, String)>,
    ) -> (Outcome, Result<Served, Problem>) {
        if let Err(problem) = self.check_money(state, account) {
            return (Outcome::Unpaid, Err(problem));
        }
        let mishap = match self.fault(state, account, Some(ask.model), Endpoint::Messages, draws) {
            Some(Fault::Answer(problem)) => return (Outcome::Faulted, Err(problem)),
            Some(Fault::Mishap(Mishap { kind: MishapKind::ErrorEvent(problem), .. }))
                if !ask.stream =>
            {
                return (Outcome::Faulted, Err(problem));
            }
            Some(Fault::Mishap(mishap)) => Some(mishap),
            None => None,
        };
        let input = Tokens { input: ask.input_tokens, ..Tokens::default() };
        let now = self.clock.now();
        let counted = input.input + input.cache_write();
        let refusal = [
            state.allowance(self, account, ask.model).check(now, counted),
            state.workspace_allowance(self, account, ask.model).check(now, counted),
        ];
        let refusal = refusal.into_iter().filter_map(Result::err).max_by_key(|r| r.wait);
        if refusal.is_none() {
            state.workspace_allowance(self, account, ask.model).charge(counted);
            state.allowance(self, account, ask.model).charge(counted);
        }
        headers.extend(state.allowance(self, account, ask.model).headers(&self.clock));
        match refusal {
            None => (Outcome::Served, Ok(Served { age: state.age, input, mishap })),
            Some(refusal) => {
                let seconds = self.retry_after(refusal.wait).to_string();
                let problem = self.limited(account, ask.model, &refusal);
                (Outcome::Refused, Err(problem.with_header("retry-after", seconds)))
            }
        }
    }

    /// Counts tokens for nothing, but within limits of its own.
    pub(crate) fn count(&self, account: usize, ask: &Ask) -> Result<u64, Problem> {
        let mut guard = self.state();
        let state = &mut *guard;
        let outcome = self.decide_count(state, account, ask);
        state.ledger.record_other(
            account,
            match &outcome {
                Ok(_) => |book| &mut book.counted,
                Err((tally, _)) => *tally,
            },
        );
        outcome.map_err(|(_, problem)| problem)
    }

    fn decide_count(
        &self,
        state: &mut State,
        account: usize,
        ask: &Ask,
    ) -> Result<u64, (fn(&mut AccountBook) -> &mut u64, Problem)> {
        self.check_money(state, account).map_err(|problem| {
            let tally: fn(&mut AccountBook) -> &mut u64 = |book| &mut book.unpaid;
            (tally, problem)
        })?;
        let draws = Draws::new(self.scenario.seed, &ask.first, &ask.model.id, ask.turns);
        let fault = self.fault(state, account, Some(ask.model), Endpoint::CountTokens, draws);
        if let Some(Fault::Answer(problem)) = fault {
            return Err((|book| &mut book.faulted, problem));
        }
        if let Some(bucket) = state.count_bucket(self, account) {
            if let Some(wait) = bucket.wait_for(1) {
                let seconds = self.retry_after(wait).to_string();
                let message = "Number of token counts has exceeded your organization's rate limit.";
                let problem = Problem::new(Kind::RateLimit, message);
                return Err((
                    |book| &mut book.refused,
                    problem.with_header("retry-after", seconds),
                ));
            }
            bucket.take(1);
        }
        Ok(ask.input_tokens)
    }

    fn check_money(&self, state: &State, account: usize) -> Result<(), Problem> {
        let Some(of) = self.scenario.accounts.get(account) else { return Ok(()) };
        if of.money == Money::default() {
            return Ok(());
        }
        let organization = self.organizations.get(account);
        let workspaces = self.organizations.iter().enumerate();
        let of_organization =
            workspaces.filter(|(_, other)| Some(*other) == organization).map(|(index, _)| index);
        let spent = Spent {
            organization: of_organization.map(|index| state.ledger.spent(index)).sum(),
            workspace: state.ledger.spent(account),
        };
        of.money.check(spent, self.clock.wall())
    }

    fn fault(
        &self,
        state: &mut State,
        account: usize,
        model: Option<&Model>,
        endpoint: Endpoint,
        draws: Draws,
    ) -> Option<Fault> {
        let of = self.scenario.accounts.get(account)?;
        let elapsed = self.clock.now().0.saturating_sub(state.began.0);
        state.script.next(&Occasion {
            account: &of.name,
            organization: &of.organization_id,
            model,
            endpoint,
            seconds: Duration::from_nanos(elapsed).as_secs_f64(),
            wall: self.clock.wall(),
            draws,
        })
    }

    /// Charges output as it is generated.
    pub(crate) fn produced(&self, account: usize, model: &'static Model, age: u64, tokens: u64) {
        let mut state = self.state();
        if state.age == age {
            let now = self.clock.now();
            state.allowance(self, account, model).produced(now, tokens);
            state.workspace_allowance(self, account, model).produced(now, tokens);
        }
    }

    /// When which piece of an answer is there: the first with the first token, the deltas evenly
    /// after it, the end with the last of them. What is due together goes out together.
    pub(crate) fn steps(&self, ask: &Ask, draws: Draws, pieces: Vec<Piece>) -> VecDeque<Step> {
        let median = self.scenario.latency.median(ask.model);
        let latency = Duration::from_secs_f64(draws.lognormal("latency", median, LATENCY_SPREAD));
        let latency = self.clock.real(latency);
        let first = latency.mul_f64(FIRST_TOKEN_AFTER);
        let deltas = pieces.iter().map(|piece| piece.delta).max().unwrap_or(0).max(1);
        let mut steps = VecDeque::<Step>::new();
        let mut last = None;
        for piece in pieces {
            match steps.back_mut().filter(|_| last == Some(piece.delta)) {
                Some(step) => {
                    step.bytes.extend_from_slice(&piece.bytes);
                    step.tokens += piece.tokens;
                }
                None => steps.push_back(Step {
                    at: first + (latency - first) * piece.delta / deltas,
                    tokens: piece.tokens,
                    bytes: piece.bytes,
                }),
            }
            last = Some(piece.delta);
        }
        steps
    }

    /// Real seconds until a refused request would be admitted: rounded up, at least one.
    fn retry_after(&self, wait: Duration) -> u64 {
        let real = self.clock.real(wait);
        let up = u64::from(real.subsec_nanos() > 0);
        (real.as_secs() + up).max(1)
    }

    fn limited(&self, account: usize, model: &Model, refusal: &Refusal) -> Problem {
        let account = self.scenario.accounts.get(account);
        let organization = account.map_or("", |account| &account.organization_id);
        if refusal.dimension == Dimension::Growth {
            let message = "This request would exceed your organization's maximum usage increase \
                           rate. Please scale up your input tokens usage more gradually to stay \
                           within the acceleration limit.";
            return Problem::new(Kind::RateLimit, message).with_code("ramp_limit_exceeded");
        }
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
    fn new(scenario: &Scenario, now: SimTime, keeps_messages: bool, age: u64) -> Self {
        Self {
            ledger: Ledger::new(scenario.accounts.len(), keeps_messages),
            script: Script::new(scenario.faults.clone()),
            began: now,
            allowances: HashMap::new(),
            workspace_allowances: HashMap::new(),
            counts: HashMap::new(),
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

    fn workspace_allowance(
        &mut self,
        core: &Core,
        account: usize,
        model: &'static Model,
    ) -> &mut Allowance {
        self.workspace_allowances.entry((account, &model.limit_class)).or_insert_with(|| {
            let none = crate::scenario::Limits::default();
            let own = core.scenario.accounts.get(account).map_or(&none, |a| &a.workspace_limits);
            Allowance::full(&own.own_rates(&model.limit_class), core.clock.now())
        })
    }

    fn count_bucket(&mut self, core: &Core, account: usize) -> Option<&mut Bucket> {
        let organization = core.organizations.get(account).copied().unwrap_or(account);
        let now = core.clock.now();
        let bucket = self.counts.entry(organization).or_insert_with(|| {
            let own = core.scenario.accounts.get(organization)?;
            let limit = core.scenario.limits.count_tokens(&own.limits)?;
            Some(Bucket::full(limit, now))
        });
        bucket.as_mut().map(|bucket| {
            bucket.refill(now);
            bucket
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
