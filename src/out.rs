//! Words on stdout and stderr, whether or not anyone still reads them.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stderr, stdout};

use crate::exit::Stop;

/// Writes a line to stdout. A reader that has gone, as `head` does, has had what it wanted.
///
/// # Errors
/// When it cannot be written for any other reason.
pub fn say(line: impl Display) -> Result<(), Stop> {
    // In one piece, as a line buffer would write it line by line.
    let written = stdout().lock().write_all(format!("{line}\n").as_bytes());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Stop::not_written(format!("standard output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a line to stderr. Where that fails there is nobody left to tell.
pub fn tell(line: impl Display) {
    let _ = stderr().lock().write_all(format!("{line}\n").as_bytes());
}
