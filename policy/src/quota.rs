//! What one client key of the gateway may use: requests and tokens a minute, money a day and in
//! total, places at once. Money is reserved before a request is sent, and settled after it.

mod breach;
mod bucket;
#[cfg(test)]
mod tests;

use chrono::{Days, NaiveDate, NaiveTime};

pub use self::breach::{Breach, Shortfall};
use self::bucket::Bucket;
use crate::limits::Timestamp;
use crate::price::Nanodollars;

/// Requests a minute of a key for which nothing else is said: more than a person with a few
/// agents makes, and too few to use up the limits of a pool by mistake.
pub const REQUESTS_PER_MINUTE: u32 = 500;

/// The limits of one client key; `None` = no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute; zero counts as one.
    pub requests_per_minute: u32,
    /// Tokens a minute, in and out.
    pub tokens_per_minute: Option<u64>,
    /// Money from midnight to midnight, UTC.
    pub cost_per_day: Option<Nanodollars>,
    /// Money in all.
    pub cost_total: Option<Nanodollars>,
    /// Requests under way at once.
    pub concurrency: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: REQUESTS_PER_MINUTE,
            tokens_per_minute: None,
            cost_per_day: None,
            cost_total: None,
            concurrency: None,
        }
    }
}

/// What a request will use, as far as is known before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Its input, in tokens, by estimate.
    pub tokens: u64,
    /// The most it can cost; `None` = its model has no known price.
    pub cost: Option<Nanodollars>,
}

/// What a request has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens, in and out.
    pub tokens: u64,
    /// Money.
    pub cost: Nanodollars,
}

/// What a key had spent when its quota began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Since midnight, UTC.
    pub today: Nanodollars,
    /// Ever.
    pub total: Nanodollars,
    /// What it held then, to be released.
    pub held: Nanodollars,
}

/// The right to send one request. It keeps a place, and reserves money, until it is settled.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what it reserves is given back by Quota::settle only"]
pub struct Admission {
    tokens: u64,
    cost: Nanodollars,
}

/// How many requests a key may make, as the headers of an answer say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests a minute.
    pub limit: u32,
    /// How many could be made now.
    pub remaining: u32,
    /// Seconds until all of them could be, rounded up.
    pub reset_seconds: u64,
}

/// The money of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Settled since midnight, UTC.
    pub spent_today: Nanodollars,
    /// Settled ever.
    pub spent_total: Nanodollars,
    /// What the requests under way may still cost.
    pub reserved: Nanodollars,
}

/// How much of its limits a key has used. The limits may be others at every call.
#[derive(Clone, Debug)]
pub struct Quota {
    /// It never goes back.
    now: Timestamp,
    requests: Bucket,
    /// None while there is no limit.
    tokens: Option<Bucket>,
    under_way: u32,
    day: NaiveDate,
    today: Nanodollars,
    total: Nanodollars,
    reserved: Nanodollars,
}

impl Quota {
    /// The quota of a key that has spent so much by `now`, with a minute's worth of the rest.
    #[must_use]
    pub fn new(spent: Spent, now: Timestamp) -> Self {
        Self {
            now,
            requests: Bucket::full(now),
            tokens: None,
            under_way: 0,
            day: now.date_naive(),
            today: positive(spent.today),
            total: positive(spent.total),
            reserved: positive(spent.held),
        }
    }

    /// Lets a request in and takes what it needs: a request, the tokens it is estimated at, a
    /// place, and the most it can cost.
    ///
    /// # Errors
    /// When it does not fit in one of the limits. Then it has taken nothing.
    pub fn admit(
        &mut self,
        now: Timestamp,
        limits: &Limits,
        demand: &Demand,
    ) -> Result<Admission, Breach> {
        self.advance(now, limits);
        let cost = positive(demand.cost.unwrap_or_default());
        // Money first: who has none need not wait for the rest.
        self.pays(limits, demand.cost.map(|_| cost))?;
        self.has_request(limits)?;
        if let (Some(limit), Some(bucket)) = (limits.tokens_per_minute, &self.tokens)
            && !bucket.has(demand.tokens)
        {
            return Err(Breach::Tokens { limit, retry_after: bucket.until(demand.tokens) });
        }
        if let Some(limit) = limits.concurrency.filter(|limit| self.under_way >= *limit) {
            return Err(Breach::Concurrency { limit });
        }
        self.requests.take(1);
        let tokens = self.tokens.as_mut().map_or(0, |bucket| {
            bucket.take(demand.tokens);
            demand.tokens
        });
        self.under_way = self.under_way.saturating_add(1);
        self.reserved += cost;
        Ok(Admission { tokens, cost })
    }

    /// Lets in a request that costs nothing and ends at once, such as a list of models.
    ///
    /// # Errors
    /// When it is one too many in a minute.
    pub fn count(&mut self, now: Timestamp, limits: &Limits) -> Result<(), Breach> {
        self.advance(now, limits);
        self.has_request(limits)?;
        self.requests.take(1);
        Ok(())
    }

    /// Lets in a request that costs something after it has ended, such as a message batch, and holds
    /// the most that it can cost until that is released; tells how much it holds.
    ///
    /// # Errors
    /// When it does not fit in a budget, or is one too many in a minute. Then it has taken nothing.
    pub fn hold(
        &mut self,
        now: Timestamp,
        limits: &Limits,
        cost: Option<Nanodollars>,
    ) -> Result<Nanodollars, Breach> {
        self.advance(now, limits);
        let held = positive(cost.unwrap_or_default());
        self.pays(limits, cost.map(|_| held))?;
        self.has_request(limits)?;
        self.requests.take(1);
        self.reserved += held;
        Ok(held)
    }

    /// Ends what was held, of which `cost` was spent.
    pub fn release(&mut self, now: Timestamp, held: Nanodollars, cost: Nanodollars) {
        self.pass(now);
        self.spend(held, cost);
    }

    /// Ends a request: what it reserved is free again, what it used is counted, in the day in
    /// which it ends.
    #[expect(clippy::needless_pass_by_value, reason = "a request is settled once")]
    pub fn settle(&mut self, now: Timestamp, admission: Admission, used: Used) {
        self.pass(now);
        if let Some(bucket) = &mut self.tokens {
            bucket.correct(self.now, admission.tokens, used.tokens);
        }
        self.under_way = self.under_way.saturating_sub(1);
        self.spend(admission.cost, used.cost);
    }

    /// How many requests it may make.
    pub fn allowance(&mut self, now: Timestamp, limits: &Limits) -> Allowance {
        self.advance(now, limits);
        let wait = self.requests.until_full();
        Allowance {
            limit: limits.requests_per_minute,
            remaining: u32::try_from(self.requests.remaining()).unwrap_or(u32::MAX),
            reset_seconds: wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
        }
    }

    /// What it has spent and reserved.
    #[must_use]
    pub fn money(&self, now: Timestamp) -> Money {
        let is_today = now.date_naive() <= self.day;
        Money {
            spent_today: if is_today { self.today } else { Nanodollars::default() },
            spent_total: self.total,
            reserved: self.reserved,
        }
    }

    fn spend(&mut self, reserved: Nanodollars, cost: Nanodollars) {
        self.reserved = positive(Nanodollars(self.reserved.0.saturating_sub(reserved.0)));
        self.today += positive(cost);
        self.total += positive(cost);
    }

    fn pays(&self, limits: &Limits, wanted: Option<Nanodollars>) -> Result<(), Breach> {
        if limits.cost_per_day.is_none() && limits.cost_total.is_none() {
            return Ok(());
        }
        let wanted = wanted.ok_or(Breach::Unpriced)?;
        let find = |limit: Option<_>, spent| {
            limit.and_then(|limit| Shortfall::find(limit, spent, self.reserved, wanted))
        };
        if let Some(budget) = find(limits.cost_total, self.total) {
            return Err(Breach::Total(budget));
        }
        if let Some(budget) = find(limits.cost_per_day, self.today) {
            return Err(Breach::Day { budget, resets_at: self.midnight() });
        }
        Ok(())
    }

    fn has_request(&self, limits: &Limits) -> Result<(), Breach> {
        if self.requests.has(1) {
            return Ok(());
        }
        let limit = limits.requests_per_minute;
        Err(Breach::Requests { limit, retry_after: self.requests.until(1) })
    }

    /// Lets time pass, and takes over the limits.
    fn advance(&mut self, now: Timestamp, limits: &Limits) {
        self.pass(now);
        self.requests.refill(self.now, limits.requests_per_minute.into());
        self.tokens = limits.tokens_per_minute.map(|limit| {
            let mut bucket = self.tokens.take().unwrap_or(Bucket::full(self.now));
            bucket.refill(self.now, limit);
            bucket
        });
    }

    fn pass(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.now.date_naive() != self.day {
            self.day = self.now.date_naive();
            self.today = Nanodollars::default();
        }
    }

    /// When the day ends.
    fn midnight(&self) -> Timestamp {
        let next = self.day.checked_add_days(Days::new(1)).unwrap_or(self.day);
        next.and_time(NaiveTime::MIN).and_utc()
    }
}

fn positive(money: Nanodollars) -> Nanodollars {
    money.max(Nanodollars::default())
}
