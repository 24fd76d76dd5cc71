//! Limits by example; the laws are among those of the crate.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;

fn at(seconds: f64) -> Timestamp {
    let noon: Timestamp = "2026-01-14T12:00:00Z".parse().unwrap();
    noon + TimeDelta::from_std(Duration::from_secs_f64(seconds)).unwrap()
}

/// The end of that day.
const MIDNIGHT: f64 = 12.0 * 3600.0;

const fn cents(amount: i64) -> Nanodollars {
    Nanodollars(amount * 10_000_000)
}

const FREE: Demand = Demand { tokens: 0, cost: Some(Nanodollars(0)) };

fn costing(amount: i64) -> Demand {
    Demand { cost: Some(cents(amount)), ..FREE }
}

fn used(amount: i64) -> Used {
    Used { tokens: 0, cost: cents(amount) }
}

fn fresh() -> Quota {
    Quota::new(Spent::default(), at(0.0))
}

/// How many requests are let in at once.
fn let_in(quota: &mut Quota, now: Timestamp, limits: &Limits) -> usize {
    (0..10_000).take_while(|_| quota.count(now, limits).is_ok()).count()
}

#[test]
fn a_key_may_make_a_minutes_worth_of_requests_at_once_and_then_as_many_as_come_back() {
    let (mut quota, limits) = (fresh(), Limits::default());
    assert_eq!(let_in(&mut quota, at(0.0), &limits), 500);
    let told = Allowance { limit: 500, remaining: 0, reset_seconds: 60 };
    assert_eq!(quota.allowance(at(0.0), &limits), told);
    let breach = quota.count(at(0.0), &limits).unwrap_err();
    assert_eq!(breach.retry_after(at(0.0)), Some(Duration::from_millis(120)));
    assert_eq!(let_in(&mut quota, at(6.0), &limits), 50);
    assert_eq!(let_in(&mut quota, at(3600.0), &limits), 500);
}

#[test]
fn a_request_that_costs_nothing_takes_neither_a_place_nor_tokens() {
    let limits = Limits { concurrency: Some(1), tokens_per_minute: Some(10), ..Limits::default() };
    let mut quota = fresh();
    quota.count(at(0.0), &limits).unwrap();
    let _place = quota.admit(at(0.0), &limits, &Demand { tokens: 10, cost: None }).unwrap();
    quota.count(at(0.0), &limits).unwrap();
    assert_eq!(quota.allowance(at(0.0), &limits).remaining, 497);
}

#[test]
fn a_place_is_free_again_when_its_request_has_ended() {
    let limits = Limits { concurrency: Some(2), ..Limits::default() };
    let mut quota = fresh();
    let first = quota.admit(at(0.0), &limits, &FREE).unwrap();
    let _second = quota.admit(at(0.0), &limits, &FREE).unwrap();
    assert_eq!(quota.admit(at(0.0), &limits, &FREE), Err(Breach::Concurrency { limit: 2 }));
    quota.settle(at(1.0), first, Used::default());
    assert!(quota.admit(at(1.0), &limits, &FREE).is_ok());
}

#[test]
fn an_estimate_of_tokens_is_corrected_by_what_was_used() {
    let limits = Limits { tokens_per_minute: Some(600), ..Limits::default() };
    let of = |tokens| Demand { tokens, cost: None };
    let mut quota = fresh();
    let admission = quota.admit(at(0.0), &limits, &of(400)).unwrap();
    let wait = |quota: &mut Quota, now, tokens| {
        let breach = quota.admit(now, &limits, &of(tokens)).unwrap_err();
        assert!(matches!(breach, Breach::Tokens { limit: 600, .. }), "{breach:?}");
        breach.retry_after(now)
    };
    assert_eq!(wait(&mut quota, at(0.0), 300), Some(Duration::from_secs(10)));
    // 1,000 of 600, of which 10 come back each second.
    quota.settle(at(0.0), admission, Used { tokens: 1_000, ..Used::default() });
    assert_eq!(wait(&mut quota, at(0.0), 10), Some(Duration::from_secs(41)));
    let admission = quota.admit(at(41.0), &limits, &of(10)).unwrap();
    // Less than was thought comes back, but never more than there is room for.
    quota.settle(at(200.0), admission, Used::default());
    let all = quota.admit(at(200.0), &limits, &of(600)).unwrap();
    assert_eq!(wait(&mut quota, at(200.0), 1), Some(Duration::from_nanos(100_000_000)));
    quota.settle(at(200.0), all, Used { tokens: 590, ..Used::default() });
    assert!(quota.admit(at(200.0), &limits, &of(10)).is_ok());
}

#[test]
fn a_request_above_a_minutes_worth_of_tokens_needs_all_of_it_and_leaves_a_debt() {
    let limits = Limits { tokens_per_minute: Some(60), ..Limits::default() };
    let of = |tokens| Demand { tokens, cost: None };
    let mut quota = fresh();
    let _large = quota.admit(at(0.0), &limits, &of(180)).unwrap();
    let breach = quota.admit(at(0.0), &limits, &of(1_000)).unwrap_err();
    assert_eq!(breach.retry_after(at(0.0)), Some(Duration::from_secs(180)));
    assert!(quota.admit(at(180.0), &limits, &of(1_000)).is_ok());
}

#[test]
fn a_budget_for_a_day_is_renewed_at_midnight_and_what_is_under_way_counts_when_it_ends() {
    let limits = Limits { cost_per_day: Some(cents(100)), ..Limits::default() };
    let mut quota =
        Quota::new(Spent { today: cents(70), total: cents(500), held: cents(0) }, at(0.0));
    let evening = quota.admit(at(1.0), &limits, &costing(30)).unwrap();
    assert!(quota.admit(at(MIDNIGHT - 0.001), &limits, &costing(1)).is_err());
    let money = |today, total, reserved| Money {
        spent_today: cents(today),
        spent_total: cents(total),
        reserved: cents(reserved),
    };
    assert_eq!(quota.money(at(MIDNIGHT - 0.001)), money(70, 500, 30));
    assert_eq!(quota.money(at(MIDNIGHT)), money(0, 500, 30));
    assert!(quota.admit(at(MIDNIGHT), &limits, &costing(71)).is_err());
    let morning = quota.admit(at(MIDNIGHT), &limits, &costing(70)).unwrap();
    quota.settle(at(MIDNIGHT + 1.0), evening, used(20));
    quota.settle(at(MIDNIGHT + 2.0), morning, used(70));
    assert_eq!(quota.money(at(MIDNIGHT + 2.0)), money(90, 590, 0));
}

#[test]
fn a_request_that_costs_more_than_it_reserved_is_counted_in_full_and_nothing_is_let_in_after_it() {
    let limits = Limits { cost_total: Some(cents(100)), ..Limits::default() };
    let mut quota = fresh();
    let [first, second] =
        [60, 40].map(|cost| quota.admit(at(0.0), &limits, &costing(cost)).unwrap());
    quota.settle(at(1.0), first, used(90)); // Two calls of it were lost.
    let over = Money { spent_today: cents(90), spent_total: cents(90), reserved: cents(40) };
    assert_eq!(quota.money(at(1.0)), over);
    assert_eq!(quota.admit(at(1.0), &limits, &costing(0)).unwrap_err().kind(), "total");
    quota.settle(at(2.0), second, used(5));
    assert!(quota.admit(at(2.0), &limits, &costing(5)).is_ok(), "what is given back is there");
}

#[test]
fn one_huge_answer_is_paid_off_at_the_usual_rate_and_who_waits_is_told_until_when() {
    let limits = Limits { tokens_per_minute: Some(1_000), ..Limits::default() };
    let of = |tokens| Demand { tokens, cost: None };
    let mut quota = fresh();
    let huge = quota.admit(at(0.0), &limits, &of(100)).unwrap();
    quota.settle(at(0.0), huge, Used { tokens: 128_000, ..Used::default() });
    let breach = quota.admit(at(0.0), &limits, &of(0)).unwrap_err();
    let paid = 127.0 * 60.0;
    assert_eq!(breach.retry_after(at(0.0)), Some(Duration::from_secs_f64(paid)));
    assert!(quota.admit(at(paid), &limits, &of(0)).is_ok());
}

#[test]
fn what_is_held_takes_a_request_and_money_but_no_place_until_it_is_released() {
    let limits = Limits {
        requests_per_minute: 3,
        cost_total: Some(cents(100)),
        concurrency: Some(1),
        ..Limits::default()
    };
    let mut quota = Quota::new(Spent { held: cents(30), ..Spent::default() }, at(0.0));
    assert_eq!(quota.hold(at(0.0), &limits, None), Err(Breach::Unpriced));
    assert_eq!(quota.hold(at(0.0), &limits, Some(cents(71))).unwrap_err().kind(), "total");
    assert_eq!(quota.hold(at(0.0), &limits, Some(cents(60))), Ok(cents(60)));
    let admission = quota.admit(at(0.0), &limits, &costing(10)).unwrap();
    quota.settle(at(0.0), admission, used(10));
    quota.release(at(0.0), cents(30), cents(5));
    assert_eq!(quota.hold(at(0.0), &limits, Some(cents(25))), Ok(cents(25)));
    assert_eq!(quota.hold(at(0.0), &limits, Some(cents(0))).unwrap_err().kind(), "requests");
    let money = Money { spent_today: cents(15), spent_total: cents(15), reserved: cents(85) };
    assert_eq!(quota.money(at(0.0)), money);
}

#[test]
fn a_model_without_a_price_cannot_be_paid_out_of_a_budget() {
    let unpriced = Demand { cost: None, ..FREE };
    for limits in [
        Limits { cost_per_day: Some(cents(1)), ..Limits::default() },
        Limits { cost_total: Some(cents(1)), ..Limits::default() },
    ] {
        assert_eq!(fresh().admit(at(0.0), &limits, &unpriced), Err(Breach::Unpriced));
    }
    let mut quota = fresh();
    let admission = quota.admit(at(0.0), &Limits::default(), &unpriced).unwrap();
    quota.settle(at(0.0), admission, used(7));
    assert_eq!(quota.money(at(0.0)).spent_total, cents(7), "whatever it may turn out to cost");
}

#[test]
fn money_that_is_gone_is_told_before_limits_that_come_back() {
    let limits = Limits { requests_per_minute: 1, cost_total: Some(cents(5)), ..Limits::default() };
    let mut quota = fresh();
    let admission = quota.admit(at(0.0), &limits, &costing(5)).unwrap();
    quota.settle(at(0.0), admission, used(5));
    assert_eq!(quota.admit(at(0.0), &limits, &costing(1)).unwrap_err().kind(), "total");
    assert_eq!(quota.admit(at(0.0), &limits, &FREE).unwrap_err().kind(), "requests");
}

#[test]
fn limits_may_be_lowered_and_raised_at_any_time() {
    let of = |requests_per_minute| Limits { requests_per_minute, ..Limits::default() };
    let mut quota = fresh();
    assert_eq!(let_in(&mut quota, at(0.0), &of(5)), 5);
    // What is used up stays so, and comes back as fast as is allowed now.
    assert_eq!(let_in(&mut quota, at(0.0), &of(600)), 0);
    assert_eq!(let_in(&mut quota, at(1.0), &of(600)), 10);
    assert_eq!(let_in(&mut quota, at(2.0), &of(1_200)), 20);
    quota.allowance(at(120.0), &of(600));
    assert_eq!(let_in(&mut quota, at(120.0), &of(2)), 2);

    let mut quota = fresh();
    let tokens = |limit| Limits { tokens_per_minute: limit, ..Limits::default() };
    let demand = Demand { tokens: 10, cost: None };
    let unlimited = quota.admit(at(120.0), &tokens(None), &demand).unwrap();
    let _limited = quota.admit(at(120.0), &tokens(Some(10)), &demand).unwrap();
    quota.settle(at(120.0), unlimited, Used { tokens: 10, ..Used::default() });
    let breach = quota.admit(at(120.0), &tokens(Some(10)), &demand).unwrap_err();
    assert_eq!(breach.retry_after(at(120.0)), Some(Duration::from_secs(120)), "it was used now");
}

#[test]
fn time_that_goes_back_brings_nothing_and_starts_no_other_day() {
    let limits = Limits { requests_per_minute: 1, ..Limits::default() };
    let mut quota = fresh();
    quota.count(at(MIDNIGHT), &limits).unwrap();
    for now in [0.0, 59.0, MIDNIGHT, MIDNIGHT + 59.999] {
        assert!(quota.count(at(now), &limits).is_err(), "{now}");
    }
    let admission = quota.admit(at(MIDNIGHT + 60.0), &limits, &costing(3)).unwrap();
    quota.settle(at(0.0), admission, used(3));
    assert_eq!(quota.money(at(MIDNIGHT + 60.0)).spent_today, cents(3));
}
