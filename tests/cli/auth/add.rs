//! Keys that are stored, and those that are not.

use super::{KEY, NOBODYS_KEY, OTHER_KEY, PROFILE, configure, fed, file, served, status};
use crate::support::{Process, World};

#[test]
fn a_key_that_works_is_stored_under_a_name_made_of_it() {
    let (world, _server) = served();
    let ran = fed(&world, &format!(" {KEY}\r\n"), &["auth", "add", "anthropic"]).ended(0);
    let place = world.path("state/auth-profiles.json");
    let expected = format!("Profile saved as: {PROFILE}\nStored in {}\n", place.display());
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (expected.as_str(), ""));
    let stored = &file(&world)["profiles"][PROFILE];
    assert_eq!((&stored["type"], &stored["access"]), (&"api_key".into(), &KEY.into()));
}

#[test]
fn a_name_can_be_given_and_the_home_directory_is_told_as_people_write_it() {
    let (world, _server) = served();
    let input = world.write("key", KEY);
    let mut command = world.polpo(&["auth", "add", "anthropic", "--name", "me@work.com"]);
    command.env_remove("POLPO_STATE_DIR");
    let ran = Process::fed(command, &input).end().ended(0);
    let said = "Profile saved as: anthropic:me@work.com\nStored in ~/.polpo/auth-profiles.json\n";
    assert_eq!(ran.stdout, said);
    assert!(world.path("home/.polpo/auth-profiles.json").is_file());
}

#[test]
fn a_key_that_is_refused_or_cannot_be_tested_is_not_stored_unless_that_is_wanted() {
    let (world, server) = served();
    let add = ["auth", "add", "anthropic"];
    fed(&world, NOBODYS_KEY, &add).complained(4, &["refused", "401", "nothing was stored"]);
    drop(server);
    fed(&world, KEY, &add).complained(4, &["connect", "nothing was stored", "--no-test"]);
    assert!(!world.path("state/auth-profiles.json").exists());
    fed(&world, KEY, &[&add[..], &["--no-test"]].concat()).ended(0);
    assert_eq!(status(&world, PROFILE)["state"], "ready");
}

#[test]
fn what_is_no_key_no_name_or_no_provider_is_told() {
    let world = World::new();
    let anthropic = ["auth", "add", "anthropic"];
    fed(&world, "\n", &anthropic).complained(2, &["the key is empty", "standard input"]);
    fed(&world, "two words", &anthropic).complained(2, &["blank"]);
    let named = |name| [&anthropic[..], &["--name", name]].concat();
    fed(&world, KEY, &named("a b")).complained(2, &["--name", "letters"]);
    fed(&world, KEY, &["auth", "add", "antropic"]).complained(2, &["did you mean anthropic?"]);
    assert!(!world.path("state/auth-profiles.json").exists());
}

#[test]
fn a_key_on_the_command_line_is_not_taken_and_not_repeated() {
    let world = World::new();
    for arguments in
        [&["auth", "add", "anthropic", KEY][..], &["auth", "add", KEY], &["auth", "test", KEY]]
    {
        let ran = world.run(arguments).complained(2, &["that is a key", "replace it"]);
        assert!(!ran.stderr.contains(KEY), "{ran}");
    }
}

#[test]
fn a_key_is_in_no_output_at_any_verbosity() {
    let (world, _server) = served();
    for key in [KEY, NOBODYS_KEY] {
        let add = ["auth", "add", "anthropic", "-vv"];
        let runs = [
            fed(&world, key, &add),
            fed(&world, key, &[&add[..], &["--no-test"]].concat()),
            world.run(&["auth", "test", "-vv"]),
            world.run(&["auth", "list", "-vv"]),
            world.run(&["auth", "explain", "-vv", "--json"]),
        ];
        for ran in runs {
            assert!(!ran.stdout.contains(key) && !ran.stderr.contains(key), "{ran}");
        }
    }
}

#[test]
fn a_stored_key_that_another_one_goes_before_is_said_to_be_unused() {
    let (world, server) = served();
    configure(&world, serde_json::json!({"apiKey": KEY, "baseUrl": server.base_url()}));
    let add = ["auth", "add", "anthropic", "--name", "spare"];
    let ran = fed(&world, super::OTHER_KEY, &add).ended(0);
    for word in ["polpo.json has a key", "anthropic:spare", "remove the key"] {
        assert!(ran.stderr.contains(word), "{ran}");
    }
    assert_eq!(status(&world, "anthropic:spare")["used"], false);
    assert_eq!(status(&world, PROFILE)["source"], "config");
    let ran = world.run(&["auth", "test", "anthropic:spare"]);
    ran.complained(4, &["anthropic:spare is not in use"]);
}

#[test]
fn a_word_that_is_no_key_is_taken_for_a_name_and_a_key_that_is_replaced_is_said_to_be() {
    let world = World::new();
    let add = ["auth", "add", "anthropic", "work"];
    world.run(&add).complained(2, &["unexpected argument", "did you mean --name work?"]);
    let add = ["auth", "add", "anthropic", "--no-test", "--name", "work"];
    assert!(!fed(&world, KEY, &add).ended(0).stdout.contains("replaced"));
    let ran = fed(&world, OTHER_KEY, &add).ended(0);
    assert!(ran.stdout.contains("The key that anthropic:work had is replaced"), "{ran}");
}
