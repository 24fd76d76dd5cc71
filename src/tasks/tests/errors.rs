//! Every wrong line is told with its number, its reason and, where it is not plain, a way out.

use std::fmt::Write as _;

use super::*;

const BAD: [&str; 57] = [
    r#"["t1", "x"]"#,
    r#""t1""#,
    r#"{"id": "t1", "prompt": "x""#,
    r#"{"id": "t1" "prompt": "x"}"#,
    r#"{"id": "t1", "prompt": "x"} {}"#,
    r#"{'id': 't1'}"#,
    r#"{"id": "t1", "prompt": "a	b"}"#,
    r#"{"id": "t1", "prompt": "\x"}"#,
    r#"{"id": "t1", "prompt": "\ud800"}"#,
    r#"{"id": "t1"}"#,
    r#"{"id": "t1", "prompt": null}"#,
    r#"{"id": "t1", "prompt": "x", "params": {}}"#,
    r#"{"id": "t1", "promt": "x"}"#,
    r#"{"id": "t1", "prompt": "x", "max_tokens": 5}"#,
    r#"{"id": "t1", "prompt": "x", "zzz": 5}"#,
    r#"{"id": "t1", "prompt": "x", "a b\nc": 5}"#,
    r#"{"id": "t1", "prompt": "x", "maxCostUsd": 0.5}"#,
    r#"{"id": "t1", "id": "t2", "prompt": "x"}"#,
    r#"{"prompt": "x"}"#,
    r#"{"custom_id": "t1", "prompt": "x"}"#,
    r#"{"id": "t1", "custom_id": "t1", "prompt": "x"}"#,
    r#"{"id": 1, "prompt": "x"}"#,
    r#"{"id": "", "prompt": "x"}"#,
    r#"{"id": "a b", "prompt": "x"}"#,
    r#"{"id": "0123456789012345678901234567890123456789012345678901234567890123x", "prompt": "x"}"#,
    r#"{"id": "t1", "prompt": ""}"#,
    r#"{"id": "t1", "prompt": " \n\u0020"}"#,
    r#"{"id": "t1", "prompt": ["x"]}"#,
    r#"{"id": "t1", "prompt": "x", "maxTokens": 0}"#,
    r#"{"id": "t1", "prompt": "x", "maxTokens": 1.5}"#,
    r#"{"id": "t1", "prompt": "x", "maxTokens": "5"}"#,
    r#"{"id": "t1", "prompt": "x", "maxTokens": 5000000}"#,
    r#"{"id": "t1", "prompt": "x", "agent": "jugde"}"#,
    r#"{"id": "t1", "prompt": "x", "agent": "zzz"}"#,
    r#"{"id": "t1", "prompt": "x", "agent": {}}"#,
    r#"{"id": "t1", "prompt": "x", "model": "llama"}"#,
    r#"{"id": "t1", "prompt": "x", "model": "openai:gpt-5"}"#,
    r#"{"id": "t1", "prompt": "x", "metadata": "x"}"#,
    r#"{"id": "t1", "prompt": "x", "expect": "x"}"#,
    r#"{"id": "t1", "prompt": "x", "expect": {}}"#,
    r#"{"id": "t1", "prompt": "x", "expect": {"regexp": "x"}}"#,
    r#"{"id": "t1", "prompt": "x", "expect": {"regex": 5}}"#,
    r#"{"id": "t1", "prompt": "x", "expect": {"regex": "("}}"#,
    r#"{"id": "t1", "prompt": "x", "expect": {"contains": []}}"#,
    r#"{"id": "t1", "prompt": "x", "expect": {"contains": ["a", 5]}}"#,
    r#"{"id": "t1", "prompt": "x", "expect": {"contains": {}}}"#,
    r#"{"id": "t1", "prompt": "x", "expect": {"jsonSchema": "object"}}"#,
    r#"{"custom_id": "t1", "params": []}"#,
    r#"{"custom_id": "t1", "params": {"max_tokens": 5, "messages": []}}"#,
    r#"{"custom_id": "t1", "params": {"model": "claude-opus-4-6", "messages": []}}"#,
    r#"{"custom_id": "t1", "params": {"model": "claude-opus-4-6", "max_tokens": 0, "messages": []}}"#,
    r#"{"custom_id": "t1", "params": {"model": "claude-opus-4-6", "max_tokens": 5}}"#,
    r#"{"custom_id": "t1", "params": {"model": "claude-opus-4-6", "max_tokens": 5, "messages": "x"}}"#,
    r#"{"id": "t1", "params": {"model": "claude-opus-4-6", "max_tokens": 5, "messages": []}}"#,
    r#"{"custom_id": "t1", "params": {"model": "claude-opus-4-6", "max_tokens": 5, "messages": []}, "expect": {"regex": "x"}}"#,
    r#"{"custom_id": "t1", "method": "GET", "body": {}}"#,
    r#"{"custom_id": "t1", "url": "/v1/chat/completions", "body": {}}"#,
];

#[test]
fn every_bad_line_is_told() {
    let world = World::new();
    let mut told = String::new();
    for line in BAD {
        let error = world.told(format!("\n{line}\n"));
        assert!(error.starts_with("tasks.jsonl:2: "), "{line}: {error}");
        writeln!(told, "{line}\n    {error}").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_wrong_without_the_configuration_is_wrong_for_the_reader_too() {
    let world = World::new();
    // These need the configuration or the compiler of expectations.
    let later = ["\"agent\": \"", "openai", "5000000", "\"(\""];
    for line in BAD.iter().filter(|line| !later.iter().any(|part| line.contains(part))) {
        assert!(parse_task(line).is_err(), "{line}");
        let mut reader = TaskReader::open(&world.file(line)).unwrap();
        assert!(reader.next().unwrap().is_err(), "{line}");
    }
}

#[test]
fn the_first_twenty_wrong_lines_are_told_with_the_number_of_all() {
    let world = World::new();
    let mut file = String::new();
    for n in 1..=30 {
        writeln!(file, "{}", if n % 2 == 0 { "{" } else { r#"{"id": "same", "prompt": "x"}"# })
            .unwrap();
    }
    let told = world.told(&file);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 21);
    assert!(lines[0].starts_with("tasks.jsonl:2: not valid JSON"), "{}", lines[0]);
    assert_eq!(lines[1], "tasks.jsonl:3: id `same` is also on line 1: rename one");
    assert!(lines[19].starts_with("tasks.jsonl:21: "), "{}", lines[19]);
    assert_eq!(lines[20], "… and 9 more wrong lines in tasks.jsonl");
}

#[test]
fn one_bad_line_among_ten_thousand_is_found() {
    let world = World::new();
    let line = |n: u32| match n {
        4711 => "{\"id\": \"t4711\", \"prompt\": 5}\n".to_owned(),
        n => format!("{{\"id\": \"t{n}\", \"prompt\": \"x\"}}\n"),
    };
    let told = world.told((1..=10_000).map(line).collect::<String>());
    assert_eq!(told, "tasks.jsonl:4711: `prompt` must be a string, not a number");
}

#[test]
fn a_duplicate_id_is_told_with_both_lines_however_it_is_written() {
    let world = World::new();
    let told = world.told(
        "{\"id\": \"t1\", \"prompt\": \"x\"}\n\n{\"id\": \"t2\", \"prompt\": \"x\"}\n{\"custom_id\": \"\\u0074\\u0031\", \"params\": {\"model\": \"claude-opus-4-6\", \"max_tokens\": 5, \"messages\": []}}\n",
    );
    assert_eq!(told, "tasks.jsonl:4: id `t1` is also on line 1: rename one");
}

#[test]
fn a_file_that_is_no_task_file_is_told_by_name() {
    let world = World::new();
    let told = |path: &Path| {
        let scanned = world.scan(path).unwrap_err().to_string();
        let read = TaskReader::open(path).err().map(|error| error.to_string());
        assert!(read.is_none_or(|read| read == scanned));
        scanned.replace(world.directory.path().to_str().unwrap(), "DIR")
    };
    let in_it = |name: &str| world.directory.path().join(name);
    std::fs::write(in_it("empty"), "").unwrap();
    std::fs::write(in_it("blank"), "\u{feff}\n  \r\n\n").unwrap();
    std::fs::write(in_it("binary"), b"{\"id\": \"t\", \"prompt\": \"\xff\"}").unwrap();
    let all = ["missing", "empty", "blank", "binary"].map(|name| told(&in_it(name)));
    insta::assert_snapshot!(format!("{}\n{}", all.join("\n"), told(world.directory.path())));
}
