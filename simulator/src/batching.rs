//! The requests of a batch: answered like any other, at half the price and outside the limits.

use http::Method;
use polpo_upstream::transport::Call;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::task::yield_now;

use crate::allotment::Allotment;
use crate::answer::answer;
use crate::batches::{Due, Reply, Submission};
use crate::books::{Ledger, Outcome, Tokens};
use crate::cache::Caches;
use crate::clock::SimTime;
use crate::core::{Core, State};
use crate::draw::Draws;
use crate::faults::{Fault, Target};
use crate::limiter::Caller;
use crate::message::{Heading, message_id, whole};
use crate::price::price;
use crate::problem::{Kind, Problem};
use crate::prompt::Prompt;
use crate::request::{Ask, Rules};
use crate::scenario::Endpoint;
use crate::search;
use crate::signature;

impl Core {
    /// Answers a request about batches.
    pub(crate) fn batches(&self, call: &Call, caller: Caller) -> Result<Reply, Problem> {
        let rules = Rules::of(&call.headers)?;
        let path = call.path.split_once('?').map_or(call.path.as_str(), |(path, _)| path);
        if call.method != Method::POST || path != "/v1/messages/batches" {
            return self.state().batches.serve(call, caller.workspace, self.clock.now());
        }
        let submission = Submission::read(self.scenario.seed, caller, rules, &call.body)?;
        let mut guard = self.state();
        let state = &mut *guard;
        let now = self.clock.now();
        let refused = |problem| (Outcome::Refused, problem);
        let admitted = self.admit_batch(state, caller, now);
        let created =
            admitted.and_then(|()| state.batches.create(submission, now).map_err(refused));
        created.map_err(|(outcome, problem)| {
            state.ledger.record(caller.account, outcome);
            problem
        })
    }

    /// Whether a batch may be created: what it costs is charged when its requests run, and none
    /// of them is refused for it then.
    fn admit_batch(
        &self,
        state: &mut State,
        caller: Caller,
        now: SimTime,
    ) -> Result<(), (Outcome, Problem)> {
        self.check_money(state, caller)?;
        let draws = state.numbered(self.scenario.seed);
        let target = Target { endpoint: Endpoint::Batches, model: None, draws };
        if let Some(Fault::Answer(problem)) = self.fault(state, caller, target) {
            return Err((Outcome::Faulted, problem));
        }
        match state.allotments.get(caller.account) {
            Some(Allotment::Subscription(windows)) => {
                windows.check(now, &self.clock).map_err(|mut problem| {
                    problem.headers.extend(windows.headers(now, &self.clock));
                    (Outcome::Refused, problem)
                })
            }
            Some(Allotment::Api | Allotment::Poe(_)) | None => Ok(()),
        }
    }

    /// Answers what has come due in batches by now, before anything else is decided. Nothing else
    /// answers it: time passes when somebody looks. Whoever else is served meanwhile, is.
    pub(crate) async fn catch_up(&self) {
        let now = self.clock.now();
        while self.advance_batches(now) {
            yield_now().await;
        }
    }

    /// The same for those who cannot wait.
    pub(crate) fn catch_up_at_once(&self) {
        let now = self.clock.now();
        while self.advance_batches(now) {}
    }

    /// Answers some of what has come due; whether there may be more.
    fn advance_batches(&self, now: SimTime) -> bool {
        let mut state = self.state();
        let State { batches, caches, ledger, allotments, .. } = &mut *state;
        let mut turn = Turn { core: self, ledger, caches, allotments };
        batches.advance(now, |due| turn.answer(due))
    }
}

/// What requests of batches are answered with, while the state is locked.
struct Turn<'a> {
    core: &'a Core,
    ledger: &'a mut Ledger,
    caches: &'a mut Caches,
    allotments: &'a mut [Allotment],
}

impl Turn<'_> {
    fn answer(&mut self, due: Due) -> Result<Box<RawValue>, Problem> {
        let Due { at, caller, rules, params } = due;
        let read = self.read(caller, rules, params);
        let ask = read.inspect_err(|_| self.ledger.record(caller.account, Outcome::Invalid))?;
        let scenario = &self.core.scenario;
        let seen = self.ledger.seen(&ask.first, &ask.model.id);
        let draws = Draws::new(scenario.seed, &ask.first, &ask.model.id, ask.nth(&seen));
        let said = answer(scenario, &ask, draws, self.core.organization_id(caller));
        let input = self.input(at, caller.workspace, &ask.prompt);
        let id = message_id(draws);
        let heading = Heading { ask: &ask, id: &id, input, tier: "batch", diagnosis: None };
        let message = whole(heading, &said);
        let read = input.input + said.found_tokens;
        let tokens = Tokens { input: read, output: said.output_tokens, ..input };
        let cost = price(ask.model, &tokens, ask.terms) + search::price(said.searches);
        self.ledger.record(caller.account, Outcome::Served);
        self.ledger.record_message(&ask.first, &ask.model.id, Outcome::Served);
        self.ledger.settle(caller.account, &tokens, cost);
        if let Some(Allotment::Subscription(windows)) = self.allotments.get_mut(caller.account) {
            windows.charge(at, input.input + input.cache_write() + tokens.output);
        }
        serde_json::from_slice(&message)
            .map_err(|_| Problem::new(Kind::Internal, "Internal server error"))
    }

    fn read(&self, caller: Caller, rules: Rules, params: Value) -> Result<Ask, Problem> {
        let mut ask = Ask::batched(rules, params)?;
        let organization = self.core.organization_id(caller);
        signature::check(self.core.scenario.seed, organization, &ask.signed)?;
        ask.terms.batch = true;
        Ok(ask)
    }

    /// How the input divides: what one request writes to the cache, the next one reads.
    fn input(&mut self, at: SimTime, workspace: usize, prompt: &Prompt) -> Tokens {
        let input = self.caches.split(at, workspace, prompt);
        self.caches.refresh(at, workspace, prompt);
        self.caches.store(at, workspace, prompt, &input);
        input
    }
}
