//! The figures for people: `cargo test -p polpo-policy --test pace -- --ignored --nocapture`.

use crate::server::Limits;
use crate::throughput::{OPEN, ROOMY, scenario};
use crate::world::{Scenario, World};

const MINUTES: f64 = 30.0;

const TIERS: [(&str, Limits); 9] = [
    ("requests 60", Limits { requests: 60, ..OPEN }),
    ("requests 1,000", Limits { requests: 1000, ..OPEN }),
    ("input 100k", Limits { input: 100_000, ..OPEN }),
    ("input 400k", Limits { input: 400_000, ..OPEN }),
    ("input 2M", Limits { input: 2_000_000, ..OPEN }),
    ("output 8k", Limits { output: 8_000, ..OPEN }),
    ("output 80k", Limits { output: 80_000, ..OPEN }),
    ("output 400k", Limits { output: 400_000, ..OPEN }),
    ("60/400k/60k", Limits { requests: 60, input: 400_000, output: 60_000, ..OPEN }),
];

#[expect(clippy::print_stdout, reason = "it is a table")]
fn row(name: &str, scenario: Scenario) {
    let figures = World::run(scenario);
    let Limits { requests, input, output, .. } = scenario.limits;
    let bound = [requests, input, output].into_iter().zip(figures.all).zip(figures.ours);
    let used: Vec<_> = bound
        .filter(|((limit, _), _)| *limit != ROOMY)
        .map(|((limit, all), ours)| {
            let percent = |used| used * 100.0 / limit as f64;
            format!("{:6.2} % ({:6.2} % ours)", percent(all), percent(ours))
        })
        .collect();
    let (early, of) = figures.at_first;
    println!(
        "{name:24} {:4} | {} | refused {:6.3} % of {} (at first {early} of {of})",
        scenario.accounts,
        used.join(", "),
        figures.refused_percent(),
        figures.calls,
    );
}

#[test]
#[ignore = "a table to read, minutes long"]
fn table() {
    for (name, limits) in TIERS {
        for (accounts, minutes) in [(1, MINUTES), (10, MINUTES), (100, MINUTES / 6.0)] {
            row(name, scenario(limits, accounts, minutes));
        }
    }
    for (name, limits) in TIERS {
        let no_headers = Limits { has_headers: false, ..limits };
        row(&format!("no headers, {name}"), scenario(no_headers, 10, MINUTES));
    }
    for (name, limits) in TIERS {
        let by_output = limits.output as f64 / 950.0;
        let calls = (limits.requests as f64).min(limits.input as f64 / 5700.0).min(by_output);
        let shared = Scenario { others: 0.3 * calls, ..scenario(limits, 10, MINUTES) };
        row(&format!("others 30 %, {name}"), shared);
        let cut = Scenario { cut: Some(2.0 + MINUTES / 2.0), ..scenario(limits, 10, MINUTES) };
        row(&format!("halved, {name}"), cut);
    }
    for (is_burst_told, told) in [(true, "told"), (false, "not told")] {
        for requests in [60, 1000] {
            let limits = Limits { requests, burst: 1.0, is_burst_told, ..OPEN };
            row(&format!("burst 1 s {told}, {requests}"), scenario(limits, 10, MINUTES));
        }
    }
    for has_headers in [true, false] {
        for factor in [2.0, 1.25] {
            let growth = Some((100_000.0, factor));
            let limits = Limits { input: 2_000_000, growth, has_headers, ..OPEN };
            let name = format!("growth {factor}, headers {has_headers}");
            row(&name, scenario(limits, 10, MINUTES));
        }
    }
}
