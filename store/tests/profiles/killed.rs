//! What is left of a file whose writers were killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use polpo_store::profiles::{ProfileFile, Token};

use crate::world::{NAME, at, clean, json, key, limited, names, of};

/// Names the child in its directory, and marks the directory as one that it may write to.
const MARK: &str = "for-a-child";
const KILLS: u64 = 25;

fn child(directory: &Path, name: u64) -> Child {
    fs::write(directory.join(MARK), name.to_string()).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::writes_until_it_is_killed", "--ignored", "--nocapture"])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the child of another test"]
fn writes_until_it_is_killed() {
    let here = std::env::current_dir().unwrap();
    let Ok(name) = fs::read_to_string(here.join(MARK)) else { return };
    let file = ProfileFile::new(&here.join("state"));
    // An end of its own, if nobody kills it.
    for count in 0..1_000 {
        let id = format!("anthropic:{name}-{count}");
        file.put(&key(&id), at(count)).unwrap();
        println!("put {id}");
        let token = Token { access: format!("token-of-{id}"), refresh: None, expires: None };
        assert!(file.update_token(&id.as_str().into(), &token).unwrap());
        println!("refreshed {id}");
        file.remember(of("anthropic:shared", limited(at(count)))).unwrap();
    }
}

#[test]
fn no_profile_is_lost_to_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let file = ProfileFile::new(&state);
    let (mut put, mut refreshed) = (Vec::new(), Vec::new());
    let mut random = 4_711_u64;
    for name in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut child = child(directory.path(), name);
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told = said.by_ref().filter(|said| said.starts_with("put") || said.starts_with("ref"));
        let told: Vec<_> = told.take(usize::try_from((random >> 33) % 6).unwrap()).collect();
        thread::sleep(Duration::from_micros((random >> 40) % 10_000));
        child.kill().unwrap();
        child.wait().unwrap();
        for said in told.into_iter().chain(said) {
            put.extend(said.strip_prefix("put ").map(String::from));
            refreshed.extend(said.strip_prefix("refreshed ").map(String::from));
        }

        let stored = clean(&file).profiles;
        let json = json(&file);
        for id in &put {
            assert!(stored.iter().any(|profile| profile.id.as_str() == id), "{id} is lost");
        }
        for id in &refreshed {
            assert_eq!(json["profiles"][id]["access"], format!("token-of-{id}"));
        }
        assert!(names(&state).len() <= 2, "{:?}", names(&state));
    }
    assert!(refreshed.len() >= 20);
    file.put(&key("anthropic:last"), at(0)).unwrap();
    assert_eq!(names(&state), [NAME]);
}
