//! What the program says of itself: a change is a change of its interface.

use crate::support::World;

#[track_caller]
fn help(arguments: &[&str]) -> String {
    World::new().run(&[arguments, &["--help"]].concat()).ended(0).stdout
}

#[test]
fn help_of_the_program() {
    insta::assert_snapshot!(help(&[]));
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(help(&["run"]));
}

#[test]
fn help_of_auth() {
    let commands =
        ["add", "login", "list", "test", "explain", "clear", "disable", "enable", "logout"];
    let texts = commands.map(|command| {
        let text = help(&["auth", command]);
        let (own, _) = text.split_once("Options of every command").unwrap();
        format!("## polpo auth {command}\n\n{own}")
    });
    insta::assert_snapshot!(format!("{}\n{}", help(&["auth"]), texts.join("\n")));
}

#[test]
fn help_of_gateway() {
    let commands = ["add", "list", "revoke"];
    let texts = commands.map(|command| {
        let text = help(&["gateway", "key", command]);
        let (own, _) = text.split_once("Options of every command").unwrap();
        format!("## polpo gateway key {command}\n\n{own}")
    });
    let above = [help(&["gateway"]), help(&["gateway", "key"])].join("\n");
    insta::assert_snapshot!(format!("{above}\n{}", texts.join("\n")));
}

#[test]
fn help_of_each_other_command() {
    let commands: [&[&str]; 12] = [
        &["init"],
        &["chat"],
        &["simulate"],
        &["models"],
        &["models", "list"],
        &["models", "status"],
        &["cost"],
        &["config"],
        &["config", "validate"],
        &["config", "show"],
        &["config", "schema"],
        &["completions"],
    ];
    let texts =
        commands.map(|command| format!("## polpo {}\n\n{}", command.join(" "), help(command)));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn the_keys_of_a_polpo_json() {
    let schema = World::new().run(&["config", "schema"]).ended(0).json();
    let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    insta::assert_json_snapshot!(keys);
}

#[test]
fn without_a_command_it_says_how_to_use_it() {
    World::new().run(&[]).complained(2, &["Usage: polpo", "run", "simulate"]);
}

#[test]
fn completions_are_those_of_the_shell() {
    let world = World::new();
    for (shell, word) in
        [("bash", "complete -F _polpo"), ("zsh", "#compdef polpo"), ("fish", "complete -c polpo")]
    {
        let ran = world.run(&["completions", shell]).ended(0);
        assert!(ran.stdout.contains(word) && ran.stdout.contains("retry-failed"), "{shell}");
    }
}
