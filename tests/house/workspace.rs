//! What there is to look at: the packages of the workspace and its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A package of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    /// What it is built from; tests may know more.
    pub(crate) dependencies: Vec<String>,
    /// The same and what its tests are built from.
    pub(crate) everything: Vec<String>,
    /// Its Cargo.toml.
    pub(crate) manifest: String,
}

/// A file that belongs to the project.
pub(crate) struct File {
    /// Below the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every package, the root included.
pub(crate) fn members() -> Vec<Member> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let output = cargo.current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let members: Vec<_> = metadata["packages"].as_array().unwrap().iter().map(member).collect();
    assert!(members.len() > 1, "no workspace");
    members
}

fn member(package: &Value) -> Member {
    let dependencies = package["dependencies"].as_array().unwrap();
    let names = |of: &dyn Fn(&Value) -> bool| {
        let names = dependencies.iter().filter(|dependency| of(dependency));
        names.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
    };
    Member {
        name: package["name"].as_str().unwrap().to_owned(),
        dependencies: names(&|dependency| dependency["kind"] != "dev"),
        everything: names(&|_| true),
        manifest: fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap(),
    }
}

/// The files whose path starts and ends so. What is not text is read as well as it can be.
pub(crate) fn files(start: &str, end: &str) -> Vec<File> {
    let paths = tracked().unwrap_or_else(|| {
        let mut paths = Vec::new();
        walk(Path::new(ROOT), &mut paths);
        paths
    });
    let wanted = paths.into_iter().filter(|path| path.starts_with(start) && path.ends_with(end));
    // A file that git knows may be deleted and not yet committed so.
    let found: Vec<_> = wanted
        .filter_map(|path| {
            let bytes = fs::read(Path::new(ROOT).join(&path)).ok()?;
            Some(File { path, text: String::from_utf8_lossy(&bytes).into_owned() })
        })
        .collect();
    found
}

/// What is committed or could be; `None` outside a checkout, or without git.
fn tracked() -> Option<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.current_dir(ROOT).output().ok()?;
    let paths = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<_> = paths.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

/// A copy without a history has build output in it, and little else that is not ours.
fn walk(folder: &Path, paths: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        let below = path.strip_prefix(ROOT).unwrap().to_string_lossy().replace('\\', "/");
        let skipped = ["target", ".git", "node_modules"].iter().any(|name| path.ends_with(name));
        match path.is_dir() {
            true if skipped => {}
            true => walk(&path, paths),
            false => paths.push(below),
        }
    }
}

#[test]
fn both_ways_to_list_files_find_this_one() {
    let mut walked = Vec::new();
    walk(&PathBuf::from(ROOT), &mut walked);
    for paths in [Some(walked), tracked()].into_iter().flatten() {
        assert!(paths.iter().any(|path| path == "tests/house/workspace.rs"));
        assert!(!paths.iter().any(|path| path.starts_with("target/")));
    }
}

#[test]
fn packages_are_read_with_what_they_are_built_from() {
    let members = members();
    let root = members.iter().find(|member| member.name == "polpo").unwrap();
    assert!(root.dependencies.iter().any(|name| name == "actix"));
    assert!(!root.dependencies.iter().any(|name| name == "insta"), "only its tests know it");
    assert!(root.everything.iter().any(|name| name == "insta"));
}
