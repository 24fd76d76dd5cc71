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
    write(&format!("{line}\n"))
}

/// Writes to stdout what is no whole line, and shows it at once.
///
/// # Errors
/// As [`say`].
pub fn write(text: &str) -> Result<(), Stop> {
    let mut stdout = stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Stop::not_written(format!("standard output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a question to stdout, and leaves the cursor behind it.
///
/// # Errors
/// When it cannot be written.
pub fn ask(question: impl Display) -> Result<(), Stop> {
    let mut stdout = stdout().lock();
    let written = write!(stdout, "{question}").and_then(|()| stdout.flush());
    written
        .map_err(|error| Stop::not_written(format!("standard output cannot be written: {error}")))
}

/// Writes a line to stderr. Where that fails there is nobody left to tell.
pub fn tell(line: impl Display) {
    hint(&format!("{line}\n"));
}

/// Writes to stderr what is no whole line.
pub fn hint(text: &str) {
    let _ = stderr().lock().write_all(text.as_bytes());
}
