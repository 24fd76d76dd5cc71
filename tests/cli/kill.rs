//! SIGKILL at random moments: nothing committed is lost, or paid for twice.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::results::{by_id, cost_at, lines, total};
use crate::server::{Server, prompt, scenario, tasks};
use crate::support::{Process, Ran, World, wait_for};

const KILLS: usize = 20;

/// More than the kills leave time for, so that each of them meets a run that has work to do.
const TASKS: usize = 500;

const COMMAND: [&str; 4] = ["run", "tasks.jsonl", "--concurrency", "12"];

const RESULTS: &str = "tasks.results.jsonl";

/// A slow server: with 12 tasks at once, a few hundred a second at most.
fn slow() -> String {
    scenario(json!({"latency": {"medianSeconds": 0.08}}))
}

/// The whole lines of a results file, as the next process will find it.
fn whole(world: &World) -> String {
    let text = std::fs::read_to_string(world.path(RESULTS)).unwrap_or_default();
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    text[..end].to_owned()
}

/// How often the simulator has served each task.
fn served(books: &Value) -> BTreeMap<String, u64> {
    let served = |number: usize| {
        let digest = <[u8; 32]>::from(Sha256::digest(prompt(number)));
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("t{number}"), books["messages"][hash]["served"].as_u64().unwrap_or(0))
    };
    (1..=TASKS).map(served).collect()
}

/// Runs the command, and kills it some results and some milliseconds later.
fn kill_after(world: &World, server: &Server, lines: usize, pause: Duration) -> Ran {
    let before = whole(world).lines().count();
    let mut process = Process::start(server.client(world, &COMMAND));
    wait_for("no results", || {
        let now = whole(world).lines().count();
        (now >= before + lines || !process.is_running()).then_some(())
    });
    std::thread::sleep(pause); // Any moment will do: this one is drawn, not waited for.
    process.kill()
}

/// What a crash of the machine, or its user, may do to a results file.
fn damage(world: &World, how: usize) {
    let path = world.path(RESULTS);
    let Ok(mut file) = OpenOptions::new().append(true).open(&path) else { return };
    let length = file.metadata().unwrap().len();
    match how {
        0 => file.write_all(br#"{"custom_id": "t1", "result": {"type": "succ"#).unwrap(),
        1 => file.set_len(length.saturating_sub(10)).unwrap(),
        2 => std::fs::remove_file(&path).unwrap(),
        _ => {}
    }
}

#[test]
fn twenty_kills_lose_nothing_and_send_no_committed_result_again() {
    let seed = fastrand::u64(..);
    let mut dice = fastrand::Rng::with_seed(seed);
    let world = World::new();
    let server = Server::start(&world, &slow());
    world.write("tasks.jsonl", tasks(TASKS));
    // By task: how often it had been served when its result was first seen.
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut in_flight = 0;
    for kill in 0..KILLS {
        let (some, pause) = (dice.usize(..8), Duration::from_millis(dice.u64(..60)));
        let ran = kill_after(&world, &server, some, pause);
        assert_eq!(ran.code, None, "seed {seed}, kill {kill}: it was over before\n{ran}");
        in_flight += usize::from(ran.stderr.contains("in flight when an earlier run ended"));
        let served = served(&server.books());
        for id in by_id(&whole(&world)).into_keys() {
            let times = served[&id];
            let before = *seen.entry(id.clone()).or_insert(times);
            assert_eq!(times, before, "seed {seed}, kill {kill}: {id} was sent again");
        }
        damage(&world, kill % 5);
    }
    let ran = Process::start(server.client(&world, &COMMAND)).end().ended(0);
    assert!(in_flight > 0, "seed {seed}: no call was ever listed\n{ran}");

    let text = world.read(RESULTS);
    let results = by_id(&text);
    assert_eq!(results.len(), TASKS, "seed {seed}");
    let served = served(&server.books());
    for (id, before) in seen {
        assert_eq!(served[&id], before, "seed {seed}: {id} was sent again");
    }
    assert!(served.values().all(|times| *times > 0), "seed {seed}");
    let cost = world.run(&["cost", "--json"]).ended(0);
    assert_eq!(cost_at(&cost.stdout, &["total"]), total(&text), "seed {seed}\n{cost}");
    assert_eq!(cost_at(&cost.stdout, &["notEnded"]), 0, "seed {seed}\n{cost}");
    // Lost calls are charged at most, so never below what was spent.
    let books = server.books();
    assert!(books["total"]["nanodollars"].as_i64().unwrap() <= total(&text), "seed {seed}");
}

#[test]
fn what_was_in_flight_is_listed_and_shown_as_not_ended_until_its_task_ends() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({"latency": {"medianSeconds": 600}})));
    world.write("tasks.jsonl", tasks(2));
    let process = Process::start(server.client(&world, &COMMAND));
    wait_for("no calls", || {
        let books: Value =
            serde_json::from_str(&crate::server::get(server.address(), "/_sim/books")).unwrap();
        (books["inFlight"] == 2).then_some(())
    });
    let during = world.run(&["cost", "--json"]).ended(0);
    process.kill();
    let cost = world.run(&["cost", "--json"]).ended(0);
    assert_eq!(cost.stdout, during.stdout, "costs are shown while a run goes on, too");
    assert_eq!(cost.json()["notEnded"]["calls"], 2, "{cost}");
    assert!(cost_at(&cost.stdout, &["notEnded"]) > 0, "{cost}");
    drop(server);

    let server = Server::start(&world, &scenario(json!({})));
    let ran = Process::start(server.client(&world, &COMMAND)).end();
    let ran = ran.complained(0, &["2 calls were in flight", "task t1", "task t2", "$"]);
    assert!(ran.stdout.contains("2 calls with an unknown end"), "{ran}");
    let text = world.read(RESULTS);
    assert!(lines(&text).iter().all(|line| line.polpo.calls == 2), "{text}");
    let cost = world.run(&["cost", "--json"]).ended(0);
    assert_eq!(cost_at(&cost.stdout, &["notEnded"]), 0, "{cost}");
    assert_eq!(cost_at(&cost.stdout, &["total"]), total(&text), "{cost}");
}

#[test]
fn a_damaged_results_file_is_made_whole_from_the_journal() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    world.write("tasks.jsonl", tasks(20));
    Process::start(server.client(&world, &COMMAND)).end().ended(0);
    let (text, books) = (world.read(RESULTS), server.books());
    for how in 0..3 {
        damage(&world, how);
        assert_ne!(std::fs::read_to_string(world.path(RESULTS)).unwrap_or_default(), text);
        Process::start(server.client(&world, &COMMAND)).end().ended(0);
        assert_eq!(world.read(RESULTS), text, "damage {how}");
    }
    assert_eq!(server.books(), books, "something was sent again");
}
