//! The example, as the README runs it, in less time.

use std::path::Path;

use serde_json::Value;

use crate::results::{Line, cost_at, lines, nanodollars};
use crate::schema::assert_valid;
use crate::support::{Ran, World};

/// As many of the example's 1,319 tasks as make wrong answers certain.
const TASKS: usize = 200;

/// The example's first tasks, its configuration, and its scenario in a hurry.
fn example() -> World {
    let world = World::new();
    let example = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gsm8k").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let tasks: Vec<&str> = example("tasks.jsonl").leak().lines().take(TASKS).collect();
    world.write("tasks.jsonl", tasks.join("\n"));
    world.write("polpo.json", example("polpo.json"));
    let mut scenario: Value = serde_json::from_str(&example("scenario.json")).unwrap();
    scenario["timeScale"] = 200.into();
    world.write("scenario.json", scenario.to_string());
    world
}

fn ended_well(ran: Ran) -> Ran {
    assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
    ran
}

#[test]
fn the_example_ends_escalates_and_its_sums_agree_to_the_nanodollar() {
    let world = example();
    let ran = ended_well(world.run(&["run", "tasks.jsonl", "--simulate", "--json"]));
    let summary = ran.json();
    assert_eq!(summary["tasks"], TASKS);
    assert_eq!(summary["pending"], 0);
    assert!(summary["escalated"].as_u64().unwrap() > 0, "{ran}");
    let results = lines(&world.read("tasks.simulated.results.jsonl"));
    assert_eq!(results.len(), TASKS);
    let succeeded = results.iter().filter(|line| line.has_succeeded()).count();
    assert_eq!(summary["succeeded"], succeeded);
    assert_eq!(summary["failed"], TASKS - succeeded);
    assert_eq!(ran.code, Some(i32::from(succeeded < TASKS)));

    let spent: i64 = results.iter().map(Line::cost).sum();
    assert!(spent > 0);
    assert_eq!(cost_at(&ran.stdout, &[]), spent);
    let cost = world.run(&["cost", "--simulate", "--json"]).ended(0);
    assert_eq!(cost_at(&cost.stdout, &["total"]), spent);
}

#[test]
fn answers_that_were_wrong_on_sonnet_are_tried_again_on_opus() {
    let world = example();
    ended_well(world.run(&["run", "tasks.jsonl", "--simulate", "-q"]));
    let results = lines(&world.read("tasks.simulated.results.jsonl"));
    let (retried, at_once): (Vec<&Line>, Vec<&Line>) =
        results.iter().partition(|line| line.polpo.attempts > 1);
    assert!(!retried.is_empty());
    for line in retried {
        assert_eq!(line.polpo.escalated_from.as_deref(), Some("claude-sonnet-4-6"), "{line:?}");
        assert_eq!(line.polpo.model.as_deref(), Some("claude-opus-4-6"), "{line:?}");
        assert!(line.polpo.calls >= line.polpo.attempts, "{line:?}");
    }
    for line in at_once {
        assert!(line.has_succeeded() && line.polpo.escalated_from.is_none(), "{line:?}");
        assert_eq!(line.polpo.model.as_deref(), Some("claude-sonnet-4-6"), "{line:?}");
    }
}

#[test]
fn the_table_at_the_end_agrees_with_the_results_file() {
    let world = example();
    let ran = ended_well(world.run(&["run", "tasks.jsonl", "--simulate"]));
    let row = ran.stdout.lines().find(|line| line.contains("total")).unwrap();
    let (_, amount) = row.split_once('$').unwrap();
    let amount = amount.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap();
    let results = lines(&world.read("tasks.simulated.results.jsonl"));
    assert_eq!(nanodollars(amount), results.iter().map(Line::cost).sum::<i64>(), "{ran}");
    assert!(ran.stdout.contains("tasks.simulated.results.jsonl"), "{ran}");
}

#[test]
fn its_result_lines_are_anthropics_and_one_key_more() {
    let world = example();
    ended_well(world.run(&["run", "tasks.jsonl", "--simulate", "-q"]));
    let text = world.read("tasks.simulated.results.jsonl");
    assert_valid(&text);
    assert!(lines(&text).iter().all(|line| line.polpo.simulated));
}
