//! Reading whole files, well formed or not.

use std::fmt::Write as _;
use std::time::Instant;

use super::*;

const THREE_SHAPES: &str = "\u{feff}{\"id\": \"t1\", \"prompt\": \"What is 1+1?\", \"expect\": {\"regex\": \"2\"}, \"metadata\": {\"k\": 1}}\r\n\
    \r\n\
    {\"custom_id\": \"t2\", \"params\": {\"model\": \"claude-haiku-4.5\", \"max_tokens\": 50, \"messages\": [], \"stream\": true}}\n\
    {\"custom_id\": \"t3\", \"method\": \"POST\", \"url\": \"/v1/messages\", \"body\": {\"model\": \"claude-opus-4-6\", \"max_tokens\": 7, \"messages\": []}}\n\
    {\"id\": \"t4\", \"agent\": \"judge\", \"prompt\": \"x\", \"maxTokens\": 3}";

#[test]
fn the_first_pass_counts_tasks_and_sums_what_they_ask_for_by_model() {
    let world = World::new();
    let scan = world.scan_text(THREE_SHAPES).unwrap();
    assert_eq!(scan.tasks, 4);
    assert_eq!(scan.bytes, u64::try_from(THREE_SHAPES.len()).unwrap());
    let models: Vec<(String, ModelEstimate)> =
        scan.models.iter().map(|(model, sums)| (model.to_string(), *sums)).collect();
    let body = r#"{"model": "claude-opus-4-6", "max_tokens": 7, "messages": []}"#.len();
    let params =
        r#"{"model": "claude-haiku-4.5", "max_tokens": 50, "messages": [], "stream": true}"#.len();
    let sums = |tasks, input_bytes: usize, max_tokens| ModelEstimate {
        tasks,
        input_bytes: u64::try_from(input_bytes).unwrap(),
        max_tokens,
    };
    assert_eq!(
        models,
        [
            ("anthropic:claude-haiku-4-5-20251001".to_owned(), sums(1, params, 50)),
            ("anthropic:claude-opus-4-6".to_owned(), sums(2, body + 1, 10)),
            ("anthropic:claude-sonnet-4-6".to_owned(), sums(1, 12 + "Be brief.".len(), 1000)),
        ]
    );
}

#[test]
fn the_second_pass_yields_each_task_with_the_number_of_its_line() {
    let world = World::new();
    let path = world.file(THREE_SHAPES);
    let tasks: Vec<(u64, String)> = TaskReader::open(&path)
        .unwrap()
        .map(|task| task.map(|(line, task)| (line, task.id.to_string())).unwrap())
        .collect();
    let expected = [(1, "t1"), (3, "t2"), (4, "t3"), (5, "t4")];
    assert_eq!(tasks, expected.map(|(line, id)| (line, id.to_owned())));
}

#[test]
fn an_expectation_that_repeats_is_compiled_once() {
    let world = World::new();
    let mut file = String::new();
    for n in 0..100 {
        let regex = if n < 50 { "a" } else { "b" };
        writeln!(file, r#"{{"id": "t{n}", "prompt": "x", "expect": {{"regex": "{regex}"}}}}"#)
            .unwrap();
    }
    world.scan_text(file).unwrap();
    assert_eq!(world.compiled.get(), 2);
}

#[test]
fn random_damage_never_panics_and_both_passes_agree() {
    let world = World::new();
    let mut seed = 7_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..2000 {
        let mut bytes = THREE_SHAPES.as_bytes().to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            bytes[at] = b"{}[]\",:\\ \n0u\xff"[random(13)];
        }
        let path = world.file(&bytes);
        if let Ok(scan) = world.scan(&path) {
            let tasks: Vec<_> = TaskReader::open(&path).unwrap().collect();
            assert!(tasks.iter().all(Result::is_ok), "{}", String::from_utf8_lossy(&bytes));
            assert_eq!(u64::try_from(tasks.len()).unwrap(), scan.tasks);
            for (_, task) in tasks.into_iter().map(Result::unwrap) {
                let agent = &world.config.agents[0];
                assert!(Effective::of(task, &world.config, agent).is_ok());
            }
        }
    }
}

/// Not a test of right and wrong: prints how fast the first pass is. Run it alone, in release:
/// `cargo test --release -p polpo --lib first_pass_is_fast -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn the_first_pass_is_fast() {
    let world = World::new();
    for (name, prompt) in [
        ("plain", "The quick brown fox jumps over the lazy dog. ".repeat(5)),
        ("with escapes", "The \\\"quick\\\" brown fox\\njumps over the dog. ".repeat(5)),
    ] {
        let mut file = String::new();
        for n in 0..1_000_000 {
            writeln!(
                file,
                r#"{{"id": "task-{n}", "prompt": "{prompt}", "maxTokens": 512, "expect": {{"regex": "fox"}}}}"#
            )
            .unwrap();
        }
        let path = world.file(&file);
        drop(file);
        for _ in 0..3 {
            let start = Instant::now();
            let scan = world.scan(&path).unwrap();
            let seconds = start.elapsed().as_secs_f64();
            let bytes = f64::from(u32::try_from(scan.bytes).unwrap());
            println!(
                "{name}: {} tasks, {:.0} MB, {seconds:.2} s, {:.0} MB/s",
                scan.tasks,
                bytes / 1e6,
                bytes / 1e6 / seconds
            );
        }
    }
}
