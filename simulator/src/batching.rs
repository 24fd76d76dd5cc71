//! The requests of a batch: answered like any other, at half the price and outside the limits.

use http::{HeaderMap, Method};
use polpo_upstream::transport::Call;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::answer;
use crate::batches::{Caller, Reply};
use crate::books::{Ledger, Outcome, Tokens};
use crate::cache::Caches;
use crate::clock::SimTime;
use crate::core::{Core, State};
use crate::draw::Draws;
use crate::faults::{Fault, Target};
use crate::limiter;
use crate::message::{Heading, whole};
use crate::price::price;
use crate::problem::{Kind, Problem};
use crate::prompt::Prompt;
use crate::request::{Ask, Rules};
use crate::scenario::Endpoint;
use crate::search;
use crate::signature;

impl Core {
    /// Answers a request about batches.
    pub(crate) fn batches(&self, call: &Call, caller: limiter::Caller) -> Result<Reply, Problem> {
        Rules::of(&call.headers)?;
        let now = self.clock.now();
        let account = caller.account;
        let workspace =
            self.scenario.accounts.get(account).map_or("", |account| &account.workspace_id);
        let mut state = self.state();
        self.advance_batches(&mut state, now);
        let path = call.path.split_once('?').map_or(call.path.as_str(), |(path, _)| path);
        if call.method == Method::POST && path == "/v1/messages/batches" {
            self.meet_fault(&mut state, caller)?;
        }
        state.batches.serve(call, Caller { now, account, workspace })
    }

    /// The error that the creation of a batch meets, if any.
    fn meet_fault(&self, state: &mut State, caller: limiter::Caller) -> Result<(), Problem> {
        let draws = state.numbered(self.scenario.seed);
        let target = Target { endpoint: Endpoint::Batches, model: None, draws };
        match self.fault(state, caller, target) {
            Some(Fault::Answer(problem)) => {
                state.ledger.record(caller.account, Outcome::Faulted);
                Err(problem)
            }
            Some(Fault::Mishap(_)) | None => Ok(()),
        }
    }

    /// Answers what has come due in batches. Nothing else does: time passes when somebody looks.
    pub(crate) fn advance_batches(&self, state: &mut State, now: SimTime) {
        let State { batches, caches, ledger, .. } = state;
        let mut turn = Turn { core: self, ledger, caches, now };
        batches.advance(now, |account, headers, params| turn.answer(account, headers, params));
    }
}

/// What requests of batches are answered with, at one time.
struct Turn<'a> {
    core: &'a Core,
    ledger: &'a mut Ledger,
    caches: &'a mut Caches,
    now: SimTime,
}

impl Turn<'_> {
    fn answer(
        &mut self,
        account: usize,
        headers: &HeaderMap,
        params: &Value,
    ) -> Result<Box<RawValue>, Problem> {
        let caller = self.core.caller(account);
        let read = self.read(caller, headers, params);
        let ask = read.inspect_err(|_| self.ledger.record(account, Outcome::Invalid))?;
        let scenario = &self.core.scenario;
        let seen = self.ledger.seen(&ask.first, &ask.model.id);
        let draws = Draws::new(scenario.seed, &ask.first, &ask.model.id, ask.nth(&seen));
        let said = answer(scenario, &ask, draws, self.core.organization_id(caller));
        let input = self.input(caller.workspace, &ask.prompt);
        let id = format!("msg_01{}", draws.id("message", 22));
        let heading = Heading { ask: &ask, id: &id, input, tier: "batch", diagnosis: None };
        let message = whole(heading, &said);
        let read = input.input + said.found_tokens;
        let tokens = Tokens { input: read, output: said.output_tokens, ..input };
        let searches = i64::try_from(said.searches).unwrap_or(0) * search::NANODOLLARS;
        let cost = price(ask.model, &tokens, ask.terms) + searches;
        self.ledger.record(account, Outcome::Served);
        self.ledger.record_message(&ask.first, &ask.model.id, Outcome::Served);
        self.ledger.settle(account, &tokens, cost);
        serde_json::from_slice(&message)
            .map_err(|_| Problem::new(Kind::Internal, "Internal server error"))
    }

    fn read(
        &self,
        caller: limiter::Caller,
        headers: &HeaderMap,
        params: &Value,
    ) -> Result<Ask, Problem> {
        let mut ask = Ask::batched(Rules::of(headers)?, params.clone())?;
        let organization = self.core.organization_id(caller);
        signature::check(self.core.scenario.seed, organization, &ask.signed)?;
        ask.terms.batch = true;
        Ok(ask)
    }

    /// How the input divides: what one request writes to the cache, the next one reads.
    fn input(&mut self, workspace: usize, prompt: &Prompt) -> Tokens {
        let input = self.caches.split(self.now, workspace, prompt);
        self.caches.refresh(self.now, workspace, prompt);
        self.caches.store(self.now, workspace, prompt, &input);
        input
    }
}
