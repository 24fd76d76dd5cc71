//! Profiles of a process that runs, over its control socket.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::{KEY, OTHER_KEY, PROFILE, configure, listed, status};
use crate::server::{Server, scenario, tasks};
use crate::support::{Process, World, wait_for};

/// A run whose one call is answered after ten minutes, by the profile of [`KEY`].
struct Run {
    world: World,
    process: Process,
    _server: Server,
}

impl Run {
    fn start() -> Self {
        let world = World::new();
        let slow = json!({"latency": {"medianSeconds": 600}});
        let server = Server::start(&world, &scenario(slow));
        let keys = json!({"apiKeys": [KEY, OTHER_KEY], "baseUrl": server.base_url()});
        configure(&world, keys);
        world.write("tasks.jsonl", tasks(1));
        let process = Process::start(world.polpo(&["run", "tasks.jsonl"]));
        let run = Self { world, process, _server: server };
        wait_for("the call is not under way", || {
            let row = status(&run.world, PROFILE);
            (row["inFlight"] == 1).then_some(())
        });
        run
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    fn socket(&self) -> std::path::PathBuf {
        self.world.path(&format!("state/run/{}.sock", self.pid()))
    }

    /// What it answers to a line.
    fn asked(&self, line: &str) -> Value {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

#[test]
fn the_list_and_the_explanation_show_what_a_running_process_knows() {
    let run = Run::start();
    let row = status(&run.world, PROFILE);
    assert_eq!((&row["state"], &row["pids"]), (&json!("ready"), &json!([run.pid()])));
    assert!(row["lastUsed"].is_string(), "{row}");

    let ran = run.world.run(&["auth", "explain"]).ended(0);
    let first = format!(
        "In the running process {}: anthropic:claude-sonnet-4-6 would be served by \
         anthropic:key-e2d4b7f6: it is eligible and was never used\n",
        run.pid()
    );
    assert!(ran.stdout.starts_with(&first), "{ran}");
    let views = run.world.run(&["auth", "explain", "--json"]).ended(0).json();
    assert_eq!(views[0]["pid"], run.pid());
    assert_eq!(views[0]["ranking"][1]["profile"], PROFILE);
}

#[test]
fn what_an_operator_does_is_done_in_the_running_process_and_outlives_it() {
    let run = Run::start();
    let ran = run.world.run(&["auth", "disable", PROFILE]).ended(0);
    let said = format!("disabled {PROFILE}, also in the running process {}\n", run.pid());
    assert_eq!(ran.stdout, said);
    let row = status(&run.world, PROFILE);
    assert_eq!((&row["state"], &row["pids"]), (&json!("disabled"), &json!([run.pid()])));
    let ran = run.world.run(&["auth", "explain"]).ended(0);
    assert!(ran.stdout.contains("not eligible: operator"), "{ran}");

    run.process.kill();
    let row = status(&run.world, PROFILE);
    assert_eq!((&row["state"], &row["pids"]), (&json!("disabled"), &json!([])));
    assert_eq!(row["inFlight"], 0, "nobody answers at the socket that it left");
    let ran = run.world.run(&["auth", "enable", PROFILE]).ended(0);
    assert_eq!(ran.stdout, format!("enabled {PROFILE}\n"));
}

#[test]
fn a_process_of_another_configuration_is_seen_as_well() {
    let run = Run::start();
    run.world.write("other.json", "{}");
    let other = ["--config", "other.json"];
    let rows = listed(&run.world, &other);
    assert_eq!((rows.len(), &rows[0]["id"]), (2, &json!(PROFILE)));
    assert_eq!((&rows[0]["source"], &rows[0]["type"]), (&json!("process"), &Value::Null));
    let ran = run.world.run(&[&["auth", "disable", PROFILE], &other[..]].concat()).ended(0);
    assert!(ran.stdout.contains("also in the running process"), "{ran}");
}

#[test]
fn only_its_owner_can_connect_and_nonsense_is_refused() {
    let run = Run::start();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let socket = run.socket();
    assert_eq!((mode(socket.parent().unwrap()), mode(&socket)), (0o700, 0o600));
    for line in ["nonsense\n", "{}\n", "{\"op\": \"moon\"}\n", "{\"op\": \"status\"}", "\n", ""] {
        assert!(run.asked(line)["refused"].is_string(), "{line}");
    }
    assert!(run.asked("{\"op\": \"status\"}\n")["status"].is_array());
    let gone = run.asked("{\"op\": \"clear\", \"profiles\": [\"anthropic:nobody\"]}\n");
    assert_eq!(gone, json!({"tended": []}));
}

#[test]
fn a_run_that_ends_takes_its_socket_away_and_those_of_processes_that_are_gone() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    std::fs::create_dir_all(world.path("state/simulated/run")).unwrap();
    let stale = world.path("state/simulated/run/1.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    world.run(&["run", "tasks.jsonl", "--simulate"]).ended(0);
    let left = std::fs::read_dir(world.path("state/simulated/run")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn a_cooldown_that_is_cleared_is_over_in_the_running_process() {
    let world = World::new();
    let limits = json!({"requestsPerMinute": 1, "inputTokensPerMinute": null});
    let server = Server::start(&world, &scenario(json!({"limits": limits})));
    configure(&world, json!({"apiKey": KEY, "baseUrl": server.base_url()}));
    world.write("tasks.jsonl", tasks(2));
    let _process = Process::start(world.polpo(&["run", "tasks.jsonl"]));
    let limited = || server.books()["total"]["refused"].as_u64().unwrap();
    let row = wait_for("nothing is limited", || {
        let row = status(&world, PROFILE);
        (row["state"] == "cooling").then_some(row)
    });
    assert_eq!((&row["reason"], limited()), (&json!("rate_limit"), 1));
    assert!(row["classes"]["sonnet-4"]["until"].is_string(), "{row}");
    let ran = world.run(&["models", "status", "--check"]).ended(2);
    assert!(ran.stdout.contains("1 cooling"), "{ran}");

    world.run(&["auth", "clear", PROFILE]).ended(0);
    wait_for("the task is not tried again", || (limited() == 2).then_some(()));
}
