//! Where in a JSON document a value stands.

use std::fmt;

use super::nearest::shown_key;

/// The way from the top of a document to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

/// One step of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Into an object.
    Key(String),
    /// Into an array.
    Index(usize),
}

impl JsonPath {
    /// The path of a chain of keys: `keys(&["settings", "journal"])`.
    pub(super) fn keys(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    #[must_use]
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut path = self.clone();
        path.0.push(step);
        path
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether it starts with this key.
    pub(super) fn is_below(&self, key: &str) -> bool {
        matches!(self.0.first(), Some(Step::Key(first)) if first == key)
    }

    /// Drops the last step if it is this key.
    pub(super) fn pop_key(&mut self, key: &str) {
        if self.0.last() == Some(&Step::Key(key.to_owned())) {
            self.0.pop();
        }
    }
}

impl From<&serde_path_to_error::Path> for JsonPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        Self(
            path.iter()
                .filter_map(|segment| match segment {
                    Segment::Seq { index } => Some(Step::Index(*index)),
                    Segment::Map { key } => Some(Step::Key(key.clone())),
                    Segment::Enum { .. } | Segment::Unknown => None,
                })
                .collect(),
        )
    }
}

/// `agents[0].model`, `settings.prices["claude-opus-4.6"]`; a key that may be a secret is `["…"]`.
impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if shown_key(key).is_some() => write!(f, "{dot}{key}")?,
                // Names of models have dots, as in `prices`.
                Step::Key(key) if shown_key(&key.replace('.', "_")).is_some() => {
                    write!(f, "[\"{key}\"]")?;
                }
                Step::Key(_) => f.write_str("[\"…\"]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Key(key) => f.write_str(shown_key(key).unwrap_or("…")),
        }
    }
}
