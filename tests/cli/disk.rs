//! A disk without room, as `ulimit -f` has it.

use serde_json::json;

use crate::results::{by_id, cost_at, total};
use crate::server::{scenario, tasks};
use crate::support::World;

const RESULTS: &str = "tasks.simulated.results.jsonl";

/// The size of a file in blocks of 512 bytes, rounded up.
fn blocks(world: &World, name: &str) -> u64 {
    std::fs::metadata(world.path(name)).unwrap().len().div_ceil(512)
}

fn world_of(count: usize) -> World {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", tasks(count));
    world
}

#[track_caller]
fn assert_whole(world: &World, tasks: usize) {
    let text = world.read(RESULTS);
    assert_eq!(by_id(&text).len(), tasks);
    let cost = world.run(&["cost", "--simulate", "--json"]).ended(0);
    assert_eq!(cost_at(&cost.stdout, &["total"]), total(&text));
}

#[test]
fn a_journal_without_room_ends_the_run_and_the_same_command_goes_on_when_there_is_some() {
    let world = world_of(200);
    let run = ["run", "tasks.jsonl", "--simulate"];
    // From not even room for its tables, to room for some tasks.
    for blocks in [8, 100, 400, 1000] {
        let ran = world.run_limited(blocks, &run);
        let ran = ran.complained(5, &["journal.db", "same command again"]);
        assert_eq!(ran.stderr.matches("disk I/O error").count(), 1, "{ran}");
    }
    world.run(&run).ended(0);
    assert_whole(&world, 200);
}

#[test]
fn a_results_file_without_room_for_a_result_ends_the_run_and_goes_on_likewise() {
    let world = world_of(1500);
    world.run(&["run", "tasks.jsonl", "--simulate", "--limit", "1490", "-q"]).ended(0);
    // Far more room than the journal's log needs for a few tasks.
    let full = blocks(&world, RESULTS) + 1;
    let one = ["run", "tasks.jsonl", "--simulate", "--concurrency", "1"];
    let ran = world.run_limited(full, &one);
    ran.complained(5, &[RESULTS, "cannot be used", "safe in the journal", "same command again"]);
    world.run(&one).ended(0);
    assert_whole(&world, 1500);
}

#[test]
fn a_results_file_that_cannot_be_made_again_ends_the_run_and_goes_on_likewise() {
    let world = world_of(300);
    let run = ["run", "tasks.jsonl", "--simulate"];
    world.run(&run).ended(0);
    let text = world.read(RESULTS);
    let half = blocks(&world, RESULTS) / 2;
    std::fs::remove_file(world.path(RESULTS)).unwrap();
    let ran = world.run_limited(half, &run);
    ran.complained(5, &[RESULTS, "safe in the journal", "same command again"]);
    world.run(&run).ended(0);
    assert_eq!(world.read(RESULTS), text);
    assert_whole(&world, 300);
}

#[test]
fn a_metrics_file_that_cannot_be_written_is_named() {
    let world = world_of(3);
    let run = ["run", "tasks.jsonl", "--simulate", "--metrics-file", "nowhere/run.prom"];
    let ran = world.run(&run).complained(5, &["--metrics-file", "nowhere/run.prom"]);
    assert!(ran.stdout.contains("3 tasks: 3 succeeded"), "no summary: {ran}");
    assert_whole(&world, 3);
}
