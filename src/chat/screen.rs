//! Where answers, thoughts and remarks go.

use std::io::IsTerminal;

use crate::cli::Global;
use crate::exit::Stop;
use crate::logs::is_coloured;
use crate::out;

/// The two outputs.
pub(super) struct Screen {
    is_quiet: bool,
    is_coloured: bool,
    shows_thoughts: bool,
    /// How the answer under way ends so far.
    ends: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With a line feed, or there is nothing yet.
    Line,
    /// In the middle of a line.
    Text,
    /// In the middle of a thought.
    Thought,
}

impl Screen {
    /// The screen of a process with these options.
    pub(super) fn new(global: &Global) -> Self {
        Self {
            is_quiet: global.quiet,
            is_coloured: is_coloured(global),
            shows_thoughts: !global.quiet && std::io::stderr().is_terminal(),
            ends: End::Line,
        }
    }

    /// Shows a piece of the answer.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Stop> {
        if self.ends == End::Thought {
            out::tell("");
        }
        self.ends = if text.ends_with('\n') { End::Line } else { End::Text };
        out::write(text)
    }

    /// Shows a piece of a thought, to people.
    pub(super) fn thought(&mut self, text: &str) {
        if self.shows_thoughts && !text.is_empty() {
            self.ends = End::Thought;
            out::hint(&self.dim(text));
        }
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        let ends = std::mem::replace(&mut self.ends, End::Line);
        match ends {
            End::Line => Ok(()),
            End::Text => out::write("\n"),
            End::Thought => {
                out::tell("");
                Ok(())
            }
        }
    }

    /// Tells what was asked for, or went wrong.
    pub(super) fn tell(&self, words: &str) {
        out::tell(words);
    }

    /// Tells what is only nice to know.
    pub(super) fn note(&self, words: &str) {
        if !self.is_quiet {
            out::tell(self.dim(words));
        }
    }

    fn dim(&self, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[2m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
