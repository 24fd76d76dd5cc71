//! Every cent counted: results, journal, metrics and the simulator's own books, in two processes.

use serde_json::json;

use crate::results::{cost_at, total};
use crate::server::{Server, scenario};
use crate::support::{Process, World};

/// Expectations that only some answers meet, so that there are retries and escalations.
fn tasks() -> String {
    let task = |number: usize| {
        let expect = ["", r#", "expect": {"regex": "(?i)check"}"#][number % 2];
        let prompt = "a longer question ".repeat(number % 7 + 1);
        format!(
            r#"{{"id": "t{number}", "prompt": "{prompt}{number}", "metadata": {{"team": "m{}"}}{expect}}}"#,
            number % 3
        )
    };
    (0..120).map(|number| task(number) + "\n").collect()
}

/// The sum of a metric over its label sets.
fn metric(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

#[test]
fn results_journal_metrics_and_the_simulators_books_agree_to_the_nanodollar() {
    let world = World::new();
    let faults = json!({"faults": {"overloadedRate": 0.02, "errorRate": 0.02}});
    let server = Server::start(&world, &scenario(faults));
    world.write("tasks.jsonl", tasks());
    let arguments = ["run", "tasks.jsonl", "--metrics-file", "run.prom", "--json"];
    let ran = Process::start(server.client(&world, &arguments)).end();
    assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
    assert!(ran.json()["retried"].as_u64().unwrap() > 0, "{ran}");

    let spent = total(&world.read("tasks.results.jsonl"));
    assert!(spent > 0);
    assert_eq!(cost_at(&ran.stdout, &[]), spent);
    let cost = world.run(&["cost", "--json"]).ended(0);
    assert_eq!(cost_at(&cost.stdout, &["total"]), spent);
    assert_eq!(cost_at(&cost.stdout, &["notEnded"]), 0);

    let books = server.books();
    assert_eq!(books["total"]["nanodollars"], spent);
    assert_eq!(books["unauthenticated"], 0);
    let calls = &cost.json()["total"]["calls"];
    assert_eq!(&books["total"]["requests"], calls);

    let metrics = world.read("run.prom");
    let dollars = spent as f64 / 1e9;
    assert!((metric(&metrics, "polpo_cost_usd_total") - dollars).abs() < 1e-9, "{metrics}");
    assert!((metric(&metrics, "polpo_profile_cost_usd_total") - dollars).abs() < 1e-9);
    assert_eq!(metric(&metrics, "polpo_calls_total"), calls.as_f64().unwrap());
}

#[test]
fn every_way_to_group_costs_has_the_same_total() {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", tasks());
    world.run(&["run", "tasks.jsonl", "--simulate", "-q"]);
    let spent = total(&world.read("tasks.simulated.results.jsonl"));
    for by in ["agent", "model", "profile", "day", "run", "metadata.team", "metadata.none"] {
        let cost = world.run(&["cost", "--simulate", "--by", by, "--csv"]).ended(0);
        let mut rows = cost.stdout.lines();
        let place = rows.next().unwrap().split(',').position(|name| name == "cost_usd").unwrap();
        let cost_of = |row: &str| crate::results::nanodollars(row.split(',').nth(place).unwrap());
        let rows: Vec<&str> = rows.collect();
        let (all, groups) = rows.split_last().unwrap();
        assert!(all.starts_with("total,"), "{cost}");
        assert_eq!(cost_of(all), spent, "{cost}");
        assert_eq!(groups.iter().map(|row| cost_of(row)).sum::<i64>(), spent, "{cost}");
        if by == "metadata.team" {
            let keys: Vec<_> = groups.iter().map(|row| row.split(',').next().unwrap()).collect();
            assert_eq!(keys, ["m0", "m1", "m2", "(not ended)"], "{cost}");
        }
    }
}

#[test]
fn costs_of_simulated_runs_are_shown_only_on_demand() {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", tasks());
    world.run(&["run", "tasks.jsonl", "--simulate", "-q"]);
    let real = world.run(&["cost", "--json"]).ended(0);
    assert_eq!(cost_at(&real.stdout, &["total"]), 0);
}
