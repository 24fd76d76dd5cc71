//! Label values: closed sets as enums, names as shared text.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use polpo_policy::id::{AgentId, KeyName, LimitClass};

/// Who asked: the `surface` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// A task of `polpo run`.
    Batch,
    /// A conversation with an agent.
    Agent,
    /// A client of the gateway.
    Gateway,
}

impl Surface {
    /// The value of the label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Agent => "agent",
            Self::Gateway => "gateway",
        }
    }
}

/// A label value whose clone allocates nothing. Two are equal when their texts are.
#[derive(Clone, Debug)]
pub(crate) enum Label {
    Fixed(&'static str),
    Agent(AgentId),
    Class(LimitClass),
    Key(KeyName),
    Name(Arc<str>),
}

impl Label {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Agent(id) => id.as_str(),
            Self::Class(class) => class.as_str(),
            Self::Key(name) => name.as_str(),
            Self::Name(name) => name,
        }
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<&'static str> for Label {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<&AgentId> for Label {
    fn from(id: &AgentId) -> Self {
        Self::Agent(id.clone())
    }
}

impl From<&LimitClass> for Label {
    fn from(class: &LimitClass) -> Self {
        Self::Class(class.clone())
    }
}

impl From<&KeyName> for Label {
    fn from(name: &KeyName) -> Self {
        Self::Key(name.clone())
    }
}

impl From<&Arc<str>> for Label {
    fn from(name: &Arc<str>) -> Self {
        Self::Name(Arc::clone(name))
    }
}
