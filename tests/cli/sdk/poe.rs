//! The programs on Poe's page about its Anthropic-compatible API, as they are printed there but for
//! the address and the key.

use std::ffi::OsString;

use serde_json::json;

use super::{file, node, python};
use crate::http::events;
use crate::schema::{MESSAGE, assert_are_events, assert_fits};
use crate::server::scenario;
use crate::site::Site;
use crate::support::{Process, World};

/// What a program says to a gateway that is handed to its interpreter.
#[track_caller]
fn said(name: &str, interpreter: impl Into<OsString>, options: &[&str]) -> String {
    let world = World::new();
    let site = Site::gateway(&world, &scenario(json!({})));
    let text = std::fs::read_to_string(file(&format!("poe/{name}"))).unwrap();
    let text = text.replace("https://api.poe.com", &site.base_url());
    let mut client = world.command(interpreter.into());
    // Where Node.js finds the SDK.
    client.current_dir(file("typescript"));
    client.args(options).arg(text).env("POE_API_KEY", site.key());
    Process::start(client).end().ended(0).stdout
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_python_programs_say_what_the_model_says() {
    for name in ["create.py", "stream.py"] {
        assert!(said(name, python(), &["-c"]).contains(". "), "{name}");
    }
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_programs_say_what_the_model_says() {
    for name in ["create.mjs", "stream.mjs"] {
        let said = said(name, node(), &["--input-type=module", "--eval"]);
        assert!(said.contains(". "), "{name}");
    }
}

#[test]
#[ignore = "needs curl; .ci/run installs it"]
fn the_curl_commands_get_a_message_and_its_events() {
    let message = said("create.sh", "sh", &["-c"]);
    assert_fits(&MESSAGE, &serde_json::from_str(&message).unwrap());
    let events = events(&said("stream.sh", "sh", &["-c"]));
    assert_are_events(&events);
    assert_eq!(events.last().unwrap().0, "message_stop");
}
