//! The architecture as a test: who may know whom, and what nobody may do.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like a test")]

#[path = "house/gateway.rs"]
mod gateway;
#[path = "house/scan.rs"]
mod scan;
#[path = "house/seeds.rs"]
mod seeds;
#[path = "house/workspace.rs"]
mod workspace;

use scan::{actors_known, code, foreign, is_of, path_of_a_machine, says, scalars, unlisted};
use workspace::{File, Member, files, members};

/// Who may import whom; a crate that is not here may not exist.
const LAYERS: [(&str, &[&str]); 7] = [
    ("polpo-policy", &[]),
    ("polpo-upstream", &["polpo-policy"]),
    ("polpo-store", &["polpo-policy"]),
    ("polpo-metrics", &["polpo-policy"]),
    ("polpo-agents", &["polpo-policy", "polpo-upstream", "polpo-store", "polpo-metrics"]),
    // Keeps its own books, so that ours agreeing with them means something.
    ("polpo-simulator", &["polpo-upstream"]),
    (
        "polpo",
        &[
            "polpo-agents",
            "polpo-metrics",
            "polpo-policy",
            "polpo-simulator",
            "polpo-store",
            "polpo-upstream",
        ],
    ),
];

/// The crates that a subject is left to.
const KEEPERS: [(&str, &[&str]); 5] = [
    ("actix", &["polpo-agents", "polpo"]),
    ("actix-web", &["polpo-simulator", "polpo"]),
    ("reqwest", &["polpo-upstream"]),
    ("prometheus", &["polpo-metrics"]),
    ("sqlx", &["polpo-store"]),
];

/// What would give `policy` a clock, a socket or a die, each with all that is named after it.
const NOT_IN_POLICY: [&str; 6] = ["actix", "prometheus", "rand", "reqwest", "sqlx", "tokio"];

/// The same by way of std and chrono.
const NOT_SAID_IN_POLICY: [&str; 7] = [
    "Local::now",
    "Utc::now",
    "Instant::now",
    "SystemTime::now",
    "std::env",
    "std::fs",
    "thread_rng",
];

/// Files above this are printed, as places to look at.
const LONG: usize = 400;

#[test]
fn crates_import_only_the_layers_below_them() {
    let found = members().into_iter().flat_map(|Member { name, dependencies, .. }| {
        let layer = LAYERS.iter().find(|(known, _)| *known == name);
        let (_, allowed) = layer.unwrap_or_else(|| panic!("{name} has no place in LAYERS"));
        let foreign = foreign(&dependencies, allowed).into_iter();
        foreign.map(|other| format!("{name} knows {other}")).collect::<Vec<_>>()
    });
    none(found);
}

#[test]
fn each_subject_is_left_to_the_crates_that_keep_it() {
    let found = KEEPERS.iter().flat_map(|(subject, keepers)| {
        let others = members().into_iter().filter(|member| !keepers.contains(&&*member.name));
        let knowing =
            others.filter(|member| member.dependencies.iter().any(|name| name == subject));
        knowing.map(|member| format!("{} knows {subject}", member.name)).collect::<Vec<_>>()
    });
    none(found);
}

#[test]
fn in_the_root_package_only_http_knows_actix_web() {
    let others = files("src/", ".rs")
        .into_iter()
        .filter(|file| file.path != "src/http.rs" && !file.path.starts_with("src/http/"));
    none(others.filter(|file| says(&code(&file.text), "actix_web")).map(|file| file.path));
}

#[test]
fn policy_has_no_clock_no_surroundings_and_no_chance() {
    let policy = members().into_iter().find(|member| member.name == "polpo-policy").unwrap();
    let dependencies = policy.dependencies.into_iter();
    none(dependencies.filter(|name| NOT_IN_POLICY.iter().any(|family| is_of(name, family))));
    none(files("policy/src/", ".rs").into_iter().flat_map(|File { path, text }| {
        let text = code(&text);
        let said = NOT_SAID_IN_POLICY.iter().filter(|word| says(&text, word));
        said.map(|word| format!("{path} says {word}")).collect::<Vec<_>>()
    }));
}

#[test]
fn an_actor_knows_messages_and_no_other_actor() {
    none(files("agents/src/", ".rs").into_iter().flat_map(|File { path, text }| {
        let inside = path.strip_prefix("agents/src/").unwrap_or_default();
        let known = actors_known(inside, &text).into_iter();
        known.map(|actor| format!("{path} knows {actor}")).collect::<Vec<_>>()
    }));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let silent = members()
        .into_iter()
        .filter(|Member { manifest, .. }| !manifest.contains("[lints]\nworkspace = true"));
    none(silent.map(|member| member.name));
}

#[test]
fn no_lint_is_switched_off_without_a_reason_and_nothing_is_unsafe() {
    // Written apart, so that this file does not find itself.
    let allow = ["[al", "low("].concat();
    let keyword = ["un", "safe"].concat();
    none(files("", ".rs").into_iter().flat_map(|File { path, text }| {
        let text = code(&text);
        let found =
            [text.contains(&allow).then_some(&allow), says(&text, &keyword).then_some(&keyword)];
        found.into_iter().flatten().map(|what| format!("{path} has {what}")).collect::<Vec<_>>()
    }));
}

#[test]
fn the_clippy_files_of_crates_repeat_the_thresholds_of_the_outer_one() {
    let (outer, inner): (Vec<_>, Vec<_>) =
        files("", "clippy.toml").into_iter().partition(|file| file.path == "clippy.toml");
    let thresholds = scalars(&outer[0].text);
    assert!(!thresholds.is_empty());
    none(inner.into_iter().filter(|file| scalars(&file.text) != thresholds).map(|file| file.path));
}

#[test]
fn every_dependency_has_its_reason_in_the_architecture() {
    let Some(text) = files("", "ARCHITECTURE.md").into_iter().find(|f| f.path == "ARCHITECTURE.md")
    else {
        return;
    };
    let all = members().into_iter().flat_map(|member| member.everything);
    let others: Vec<_> = all.filter(|name| !is_of(name, "polpo")).collect();
    none(unlisted(&others, &text.text));
}

#[test]
fn nothing_names_a_path_of_the_machine_it_was_written_on() {
    let found = files("", "").into_iter().filter_map(|File { path, text }| {
        path_of_a_machine(&text).map(|line| format!("{path}: {line}"))
    });
    none(found);
}

#[test]
fn long_files_are_places_to_look_at() {
    for File { path, text } in files("", ".rs") {
        let lines = text.lines().count();
        if lines > LONG {
            println!("{path} has {lines} lines");
        }
    }
}

/// Fails with everything that was found.
#[track_caller]
fn none(found: impl IntoIterator<Item = String>) {
    let found: std::collections::BTreeSet<_> = found.into_iter().collect();
    assert!(found.is_empty(), "{found:#?}");
}
