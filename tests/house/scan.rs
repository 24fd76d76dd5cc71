//! The rules on texts, each with a proof that it can fail.

use std::collections::BTreeSet;

/// The module of each actor and its struct.
const ACTORS: [(&str, &str); 4] =
    [("scheduler", "Scheduler"), ("profile", "Profile"), ("agent", "Agent"), ("keeper", "Keeper")];

/// Whether a crate is `family` or is named after it.
pub(crate) fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// Those of a crate's dependencies that are crates of ours it may not know.
pub(crate) fn foreign<'a>(dependencies: &'a [String], allowed: &[&str]) -> Vec<&'a String> {
    let ours = dependencies.iter().filter(|name| is_of(name, "polpo"));
    ours.filter(|name| !allowed.contains(&name.as_str())).collect()
}

/// The text without the lines that are comments: those may name what the code may not.
pub(crate) fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Whether the text has these words, and not as a part of longer ones.
pub(crate) fn says(text: &str, words: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(words).any(|(at, _)| {
        !text[..at].ends_with(in_name) && !text[at + words.len()..].starts_with(in_name)
    })
}

/// The structs of other actors that a file of `agents/src` knows, if it is an actor's.
///
/// Tests may put actors together.
pub(crate) fn actors_known(path: &str, text: &str) -> Vec<&'static str> {
    let owner = path.split(['/', '.']).next().unwrap_or_default();
    if !ACTORS.iter().any(|(module, _)| *module == owner) {
        return Vec::new();
    }
    let text = code(text);
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let others = ACTORS.iter().filter(|(module, _)| *module != owner);
    others.filter(|actor| knows(text, actor)).map(|(_, name)| *name).collect()
}

/// By its path, or by an import that names the module and, in it or in braces, the struct.
fn knows(text: &str, (module, name): &(&str, &str)) -> bool {
    let of_ours =
        |before: &str| ["crate::", "super::", "self::"].iter().any(|p| before.ends_with(p));
    let path = format!("{module}::{name}");
    // Another crate's module may have the name of one of ours.
    let mut paths = text.match_indices(&path).map(|(at, _)| text.split_at(at));
    let by_path = paths
        .any(|(before, from)| says(from, &path) && (of_ours(before) || !before.ends_with("::")));
    let imports = text.split(';').filter_map(|statement| statement.split_once("use "));
    let mut ours =
        imports.filter(|(_, import)| import.split_inclusive("::").next().is_some_and(of_ours));
    let by_import = ours
        .any(|(_, import)| says(import, module) && (says(import, name) || import.contains('*')));
    by_path || by_import
}

/// The `key = value` lines of a clippy.toml, lists left out.
pub(crate) fn scalars(toml: &str) -> BTreeSet<&str> {
    let lines = toml.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    lines.filter(|line| !line.ends_with('[')).collect()
}

/// The names that the text does not have in backticks.
pub(crate) fn unlisted(names: &[String], text: &str) -> Vec<String> {
    names.iter().filter(|name| !text.contains(&format!("`{name}`"))).cloned().collect()
}

/// The first line with an absolute path below a developer's folders.
pub(crate) fn path_of_a_machine(text: &str) -> Option<&str> {
    // Put together here, so that this file does not find itself.
    let folders = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    text.lines().find(|line| {
        folders.iter().any(|folder| {
            // What follows a name is a folder of that name, as in a repository's path.
            line.match_indices(folder).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~".contains(c))
            })
        })
    })
}

#[test]
fn a_crate_belongs_to_the_family_it_is_named_after() {
    assert!(is_of("tokio", "tokio") && is_of("tokio-util", "tokio") && is_of("rand_core", "rand"));
    assert!(!is_of("random", "rand") && !is_of("rand", "rand_core"));
}

#[test]
fn a_layer_above_or_beside_is_foreign() {
    let dependencies = ["polpo-policy", "polpo-agents", "serde"].map(str::to_owned);
    assert_eq!(foreign(&dependencies, &["polpo-policy"]), ["polpo-agents"]);
    assert_eq!(foreign(&dependencies, &["polpo-policy", "polpo-agents"]), [""; 0]);
}

#[test]
fn words_are_found_in_code_and_not_in_comments_or_longer_words() {
    assert!(says(&code("let now = Utc::now();\n"), "Utc::now"));
    assert!(says("use std::{fs};use std::fs;", "std::fs"));
    assert!(!says(&code("    /// Not Utc::now.\n// Utc::now\n"), "Utc::now"));
    assert!(!says("Utc::nowhere MyUtc::now", "Utc::now"));
}

#[test]
fn an_actor_that_imports_another_is_found() {
    let imports = "use crate::messages::Acquire;\nuse crate::scheduler::Scheduler;\n";
    assert_eq!(actors_known("profile.rs", imports), ["Scheduler"]);
    assert_eq!(actors_known("agent/task.rs", imports), ["Scheduler"]);
    for text in [
        "use crate::{\n    lease::Lease,\n    scheduler::{Grant, Scheduler},\n};",
        "use super::scheduler::*;",
        "pub(crate) use crate::scheduler::Scheduler as Boss;",
        "use super::scheduler;\nfn ask(boss: &scheduler::Scheduler) {}",
        "fn ask(boss: &Addr<crate::scheduler::Scheduler>) {}",
    ] {
        assert_eq!(actors_known("profile.rs", text), ["Scheduler"], "{text}");
    }
}

#[test]
fn an_actor_may_know_itself_messages_and_in_tests_everyone() {
    let text = "use crate::messages::{Acquire, ProfileStatus};\nuse polpo_store::profile::Profile;
        // Talks to scheduler::Scheduler.
        struct Scheduler;
        #[cfg(test)]\nmod tests { use crate::agent::Agent; }";
    assert_eq!(actors_known("scheduler.rs", text), ["Profile"; 0]);
    assert_eq!(actors_known("wiring.rs", "use crate::agent::Agent;"), ["Agent"; 0]);
}

#[test]
fn a_threshold_that_differs_or_is_missing_is_found() {
    let outer = "# Why.\na-threshold = 60\nb = true\nlist = [\n    { path = \"x\" },\n]\n";
    assert_eq!(scalars(outer), BTreeSet::from(["a-threshold = 60", "b = true"]));
    assert_ne!(scalars(outer), scalars("a-threshold = 61\nb = true\n"));
    assert_ne!(scalars(outer), scalars("a-threshold = 60\n"));
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let names = ["serde".to_owned(), "serde_json".to_owned()];
    assert_eq!(unlisted(&names, "| `serde` | reads |"), ["serde_json"]);
    assert_eq!(unlisted(&names, "`serde`, `serde_json`"), [""; 0]);
}

#[test]
fn a_path_of_a_machine_is_found_and_one_of_a_repository_is_not() {
    for folder in ["work", "root", "home"] {
        let line = format!("see /{folder}/me/polpo");
        assert_eq!(path_of_a_machine(&format!("first\n{line}\n")), Some(&*line));
    }
    let harmless = "~/home/x docs/home/x https://example.com/home/x";
    assert_eq!(path_of_a_machine(harmless), None);
}
