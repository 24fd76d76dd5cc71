//! What is typed or piped in, line by line.

use std::io::{BufRead, IsTerminal, Read, stdin};
use std::path::Path;
use std::sync::mpsc as threads;

use rustyline::config::{Behavior, Configurer};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::exit::Stop;

/// Lines that are remembered from chat to chat: some days of them.
const HISTORY_LINES: usize = 1000;

/// The most that is said at once: the API takes no larger request.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What comes in next.
pub(super) enum Entry {
    /// A line, or several that backslashes join.
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// The end.
    End,
    /// It cannot be read.
    Broken(String),
}

/// Where lines come from: a thread of its own, as reading blocks, and no runtime shall wait for it
/// at the end.
pub(super) struct Input {
    /// Whether somebody types.
    pub(super) is_terminal: bool,
    wanted: threads::Sender<()>,
    entries: mpsc::Receiver<Entry>,
    interrupt: Signal,
}

enum Source {
    Terminal(Box<Editor<(), FileHistory>>, std::path::PathBuf),
    Pipe,
}

impl Input {
    /// Standard input; what is typed is remembered in `history`.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub(super) fn open(history: &Path) -> Result<Self, Stop> {
        let is_terminal = stdin().is_terminal();
        let mut source = if is_terminal { terminal(history)? } else { Source::Pipe };
        let (wanted, asked) = threads::channel();
        let (send, entries) = mpsc::channel(1);
        std::thread::spawn(move || {
            for () in asked {
                if send.blocking_send(source.entry()).is_err() {
                    return;
                }
            }
        });
        let interrupt = signal(SignalKind::interrupt()).map_err(Stop::usage)?;
        Ok(Self { is_terminal, wanted, entries, interrupt })
    }

    /// What comes in next.
    pub(super) async fn next(&mut self) -> Entry {
        if self.wanted.send(()).is_err() {
            return Entry::End;
        }
        // While somebody types Ctrl-C is a key, and no signal.
        tokio::select! {
            entry = self.entries.recv() => entry.unwrap_or(Entry::End),
            _ = self.interrupt.recv(), if !self.is_terminal => Entry::Interrupted,
        }
    }
}

fn terminal(history: &Path) -> Result<Source, Stop> {
    let fault = |error| Stop::usage(format!("the terminal cannot be used: {error}"));
    // On the terminal itself, as standard output is for answers.
    let config = Config::builder().behavior(Behavior::PreferTerm).build();
    let mut editor = Editor::with_config(config).map_err(fault)?;
    editor.set_max_history_size(HISTORY_LINES).map_err(fault)?;
    if let Err(error) = editor.load_history(history)
        && history.exists()
    {
        tracing::warn!(file = %history.display(), %error, "the lines typed before are not there");
    }
    Ok(Source::Terminal(Box::new(editor), history.to_owned()))
}

impl Source {
    /// A line and those that it goes on in.
    fn entry(&mut self) -> Entry {
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { "> " } else { "… " };
            match self.line(prompt, MAX_BYTES - text.len()) {
                Ok(Some(line)) => match line.strip_suffix('\\') {
                    Some(line) => {
                        text.push_str(line);
                        text.push('\n');
                    }
                    None => {
                        text.push_str(&line);
                        self.remember(&text);
                        return Entry::Line(text);
                    }
                },
                Ok(None) if text.is_empty() => return Entry::End,
                Ok(None) => return Entry::Line(text),
                Err(entry) => return entry,
            }
        }
    }

    /// A line without its end, of so many bytes at most; `None` at the end.
    fn line(&mut self, prompt: &str, most: usize) -> Result<Option<String>, Entry> {
        match self {
            Self::Terminal(editor, _) => match editor.readline(prompt) {
                Ok(line) if line.len() > most => Err(too_long()),
                Ok(line) => Ok(Some(line)),
                Err(ReadlineError::Eof) => Ok(None),
                Err(ReadlineError::Interrupted) => Err(Entry::Interrupted),
                Err(error) => Err(broken(&error)),
            },
            Self::Pipe => piped(&mut stdin().lock(), most),
        }
    }

    fn remember(&mut self, text: &str) {
        let Self::Terminal(editor, file) = self else { return };
        let kept = editor
            .add_history_entry(text)
            .and_then(|is_new| if is_new { editor.append_history(file.as_path()) } else { Ok(()) });
        if let Err(error) = kept {
            tracing::warn!(file = %file.display(), %error, "a line cannot be remembered");
        }
    }
}

/// As [`Source::line`], from a pipe.
fn piped(pipe: &mut impl BufRead, most: usize) -> Result<Option<String>, Entry> {
    let mut line = Vec::new();
    // Room for the end of the line.
    let mut bounded = pipe.take((most as u64).saturating_add(2));
    bounded.read_until(b'\n', &mut line).map_err(|error| broken(&error))?;
    if line.is_empty() {
        return Ok(None);
    }
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() > most {
        return Err(too_long());
    }
    std::str::from_utf8(text).map(|text| Some(text.to_owned())).map_err(|error| broken(&error))
}

fn too_long() -> Entry {
    let most = MAX_BYTES / (1024 * 1024);
    Entry::Broken(format!(
        "standard input: a line is longer than {most} MiB, the most that the API takes at once"
    ))
}

fn broken(error: &dyn std::error::Error) -> Entry {
    Entry::Broken(format!("standard input cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piped_line_is_read_as_far_as_it_may_be_long() {
        let mut pipe = &b"four\r\n\nfive\nsixes and more"[..];
        let mut line = || piped(&mut pipe, 4).map_err(|entry| matches!(entry, Entry::Broken(_)));
        assert_eq!(line(), Ok(Some("four".to_owned())));
        assert_eq!(line(), Ok(Some(String::new())));
        assert_eq!(line(), Ok(Some("five".to_owned())));
        assert_eq!(line(), Err(true));
        assert_eq!(pipe.len(), "sixes and more".len() - 6, "no more than that is read");
        assert!(matches!(piped(&mut &b"\xff\n"[..], 4), Err(Entry::Broken(_))));
        assert!(matches!(piped(&mut &b""[..], 4), Ok(None)));
    }
}
