//! `polpo init`: a starter polpo.json.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::config::STARTER;
use crate::exit::{Exit, Stop};
use crate::out::say;

/// Writes the starter into the current directory, unless there is one.
///
/// # Errors
/// When there is one, or it cannot be written.
pub fn init() -> Result<Exit, Stop> {
    let path = Path::new("polpo.json");
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return Stop::usage("polpo.json is there already and was left as it is");
        }
        Stop::usage(format!("polpo.json cannot be written: {error}"))
    })?;
    file.write_all(STARTER.as_bytes())
        .map_err(|error| Stop::usage(format!("polpo.json cannot be written: {error}")))?;
    say(
        "wrote polpo.json; next: put tasks into tasks.jsonl and try `polpo run tasks.jsonl --simulate`",
    )?;
    Ok(Exit::Success)
}
