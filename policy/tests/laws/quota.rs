//! What a client key may use, beside books that are kept in the plainest way.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use polpo_policy::price::Nanodollars;
use polpo_policy::quota::{Admission, Breach, Demand, Limits, Money, Quota, Spent, Used};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::quick;

pub(crate) const MINUTE: i128 = 60_000_000_000;

/// What may happen to a key.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ask(Demand),
    Count,
    /// Asks for something whose money is held.
    Hold(Option<Nanodollars>),
    /// Ends one of these, of which this share was spent; it may be more than all.
    Release {
        which: prop::sample::Index,
        percent: i64,
    },
    /// Ends one of the requests under way, which has used this share of what was expected.
    Settle {
        which: prop::sample::Index,
        percent: i64,
    },
    Wait(TimeDelta),
    Change(Limits),
}

fn limits() -> impl Strategy<Value = Limits> {
    let maybe = |most: u64| prop::option::of(1..=most);
    (1..20_u32, maybe(2_000), maybe(5_000), maybe(20_000), maybe(5)).prop_map(
        |(requests_per_minute, tokens_per_minute, day, total, at_once)| Limits {
            requests_per_minute,
            tokens_per_minute,
            cost_per_day: day.map(|most| nano(most.cast_signed())),
            cost_total: total.map(|most| nano(most.cast_signed())),
            concurrency: at_once.map(|most| u32::try_from(most).expect("it is small")),
        },
    )
}

fn demand() -> impl Strategy<Value = Demand> {
    (0..3_000_u64, cost()).prop_map(|(tokens, cost)| Demand { tokens, cost })
}

fn cost() -> impl Strategy<Value = Option<Nanodollars>> {
    prop::option::weighted(0.9, (0..2_000_i64).prop_map(nano))
}

/// Mostly short waits, some to the next day, some back.
pub(crate) fn wait() -> impl Strategy<Value = TimeDelta> {
    prop_oneof![
        6 => (0..20_000_000_000_i64).prop_map(TimeDelta::nanoseconds),
        1 => (0..100_000_i64).prop_map(TimeDelta::seconds),
        1 => (-5_000..0_i64).prop_map(TimeDelta::milliseconds),
    ]
}

fn step(change: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => demand().prop_map(Step::Ask),
        1 => Just(Step::Count),
        2 => cost().prop_map(Step::Hold),
        1 => (any::<prop::sample::Index>(), 0..=300_i64)
            .prop_map(|(which, percent)| Step::Release { which, percent }),
        4 => (any::<prop::sample::Index>(), 0..=300_i64)
            .prop_map(|(which, percent)| Step::Settle { which, percent }),
        3 => wait().prop_map(Step::Wait),
        change => limits().prop_map(Step::Change),
    ]
}

const fn nano(amount: i64) -> Nanodollars {
    Nanodollars(amount)
}

/// Shortly before the first midnight of 1970.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(23)
}

/// A quota, and its books.
pub(crate) struct World {
    pub(crate) quota: Quota,
    limits: Limits,
    pub(crate) now: DateTime<Utc>,
    /// The latest time that the quota was told, as its time does not go back.
    pub(crate) latest: DateTime<Utc>,
    under_way: Vec<(Admission, Demand)>,
    held: Vec<Nanodollars>,
    settled: Vec<(NaiveDate, Nanodollars)>,
    /// What was spent beyond what was reserved for it.
    beyond: Nanodollars,
    /// When requests were let in.
    let_in: Vec<DateTime<Utc>>,
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        let now = start();
        Self {
            quota: Quota::new(Spent::default(), now),
            limits,
            now,
            latest: now,
            under_way: Vec::new(),
            held: Vec::new(),
            settled: Vec::new(),
            beyond: nano(0),
            let_in: Vec::new(),
        }
    }

    pub(crate) fn play(&mut self, step: Step) -> TestCaseResult {
        match step {
            Step::Ask(demand) => self.ask(demand)?,
            Step::Count => {
                self.look();
                if self.quota.count(self.now, &self.limits).is_ok() {
                    self.let_in.push(self.latest);
                }
            }
            Step::Settle { which, percent } if !self.under_way.is_empty() => {
                self.look();
                let at = which.index(self.under_way.len());
                let (admission, demand) = self.under_way.swap_remove(at);
                let cost = self.spend(demand.cost.unwrap_or_default(), percent);
                let used = Used { tokens: demand.tokens * 2, cost };
                self.quota.settle(self.now, admission, used);
            }
            Step::Hold(cost) => self.hold(cost)?,
            Step::Release { which, percent } if !self.held.is_empty() => {
                self.look();
                let held = self.held.swap_remove(which.index(self.held.len()));
                let cost = self.spend(held, percent);
                self.quota.release(self.now, held, cost);
            }
            Step::Settle { .. } | Step::Release { .. } => {}
            Step::Wait(time) => self.now += time,
            Step::Change(limits) => self.limits = limits,
        }
        self.check()
    }

    /// The quota is told the time.
    pub(crate) fn look(&mut self) {
        self.latest = self.latest.max(self.now);
    }

    /// Spends a share of what was reserved, and notes it.
    fn spend(&mut self, reserved: Nanodollars, percent: i64) -> Nanodollars {
        let cost = nano(reserved.0 * percent / 100);
        self.beyond += nano((cost.0 - reserved.0).max(0));
        self.settled.push((self.latest.date_naive(), cost));
        cost
    }

    fn ask(&mut self, demand: Demand) -> TestCaseResult {
        self.look();
        let before = self.quota.clone();
        let Ok(admission) = self.quota.admit(self.now, &self.limits, &demand) else {
            return self.took_nothing(before);
        };
        self.under_way.push((admission, demand));
        if let Some(most) = self.limits.concurrency {
            prop_assert!(self.under_way.len() <= most as usize, "too many at once");
        }
        self.is_let_in()
    }

    fn hold(&mut self, cost: Option<Nanodollars>) -> TestCaseResult {
        self.look();
        let before = self.quota.clone();
        let Ok(held) = self.quota.hold(self.now, &self.limits, cost) else {
            return self.took_nothing(before);
        };
        prop_assert_eq!(held, cost.unwrap_or_default());
        self.held.push(held);
        self.is_let_in()
    }

    fn is_let_in(&mut self) -> TestCaseResult {
        self.let_in.push(self.latest);
        let Money { spent_today, spent_total, reserved } = self.quota.money(self.now);
        if let Some(most) = self.limits.cost_per_day {
            prop_assert!(spent_today + reserved <= most, "the day's budget is overdrawn");
        }
        if let Some(most) = self.limits.cost_total {
            prop_assert!(spent_total + reserved <= most, "the budget is overdrawn");
        }
        Ok(())
    }

    fn took_nothing(&mut self, mut before: Quota) -> TestCaseResult {
        let left = before.allowance(self.now, &self.limits);
        prop_assert_eq!(self.quota.allowance(self.now, &self.limits), left);
        prop_assert_eq!(self.quota.money(self.now), before.money(self.now));
        Ok(())
    }

    /// What the quota says of its money is what the books say.
    fn check(&self) -> TestCaseResult {
        let today = self.latest.max(self.now).date_naive();
        let of_today = self.settled.iter().filter(|(day, _)| *day == today);
        let books = Money {
            spent_today: of_today.map(|(_, cost)| *cost).sum(),
            spent_total: self.settled.iter().map(|(_, cost)| *cost).sum(),
            reserved: self.reserved(),
        };
        let told = self.quota.money(self.now);
        prop_assert_eq!(told, books);
        prop_assert!(told.spent_today.min(told.spent_total).min(told.reserved) >= nano(0));
        Ok(())
    }

    fn reserved(&self) -> Nanodollars {
        let under_way = self.under_way.iter().map(|(_, it)| it.cost.unwrap_or_default());
        under_way.chain(self.held.iter().copied()).sum()
    }
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn the_books_agree_and_no_admission_overdraws_a_budget_whatever_the_limits_become(
        first in limits(),
        steps in prop::collection::vec(step(1), 1..120),
    ) {
        let mut world = World::new(first);
        for step in steps {
            world.play(step)?;
        }
    }

    #[test]
    fn a_budget_that_stays_is_only_exceeded_by_what_cost_more_than_was_reserved_for_it(
        limits in limits(),
        steps in prop::collection::vec(step(0), 1..120),
    ) {
        let mut world = World::new(limits);
        for step in steps {
            world.play(step)?;
            let Money { spent_today, spent_total, reserved } = world.quota.money(world.now);
            let holds = |limit: Option<_>, spent| {
                limit.is_none_or(|most| spent + reserved <= most + world.beyond)
            };
            prop_assert!(holds(limits.cost_per_day, spent_today));
            prop_assert!(holds(limits.cost_total, spent_total));
        }
    }

    #[test]
    fn a_quota_that_goes_on_where_another_has_ended_has_the_same_money_and_refuses_the_same(
        limits in limits(),
        steps in prop::collection::vec(step(0), 1..60),
        later in wait(),
        wanted in cost(),
    ) {
        let Limits { cost_per_day, cost_total, .. } = limits;
        let limits = Limits { cost_per_day, cost_total, ..plenty() };
        let mut world = World::new(limits);
        for step in steps {
            world.play(step)?;
        }
        let World { quota, latest, .. } = &mut world;
        let Money { spent_today: today, spent_total: total, reserved: held } = quota.money(*latest);
        let mut restored = Quota::new(Spent { today, total, held }, *latest);
        let now = *latest + later;
        prop_assert_eq!(restored.money(now), quota.money(now));
        prop_assert_eq!(restored.hold(now, &limits, wanted), quota.hold(now, &limits, wanted));
    }

    #[test]
    fn in_no_window_are_more_requests_let_in_than_it_and_a_minute_have_room_for(
        limits in limits(),
        steps in prop::collection::vec(step(1), 1..200),
    ) {
        let mut world = World::new(limits);
        let mut most = limits.requests_per_minute;
        for step in steps {
            if let Step::Change(limits) = &step {
                most = most.max(limits.requests_per_minute);
            }
            world.play(step)?;
        }
        for (first, from) in world.let_in.iter().enumerate() {
            for (last, to) in world.let_in.iter().enumerate().skip(first) {
                let window = i128::from((*to - *from).num_nanoseconds().expect("it is short"));
                let count = i128::try_from(last - first + 1).expect("it is small");
                prop_assert!(count * MINUTE <= i128::from(most) * (window + MINUTE));
            }
        }
    }

    #[test]
    fn whoever_comes_back_when_told_is_let_in_and_not_a_nanosecond_before(
        limits in limits(),
        asks in prop::collection::vec((demand(), 0..500_u64), 1..60),
    ) {
        let limits = Limits { cost_per_day: None, cost_total: None, concurrency: None, ..limits };
        let mut world = World::new(limits);
        for (demand, used) in asks {
            let mut asked = world.quota.admit(world.now, &limits, &demand);
            // Once for its request, and once for its tokens.
            for _ in 0..2 {
                let Err(breach) = &asked else { break };
                let Some(wait) = breach.retry_after(world.now) else { panic!("{breach}") };
                let wait = TimeDelta::from_std(wait).expect("it is short");
                let early = world.now + wait - TimeDelta::nanoseconds(1);
                let refused = world.quota.admit(early, &limits, &demand).expect_err("too early");
                prop_assert_eq!(refused.kind(), breach.kind());
                world.now += wait;
                asked = world.quota.admit(world.now, &limits, &demand);
            }
            let used = Used { tokens: used, ..Used::default() };
            world.quota.settle(world.now, asked.expect("it came back when told"), used);
        }
    }
}

/// More of everything than a test asks for.
pub(crate) fn plenty() -> Limits {
    Limits { requests_per_minute: u32::MAX, ..Limits::default() }
}

#[test]
fn the_largest_numbers_there_are_harm_nobody() {
    let most = nano(i64::MAX);
    let limits = Limits { tokens_per_minute: Some(u64::MAX), cost_total: Some(most), ..plenty() };
    let mut quota = Quota::new(Spent::default(), DateTime::<Utc>::MIN_UTC);
    let demand = Demand { tokens: u64::MAX, cost: Some(most) };
    let admission = quota.admit(DateTime::<Utc>::MAX_UTC, &limits, &demand).unwrap();
    let refused = quota.admit(DateTime::<Utc>::MAX_UTC, &limits, &demand);
    assert!(matches!(refused, Err(Breach::Total(_))), "{refused:?}");
    let used = Used { tokens: u64::MAX, cost: most };
    quota.settle(DateTime::<Utc>::MAX_UTC, admission, used);
    let money = quota.money(DateTime::<Utc>::MAX_UTC);
    assert_eq!((money.spent_total, money.reserved), (most, nano(0)));
}
