//! An answer being generated: charged as it grows, billed when it ends, however it ends.

use std::sync::Arc;

use crate::admission::Served;
use crate::books::Tokens;
use crate::catalogue::Model;
use crate::clock::SimTime;
use crate::core::Core;
use crate::limiter::{Caller, Use};
use crate::message::Made;
use crate::price::{Terms, price};
use crate::prompt::Prompt;
use crate::request::Ask;
use crate::search;

/// A running generation. Dropping it bills the input and the output until then: a client that
/// hangs up takes this exit as does an answer that came to its end.
#[derive(Debug)]
pub(crate) struct Generation {
    core: Arc<Core>,
    caller: Caller,
    model: &'static Model,
    terms: Terms,
    tokens: Tokens,
    /// What it costs beside the tokens, in nanodollars.
    extra: i64,
    age: u64,
    arrived: SimTime,
    /// What it writes to the cache once it begins.
    prompt: Option<Prompt>,
}

impl Generation {
    pub(crate) fn new(core: Arc<Core>, caller: Caller, ask: &Ask, served: &Served) -> Self {
        let prompt = (!ask.prompt.is_plain()).then(|| ask.prompt.clone());
        Self {
            core,
            caller,
            model: ask.model,
            terms: ask.terms,
            tokens: served.input,
            extra: 0,
            age: served.age,
            arrived: served.at,
            prompt,
        }
    }

    /// The first token is there: what the prompt writes to the cache can be read from now on.
    pub(crate) fn begin(&mut self) {
        let Some(prompt) = self.prompt.take() else { return };
        self.core.catch_up_at_once();
        let mut state = self.core.state();
        if state.age == self.age {
            state.caches.store(self.arrived, self.caller.workspace, &prompt, &self.tokens);
        }
    }

    /// Charges what is made: output to the limits now, all of it to the bill at the end.
    pub(crate) fn produce(&mut self, made: Made) {
        self.tokens.input += made.found;
        self.extra += search::price(made.searches);
        if made.output > 0 {
            self.tokens.output += made.output;
            let (at, tokens) = (self.core.clock.now(), made.output);
            let output = Use { caller: self.caller, model: self.model, at, tokens };
            self.core.produced(output, self.age);
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        let nanodollars = price(self.model, &self.tokens, self.terms) + self.extra;
        let mut state = self.core.state();
        if state.age == self.age {
            state.ledger.settle(self.caller.account, &self.tokens, nanodollars);
            if let Some(allotment) = state.allotments.get_mut(self.caller.account) {
                allotment.spend(nanodollars);
            }
        }
    }
}
