//! What was served, to whom, and what it costs.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::draw::{Digest, hex};

/// Tokens by the classes that have a price of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache for an hour.
    #[serde(rename = "cacheWrite1h")]
    pub cache_write_1h: u64,
    /// Written to the prompt cache for five minutes.
    #[serde(rename = "cacheWrite5m")]
    pub cache_write_5m: u64,
    /// Input that the cache had no part in.
    pub input: u64,
    /// Output.
    pub output: u64,
}

impl Tokens {
    /// Written to the prompt cache for however long.
    pub(crate) const fn cache_write(&self) -> u64 {
        self.cache_write_5m + self.cache_write_1h
    }

    fn add(&mut self, more: &Self) {
        self.cache_read += more.cache_read;
        self.cache_write_1h += more.cache_write_1h;
        self.cache_write_5m += more.cache_write_5m;
        self.input += more.input;
        self.output += more.output;
    }
}

/// What one account did. Fields are in alphabetical order, as in the JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountBook {
    /// Token counts that were answered.
    pub counted: u64,
    /// Requests answered with an injected error.
    pub faulted: u64,
    /// Requests answered with 400 or 404: nothing was generated.
    pub invalid: u64,
    /// What the ended generations cost, in billionths of a US dollar.
    pub nanodollars: i64,
    /// Requests answered with 429.
    pub refused: u64,
    /// Requests that came with a key of this account; the sum of the six outcomes.
    pub requests: u64,
    /// Requests for which generation started; those in flight are not yet in the tokens.
    pub served: u64,
    /// Tokens of the ended generations.
    pub tokens: Tokens,
    /// Requests refused for want of money.
    pub unpaid: u64,
}

/// What became of the requests whose first user message is one and the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageBook {
    /// Answered with an injected fault.
    pub faulted: u32,
    /// Answered with 429.
    pub refused: u32,
    /// Generation started.
    pub served: u32,
}

/// A snapshot of everything that was counted since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Books {
    /// By account name.
    pub accounts: BTreeMap<String, AccountBook>,
    /// Generations that have not ended: their tokens are not in the books yet.
    pub in_flight: u64,
    /// By the SHA-256 (hexadecimal) of the first user message's text.
    pub messages: BTreeMap<String, MessageBook>,
    /// The sum over the accounts.
    pub total: AccountBook,
    /// Requests with no credential, or one that no account has.
    pub unauthenticated: u64,
}

/// What became of a request, as the books have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Served,
    /// Served, and something happened to the answer on its way.
    Spoiled,
    Refused,
    Faulted,
    Unpaid,
    Invalid,
    Counted,
}

/// The books as they are kept: cheap to write, compact for millions of messages.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    accounts: Vec<AccountBook>,
    in_flight: u64,
    /// By first message and model: also how many draws were made for the pair.
    messages: HashMap<(Digest, &'static str), MessageBook>,
    /// Whether messages are remembered after they were served.
    pub(crate) keeps_messages: bool,
    unauthenticated: u64,
}

impl Ledger {
    pub(crate) fn new(accounts: usize, keeps_messages: bool) -> Self {
        Self {
            keeps_messages,
            accounts: vec![AccountBook::default(); accounts],
            in_flight: 0,
            messages: HashMap::new(),
            unauthenticated: 0,
        }
    }

    /// What became of the requests for a (first message, model) so far.
    pub(crate) fn seen(&self, first: &Digest, model: &'static str) -> MessageBook {
        self.messages.get(&(*first, model)).copied().unwrap_or_default()
    }

    /// Records what became of a request of an account.
    pub(crate) fn record(&mut self, account: usize, outcome: Outcome) {
        let mut unknown = AccountBook::default();
        let account = self.accounts.get_mut(account).unwrap_or(&mut unknown);
        account.requests += 1;
        match outcome {
            Outcome::Served | Outcome::Spoiled => {
                account.served += 1;
                self.in_flight += 1;
            }
            Outcome::Refused => account.refused += 1,
            Outcome::Faulted => account.faulted += 1,
            Outcome::Unpaid => account.unpaid += 1,
            Outcome::Invalid => account.invalid += 1,
            Outcome::Counted => account.counted += 1,
        }
    }

    /// Records what became of a request for a message.
    pub(crate) fn record_message(&mut self, first: &Digest, model: &'static str, outcome: Outcome) {
        let key = (*first, model);
        match outcome {
            // Faults must be remembered until then, or the same draw would fault for ever.
            Outcome::Served if !self.keeps_messages => drop(self.messages.remove(&key)),
            Outcome::Refused if !self.keeps_messages => {}
            // As must spoiled answers, or every retry would be spoiled alike.
            Outcome::Served | Outcome::Spoiled => {
                self.messages.entry(key).or_default().served += 1;
            }
            Outcome::Refused => self.messages.entry(key).or_default().refused += 1,
            Outcome::Faulted => self.messages.entry(key).or_default().faulted += 1,
            Outcome::Unpaid | Outcome::Invalid | Outcome::Counted => {}
        }
    }

    /// What the ended generations of an account cost.
    pub(crate) fn spent(&self, account: usize) -> i64 {
        self.accounts.get(account).map_or(0, |account| account.nanodollars)
    }

    pub(crate) fn record_unauthenticated(&mut self) {
        self.unauthenticated += 1;
    }

    /// Ends a generation.
    pub(crate) fn settle(&mut self, account: usize, tokens: &Tokens, nanodollars: i64) {
        self.in_flight -= 1;
        if let Some(account) = self.accounts.get_mut(account) {
            account.tokens.add(tokens);
            account.nanodollars += nanodollars;
        }
    }

    /// A snapshot, with the accounts' names in their order.
    pub(crate) fn snapshot<'a>(&self, names: impl Iterator<Item = &'a str>) -> Books {
        let mut total = AccountBook::default();
        for account in &self.accounts {
            total.counted += account.counted;
            total.faulted += account.faulted;
            total.invalid += account.invalid;
            total.nanodollars += account.nanodollars;
            total.refused += account.refused;
            total.requests += account.requests;
            total.served += account.served;
            total.tokens.add(&account.tokens);
            total.unpaid += account.unpaid;
        }
        let mut messages = BTreeMap::<String, MessageBook>::new();
        for ((first, _), book) in &self.messages {
            let sum = messages.entry(hex(first)).or_default();
            sum.faulted += book.faulted;
            sum.refused += book.refused;
            sum.served += book.served;
        }
        Books {
            accounts: names.map(str::to_owned).zip(self.accounts.iter().cloned()).collect(),
            in_flight: self.in_flight,
            messages,
            total,
            unauthenticated: self.unauthenticated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgetful_ledger_keeps_what_went_wrong_until_the_message_is_served() {
        let mut ledger = Ledger::new(1, false);
        let first = [7; 32];
        let record = |ledger: &mut Ledger, outcome| {
            ledger.record(0, outcome);
            ledger.record_message(&first, "m", outcome);
        };
        record(&mut ledger, Outcome::Faulted);
        record(&mut ledger, Outcome::Refused);
        assert_eq!(ledger.seen(&first, "m").faulted, 1);
        record(&mut ledger, Outcome::Spoiled);
        assert_eq!(ledger.seen(&first, "m").served, 1);
        record(&mut ledger, Outcome::Served);
        assert_eq!(ledger.messages.len(), 0);
        let book = &ledger.snapshot(["a"].into_iter()).total;
        assert_eq!((book.faulted, book.refused, book.served), (1, 1, 2));
    }
}
