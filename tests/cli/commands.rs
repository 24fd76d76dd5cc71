//! The smaller commands, and the options of all.

use serde_json::json;

use crate::results::by_id;
use crate::server::{REFUSED, get, scenario, tasks};
use crate::support::{Process, World, wait_for};

fn world_of(count: usize) -> World {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", tasks(count));
    world
}

#[test]
fn the_starter_is_valid_and_never_overwrites() {
    let world = world_of(2);
    world.run(&["init"]).ended(0);
    let starter = world.read("polpo.json");
    assert!(starter.contains("//"), "it explains itself");
    let key = ("ANTHROPIC_API_KEY", "sk-ant-api03-any");
    let mut validate = world.polpo(&["config", "validate"]);
    validate.env(key.0, key.1);
    Process::start(validate).end().ended(0);
    world.run(&["run", "tasks.jsonl", "--simulate"]).ended(0);
    world.write("polpo.json", "{}");
    world.run(&["init"]).complained(2, &["polpo.json is there already"]);
    assert_eq!(world.read("polpo.json"), "{}");
}

#[test]
fn a_shown_configuration_is_a_configuration() {
    let world = World::new();
    let shown = world.run(&["config", "show"]).ended(0).stdout;
    world.write("polpo.json", &shown);
    assert_eq!(world.run(&["config", "show"]).ended(0).stdout, shown);
    let ran = world.run(&["config", "validate"]).ended(0);
    assert!(ran.stdout.contains("polpo.json is valid"), "{ran}");
}

#[test]
fn models_are_listed_for_people_and_for_programs() {
    let world = World::new();
    let table = world.run(&["models", "list"]).ended(0).stdout;
    let list = world.run(&["models", "list", "--json"]).ended(0).json();
    let list = list.as_array().unwrap();
    assert!(!list.is_empty());
    for model in list {
        assert!(table.contains(model["id"].as_str().unwrap()));
        assert!(model["usdPerMillionTokens"]["input"].is_number(), "{model}");
    }
}

#[test]
fn a_wrong_group_or_time_of_costs_is_told() {
    let world = World::new();
    world.run(&["cost", "--by", "moon"]).complained(2, &["--by moon", "metadata.KEY"]);
    world.run(&["cost", "--since", "ever"]).complained(2, &["--since ever", "7d"]);
}

#[test]
fn a_quiet_run_says_nothing_but_its_summary() {
    let world = world_of(3);
    let ran = world.run(&["run", "tasks.jsonl", "--simulate", "-q"]).ended(0);
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.contains("3 tasks: 3 succeeded"), "{ran}");
}

#[test]
fn output_that_is_no_terminal_is_plain() {
    for (arguments, variable) in [(&["--color", "never"][..], ""), (&[], "1"), (&[], "")] {
        let world = world_of(3);
        let run = [&["run", "tasks.jsonl", "--simulate", "-vv"], arguments].concat();
        let mut command = world.polpo(&run);
        command.env("NO_COLOR", variable).env("TERM", "xterm-256color");
        let ran = Process::start(command).end().ended(0);
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{ran}");
    }
}

#[test]
fn a_terminal_shows_progress_with_colours_only_if_they_are_wanted() {
    let world = world_of(3);
    let on_terminal = |name: &str, run: &str| {
        let mut script = world.command("script");
        let run = format!("{} {run} --simulate -o {name}.jsonl", env!("CARGO_BIN_EXE_polpo"));
        script.args(["-qec", &run, "/dev/null"]).env("TERM", "xterm-256color");
        Process::start(script).end().ended(0).stdout
    };
    if !world.command("script").arg("--version").output().is_ok_and(|it| it.status.success()) {
        return; // It makes the terminal, where there is one of util-linux.
    }
    let coloured = on_terminal("auto", "run tasks.jsonl");
    assert!(coloured.contains("3/3 tasks") && coloured.contains("\u{1b}[36m"), "{coloured:?}");
    let plain = on_terminal("never", "run tasks.jsonl --color never");
    assert!(plain.contains("3/3 tasks"), "{plain:?}");
    let codes: Vec<&str> = plain.split("\u{1b}[").skip(1).collect();
    // Moving the cursor and clearing a line is no colour, which ends with `m`.
    assert!(codes.iter().all(|code| !code.trim_start_matches(char::is_numeric).starts_with('m')));
}

#[test]
fn log_messages_in_json_are_json() {
    let world = world_of(0);
    world.write("tasks.jsonl", REFUSED);
    let ran = world.run(&["run", "tasks.jsonl", "--simulate", "-vv", "--log-format", "json"]);
    let logged = ran.stderr.lines().filter(|line| line.starts_with('{'));
    let logged: Vec<serde_json::Value> =
        logged.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(logged.iter().any(|line| line["message"] == "a call failed"), "{ran}");
}

#[test]
fn metrics_are_served_while_a_run_goes_on() {
    let world = world_of(1);
    world.write("scenario.json", scenario(json!({"latency": {"medianSeconds": 600}})));
    let run = ["run", "tasks.jsonl", "--simulate", "--metrics-addr", "127.0.0.1:0"];
    let _process = Process::logged(world.polpo(&run), &world.path("log"));
    let address = wait_for("no address", || {
        let log = world.read("log");
        let (_, rest) = log.split_once("metrics at http://")?;
        Some(rest.split_once("/metrics")?.0.to_owned())
    });
    let metrics = get(&address, "/metrics");
    assert!(metrics.contains("polpo_build_info"), "{metrics}");
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let world = World::new();
    for command in ["models list", "config schema", "config show", "completions bash", "cost"] {
        let script = format!("\"$0\" {command} | true");
        let mut shell = world.command("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_polpo")]);
        let ran = Process::start(shell).end().ended(0);
        assert!(!ran.stderr.contains("panicked"), "{command}: {ran}");
    }
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_says() {
    let world = world_of(20);
    let script = "\"$0\" run tasks.jsonl --simulate --metrics-addr 127.0.0.1:0 -vv 2>&1 | true";
    let mut shell = world.command("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_polpo")]);
    Process::start(shell).end().ended(0);
    assert_eq!(by_id(&world.read("tasks.simulated.results.jsonl")).len(), 20);
}

#[test]
fn output_on_a_full_disk_is_an_error() {
    let world = World::new();
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        return; // Linux has it.
    };
    let mut command = world.polpo(&["models", "list"]);
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"));
}
