//! The text of a polpo.json: without its comments, as JSON, and where in it things stand.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::error::{ConfigError, Fault, Place, io_words};
use super::locate::{locate, offset_of, position};
use super::path::JsonPath;
use super::sanitise::{readable, without_position};
use super::unique::Unique;

/// Far more than anybody writes by hand; a larger file is not a polpo.json.
const MAX_BYTES: u64 = 16 << 20;

/// A polpo.json that has been read. It holds secrets, so it has no `Debug`.
pub(super) struct Document {
    file: PathBuf,
    /// What the user wrote: positions are counted in it.
    original: String,
    /// The same with blanks for comments and trailing commas, byte for byte at the same offsets.
    json: String,
}

impl Document {
    pub(super) fn read(file: &Path) -> Result<Self, ConfigError> {
        let trouble = |problem: &str, advice: &str| ConfigError::File {
            file: file.to_owned(),
            problem: problem.to_owned(),
            advice: advice.to_owned(),
        };
        let unreadable = |error: std::io::Error| {
            let problem = format!("cannot be read: {}", io_words(&error));
            trouble(&problem, "check the path and its permissions")
        };
        if file.is_dir() {
            return Err(trouble("is a directory", "name the file in it"));
        }
        let opened = File::open(file).map_err(unreadable)?;
        let mut bytes = Vec::new();
        opened.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(trouble("is larger than 16 MiB", "name a polpo.json"));
        }
        let text =
            String::from_utf8(bytes).map_err(|_| trouble("is not UTF-8", "save it as UTF-8"))?;
        Self::parse(file.to_owned(), text)
    }

    /// Takes a text for the content of `file`.
    pub(super) fn parse(file: PathBuf, mut original: String) -> Result<Self, ConfigError> {
        if original.starts_with('\u{feff}') {
            original.drain(..'\u{feff}'.len_utf8());
        }
        let mut json = original.clone();
        let stripped = json_strip_comments::strip(&mut json);
        let document = Self { file, original, json };
        match stripped {
            Ok(()) => Ok(document),
            Err(_) => {
                // What it changed last is the slash that begins no comment.
                let (old, new) = (document.original.as_bytes(), document.json.as_bytes());
                let last = (0..old.len()).rev().find(|&at| old[at] != new[at]);
                let problem = "a `/` outside a string begins no comment";
                let advice = "write `//` or `/* */`, or put the text in quotes";
                Err(document.entry(last.unwrap_or(0), "", (problem, advice)))
            }
        }
    }

    /// The JSON in it; an object with the same key twice is an error.
    pub(super) fn value(&self) -> Result<Value, ConfigError> {
        let mut deserializer = serde_json::Deserializer::from_str(&self.json);
        let parsed = serde_path_to_error::deserialize::<_, Unique>(&mut deserializer);
        let value = match parsed {
            Ok(value) => deserializer.end().map(|()| value.0).map_err(|e| (JsonPath::default(), e)),
            Err(error) => Err((JsonPath::from(error.path()), error.into_inner())),
        };
        value.map_err(|(path, error)| {
            let at = offset_of(&self.json, error.line(), error.column());
            // The parser says what it wanted, never what it got; the other messages are ours.
            let problem = without_position(&error.to_string());
            let advice = if error.is_data() {
                "keep one of them"
            } else {
                "correct the JSON (comments and trailing commas are allowed)"
            };
            self.entry(at, &path.to_string(), (&problem, advice))
        })
    }

    /// A value as a type of the schema.
    pub(super) fn typed<T: for<'de> Deserialize<'de>>(
        &self,
        value: Value,
    ) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = JsonPath::from(error.path());
            self.error(readable(path, &error.inner().to_string()))
        })
    }

    /// Says where in the file a fault is.
    pub(super) fn error(&self, fault: Fault) -> ConfigError {
        match fault.place {
            Place::Variable(variable) => ConfigError::Variable {
                variable: variable.to_owned(),
                problem: fault.problem,
                advice: fault.advice,
            },
            Place::Path(path) => {
                let at = locate(&self.json, path.steps());
                self.entry(at, &path.to_string(), (&fault.problem, &fault.advice))
            }
        }
    }

    fn entry(&self, at: usize, path: &str, (problem, advice): (&str, &str)) -> ConfigError {
        let (line, column) = position(&self.original, at);
        ConfigError::Entry {
            file: self.file.clone(),
            line,
            column,
            path: path.to_owned(),
            problem: problem.to_owned(),
            advice: advice.to_owned(),
        }
    }

    /// The file, for messages and for paths relative to it.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}
