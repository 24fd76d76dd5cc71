//! The aims: 98 % of the allowed throughput, and less than 0.5 % of the calls refused.

use crate::server::Limits;
use crate::world::{Figures, Scenario, World};

/// A limit that never binds.
pub(crate) const ROOMY: u64 = 1_000_000_000;

pub(crate) const OPEN: Limits = Limits {
    requests: ROOMY,
    input: ROOMY,
    output: ROOMY,
    burst: 60.0,
    is_burst_told: true,
    has_headers: true,
    growth: None,
};

const REQUESTS: usize = 0;
const INPUT: usize = 1;
const OUTPUT: usize = 2;

pub(crate) fn scenario(limits: Limits, accounts: usize, minutes: f64) -> Scenario {
    Scenario { limits, accounts, minutes, others: 0.0, cut: None }
}

/// Checks the share of a limit that was used, and of the calls that were refused.
fn holds(scenario: Scenario, bound: usize, used_percent: f64, refused_percent: f64) -> Figures {
    let figures = World::run(scenario);
    let Limits { requests, input, output, .. } = scenario.limits;
    let used = figures.all[bound] * 100.0 / [requests, input, output][bound] as f64;
    assert!(used >= used_percent, "{used} % used by {} accounts", scenario.accounts);
    let refused = figures.refused_percent();
    assert!(refused < refused_percent, "{refused} % refused of {} accounts", scenario.accounts);
    figures
}

#[test]
fn a_limit_of_requests_is_used_up_and_not_run_into() {
    let limits = Limits { requests: 60, ..OPEN };
    holds(scenario(limits, 1, 30.0), REQUESTS, 98.0, 0.5);
    holds(scenario(limits, 10, 5.0), REQUESTS, 98.0, 0.5);
}

#[test]
fn a_limit_of_input_tokens_is_used_up_and_not_run_into() {
    let limits = Limits { input: 400_000, ..OPEN };
    holds(scenario(limits, 1, 30.0), INPUT, 98.0, 0.5);
    holds(scenario(limits, 10, 5.0), INPUT, 98.0, 0.5);
}

#[test]
fn a_limit_of_output_tokens_is_used_up_and_not_run_into() {
    let limits = Limits { output: 80_000, ..OPEN };
    holds(scenario(limits, 1, 30.0), OUTPUT, 98.0, 0.5);
    holds(scenario(limits, 10, 5.0), OUTPUT, 98.0, 0.5);
}

#[test]
fn the_requests_of_a_hundred_accounts_are_used_up() {
    let limits = Limits { requests: 20, ..OPEN };
    holds(scenario(limits, 100, 3.0), REQUESTS, 98.0, 0.5);
}

#[test]
fn the_input_tokens_of_a_hundred_accounts_are_used_up() {
    let limits = Limits { input: 200_000, ..OPEN };
    holds(scenario(limits, 100, 2.0), INPUT, 98.0, 0.5);
}

#[test]
fn the_output_tokens_of_a_hundred_accounts_are_used_up() {
    let limits = Limits { output: 20_000, ..OPEN };
    holds(scenario(limits, 100, 3.0), OUTPUT, 98.0, 0.5);
}

#[test]
fn limits_of_a_first_tier_are_used_up_and_not_run_into() {
    let limits = Limits { requests: 1000, input: 2_000_000, output: 400_000, ..OPEN };
    holds(scenario(limits, 2, 10.0), INPUT, 98.0, 0.5);
}

#[test]
fn what_others_leave_is_used() {
    let limits = Limits { input: 400_000, ..OPEN };
    let shared = Scenario { others: 20.0, ..scenario(limits, 5, 10.0) };
    let figures = holds(shared, INPUT, 98.0, 0.5);
    assert!(figures.ours[INPUT] < 320_000.0, "they do take their part: {figures:?}");
}

#[test]
fn a_cut_of_the_limit_is_followed() {
    let limits = Limits { input: 400_000, ..OPEN };
    let cut = Scenario { cut: Some(1.5), ..scenario(limits, 5, 10.0) };
    holds(cut, INPUT, 49.0, 0.5);
}

#[test]
fn requests_that_may_not_come_at_once_are_spread_although_headers_tell_of_a_minute() {
    let limits = Limits { requests: 600, burst: 1.0, is_burst_told: false, ..OPEN };
    holds(scenario(limits, 2, 10.0), REQUESTS, 98.0, 0.5);
}

#[test]
fn without_headers_most_of_a_limit_is_used_and_a_refusal_in_a_hundred_is_enough() {
    let limits = Limits { requests: 300, has_headers: false, ..OPEN };
    holds(scenario(limits, 2, 10.0), REQUESTS, 95.0, 1.0);
}

#[test]
fn use_that_may_only_double_grows_without_running_into_walls() {
    let growth = Some((100_000.0, 2.0));
    let limits = Limits { input: 2_000_000, growth, ..OPEN };
    holds(scenario(limits, 2, 15.0), INPUT, 70.0, 0.5);
}
