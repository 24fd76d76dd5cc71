//! Results files that are not the run's own, and two runs that want the same one.

use std::process::Command;

use serde_json::{Value, json};

use crate::results::{by_id, cost_at, total};
use crate::server::{Server, get, scenario, tasks};
use crate::support::{Process, World, wait_for};

const RESULTS: &str = "tasks.results.jsonl";

#[test]
fn the_second_of_two_runs_on_one_results_file_ends_at_once_and_names_the_first() {
    let world = World::new();
    let slow = scenario(json!({"latency": {"medianSeconds": 600}}));
    let server = Server::start(&world, &slow);
    world.write("tasks.jsonl", tasks(2));
    let first = Process::start(server.client(&world, &["run", "tasks.jsonl"]));
    let books = || get(server.address(), "/_sim/books");
    wait_for("no call of the first run", || {
        let books: Value = serde_json::from_str(&books()).unwrap();
        (books["inFlight"] == 2).then_some(())
    });
    let before = books();
    let second = Process::start(server.client(&world, &["run", "tasks.jsonl"])).end();
    second.complained(2, &[RESULTS, &format!("process {} ", first.id()), "wait for it"]);
    assert_eq!(books(), before, "the second one sent something");
    // Another results file is another run.
    let other = ["run", "tasks.jsonl", "--simulate", "-o", "other.jsonl"];
    world.write("scenario.json", scenario(json!({})));
    world.run(&other).ended(0);
}

#[test]
fn runs_at_the_same_time_share_a_journal() {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", tasks(100));
    let names = ["one.jsonl", "two.jsonl", "three.jsonl"];
    let runs = names
        .map(|name| Process::start(world.polpo(&["run", "tasks.jsonl", "--simulate", "-o", name])));
    for run in runs {
        run.end().ended(0);
    }
    let spent: i64 = names.iter().map(|name| total(&world.read(name))).sum();
    let cost = world.run(&["cost", "--simulate", "--by", "run", "--json"]).ended(0);
    assert_eq!(cost.json()["rows"].as_array().unwrap().len(), 3, "{cost}");
    assert_eq!(cost_at(&cost.stdout, &["total"]), spent, "{cost}");
}

#[test]
fn what_is_no_regular_file_takes_no_results() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    std::fs::create_dir(world.path("directory")).unwrap();
    let fifo = Command::new("mkfifo").arg(world.path("fifo")).status().unwrap();
    assert!(fifo.success());
    for name in ["directory", "fifo", "/dev/null"] {
        let ran = world.run(&["run", "tasks.jsonl", "--simulate", "-o", name]);
        ran.complained(2, &[name, "not a regular file", "-o"]);
    }
}

#[test]
fn a_directory_for_the_results_that_is_not_there_is_named() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    let ran = world.run(&["run", "tasks.jsonl", "--simulate", "-o", "nowhere/results.jsonl"]);
    assert!(matches!(ran.code, Some(2 | 5)) && ran.stderr.contains("nowhere"), "{ran}");
}

#[test]
fn a_file_with_content_that_no_run_knows_is_left_alone() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    world.write("thesis.txt", "years of work");
    let ran = world.run(&["run", "tasks.jsonl", "--simulate", "-o", "thesis.txt"]);
    ran.complained(2, &["thesis.txt", "knows nothing of", "another file with -o"]);
    assert_eq!(world.read("thesis.txt"), "years of work");
}

#[test]
fn a_results_file_that_someone_changed_is_left_alone_and_written_anew_once_it_is_moved() {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", tasks(5));
    let run = ["run", "tasks.jsonl", "--simulate", "-o", RESULTS];
    world.run(&run).ended(0);
    let text = world.read(RESULTS);
    // As a formatter does it: longer than it was.
    let changed = text.replace("\":", "\": ");
    world.write(RESULTS, &changed);
    world.run(&run).complained(2, &[RESULTS, "does not hold what this run wrote", "move it away"]);
    assert_eq!(world.read(RESULTS), changed);
    std::fs::rename(world.path(RESULTS), world.path("mine.jsonl")).unwrap();
    world.run(&run).ended(0);
    assert_eq!(world.read(RESULTS), text);
}

#[test]
fn the_task_file_itself_is_no_results_file() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    world.run(&["run", "tasks.jsonl", "--simulate", "-o", "tasks.jsonl"]).ended(2);
    assert_eq!(world.read("tasks.jsonl"), tasks(1));
}

#[test]
fn a_real_run_and_a_simulated_one_never_share_a_results_file() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", tasks(3));
    let real = ["run", "tasks.jsonl", "-o", "one.jsonl"];
    let simulated = ["run", "tasks.jsonl", "-o", "one.jsonl", "--simulate"];

    world.run(&simulated).ended(0);
    let (text, books) = (world.read("one.jsonl"), server.books());
    Process::start(server.client(&world, &real)).end().complained(2, &["one.jsonl"]);
    assert_eq!(world.read("one.jsonl"), text);
    assert_eq!(server.books(), books);

    let real = ["run", "tasks.jsonl", "-o", "two.jsonl"];
    let simulated = ["run", "tasks.jsonl", "-o", "two.jsonl", "--simulate"];
    Process::start(server.client(&world, &real)).end().ended(0);
    let text = world.read("two.jsonl");
    world.run(&simulated).complained(2, &["two.jsonl"]);
    assert_eq!(world.read("two.jsonl"), text);
    assert!(by_id(&text).values().all(|line| !line.polpo.simulated));
}
