//! What is wrong with a task file or a configuration is said before a cent is spent, with its place.

use crate::server::tasks;
use crate::support::{Process, Ran, World};

/// Runs a task file and nothing else.
fn run_of(text: impl AsRef<[u8]>) -> Ran {
    let world = World::new();
    world.write("tasks.jsonl", text);
    let ran = world.run(&["run", "tasks.jsonl", "--simulate"]);
    assert!(!world.path("tasks.simulated.results.jsonl").exists(), "{ran}");
    assert_eq!(ran.stdout, "", "{ran}");
    ran
}

/// Runs good tasks with a configuration.
fn run_with(config: &str) -> Ran {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    world.write("polpo.json", config);
    world.run(&["run", "tasks.jsonl"])
}

#[test]
fn a_task_file_that_is_not_there_is_named() {
    let world = World::new();
    let ran = world.run(&["run", "nowhere.jsonl", "--simulate"]);
    ran.complained(2, &["nowhere.jsonl", "there is no such file", "check the path"]);
}

#[test]
fn a_directory_is_no_task_file() {
    let world = World::new();
    std::fs::create_dir(world.path("tasks.jsonl")).unwrap();
    world.run(&["run", "tasks.jsonl", "--simulate"]).complained(2, &["tasks.jsonl", "directory"]);
}

#[test]
fn an_unreadable_task_file_is_named() {
    let world = World::new();
    let path = world.write("tasks.jsonl", tasks(1));
    let nobody = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(&path, nobody).unwrap();
    if std::fs::File::open(&path).is_ok() {
        return; // As root, who may read everything.
    }
    let ran = world.run(&["run", "tasks.jsonl", "--simulate"]);
    ran.complained(2, &["tasks.jsonl", "permission denied"]);
}

#[test]
fn an_empty_task_file_is_said_to_be_empty_and_how_to_fill_it() {
    for text in ["", "\n\n"] {
        run_of(text).complained(2, &["no tasks in tasks.jsonl", r#"{"id": "t1", "prompt""#]);
    }
}

#[test]
fn a_malformed_line_of_ten_thousand_is_found_with_its_number() {
    let text = tasks(10_000);
    let lines: Vec<&str> = text.lines().collect();
    for wrong in
        ["{\"id\": \"t4711\", \"prompt\": ", "not JSON", r#"{"id": "t 4711", "prompt": ""}"#]
    {
        let mut lines = lines.clone();
        lines[4_710] = wrong;
        run_of(lines.join("\n")).complained(2, &["tasks.jsonl:4711: "]);
    }
}

#[test]
fn a_line_that_is_no_text_is_found_with_its_number() {
    run_of(b"{\"id\": \"t1\", \"prompt\": \"a\"}\n\xff\xfe\n").complained(2, &["tasks.jsonl:2: "]);
}

#[test]
fn every_wrong_line_is_told_at_once() {
    let text = "{}\n{\"id\": \"ok\", \"prompt\": \"a\"}\n[]\n";
    run_of(text).complained(2, &["tasks.jsonl:1: ", "tasks.jsonl:3: "]);
}

#[test]
fn a_duplicate_id_is_told_with_both_lines() {
    let text = format!("{}{}", tasks(7), r#"{"id": "t3", "prompt": "again"}"#);
    run_of(text).complained(2, &["tasks.jsonl:8: ", "`t3`", "line 3"]);
}

#[test]
fn an_unknown_agent_is_told_with_the_known_ones() {
    let text = "{\"id\": \"t1\", \"prompt\": \"a\", \"agent\": \"solverr\"}\n";
    run_of(text).complained(2, &["tasks.jsonl:1: ", "`solverr`", "default"]);
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    let ran = world.run(&["run", "tasks.jsonl", "-a", "solverr", "--simulate"]);
    ran.complained(2, &["--agent", "`solverr`", "default"]);
}

#[test]
fn a_dry_run_finds_wrong_lines_too() {
    let world = World::new();
    world.write("tasks.jsonl", "{}\n");
    world.run(&["run", "tasks.jsonl", "--dry-run"]).complained(2, &["tasks.jsonl:1: "]);
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest_known_one() {
    let ran = run_with("{\n  \"settings\": { \"maxConcurency\": 3 }\n}");
    ran.complained(2, &["polpo.json:2:", "`maxConcurency`", "did you mean `maxConcurrency`?"]);
}

#[test]
fn an_unset_variable_is_told_with_its_name_and_its_path() {
    let ran = run_with(r#"{"providers": {"anthropic": "${POLPO_TEST_UNSET}"}}"#);
    ran.complained(2, &["polpo.json:1:", "providers.anthropic", "POLPO_TEST_UNSET"]);
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    let ran = world.run(&["run", "tasks.jsonl", "--simulate", "--config", "nowhere.json"]);
    ran.complained(2, &["nowhere.json", "there is no such file"]);
}

#[test]
fn a_scenario_that_is_none_is_told_with_its_place() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    world.write("wrong.json", r#"{"timeScale": -1}"#);
    let ran = world.run(&["run", "tasks.jsonl", "--simulate=wrong.json"]);
    ran.complained(2, &["wrong.json", "timeScale"]);
}

#[test]
fn a_wrong_line_of_standard_input_is_not_one_of_a_temporary_file() {
    let world = World::new();
    let input = world.write("input", "{\"id\": \"t1\", \"prompt\": \"a\"}\n{}\n");
    let command = world.polpo(&["run", "-", "-o", "out.jsonl", "--simulate"]);
    Process::fed(command, &input).end().complained(2, &["polpo: standard input:2: "]);
}

#[test]
fn standard_input_needs_a_name_for_its_results() {
    let world = World::new();
    world.run(&["run", "-", "--simulate"]).complained(2, &["-o"]);
}
