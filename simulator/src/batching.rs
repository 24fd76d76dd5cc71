//! The requests of a batch: answered like any other, at half the price and outside the limits.

use http::HeaderMap;
use polpo_upstream::transport::Call;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::answer;
use crate::batches::{Caller, Reply};
use crate::books::{Ledger, Outcome};
use crate::cache::Caches;
use crate::clock::SimTime;
use crate::core::{Core, State};
use crate::draw::Draws;
use crate::limiter;
use crate::message::{Heading, whole};
use crate::price::price;
use crate::problem::{Kind, Problem};
use crate::request::{Ask, Rules};
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
        state.batches.serve(call, Caller { now, account, workspace })
    }

    /// Answers what has come due in batches. Nothing else does: time passes when somebody looks.
    pub(crate) fn advance_batches(&self, state: &mut State, now: SimTime) {
        let State { batches, caches, ledger, .. } = state;
        batches.advance(now, |account, headers, params| {
            self.answer_batched(ledger, caches, now, account, headers, params)
        });
    }

    fn answer_batched(
        &self,
        ledger: &mut Ledger,
        caches: &mut Caches,
        now: SimTime,
        account: usize,
        headers: &HeaderMap,
        params: &Value,
    ) -> Result<Box<RawValue>, Problem> {
        let caller = self.caller(account);
        let organization = self.organization_id(caller);
        let seed = self.scenario.seed;
        let read = || {
            let ask = Ask::batched(Rules::of(headers)?, params.clone())?;
            signature::check(seed, organization, &ask.signed).map(|()| ask)
        };
        let mut ask = read().inspect_err(|_| ledger.record(account, Outcome::Invalid))?;
        ask.terms.batch = true;
        let seen = ledger.seen(&ask.first, &ask.model.id);
        let nth = u64::from(seen.served) + u64::from(seen.faulted);
        let draws = Draws::new(seed, &ask.first, &ask.model.id, nth);
        let said = answer(&self.scenario, &ask, draws, organization);
        let mut tokens = caches.split(now, caller.workspace, &ask.prompt);
        caches.refresh(now, caller.workspace, &ask.prompt);
        caches.store(now, caller.workspace, &ask.prompt, &tokens);
        let id = format!("msg_01{}", draws.id("message", 22));
        let heading = Heading { ask: &ask, id: &id, input: tokens, tier: "batch", diagnosis: None };
        let message = whole(heading, &said);
        tokens.output = said.output_tokens;
        ledger.record(account, Outcome::Served);
        ledger.record_message(&ask.first, &ask.model.id, Outcome::Served);
        ledger.settle(account, &tokens, price(ask.model, &tokens, ask.terms));
        serde_json::from_slice(&message)
            .map_err(|_| Problem::new(Kind::Internal, "Internal server error"))
    }
}
