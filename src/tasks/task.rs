//! One task, as its line says it.

use std::collections::BTreeMap;
use std::fmt;

use polpo_policy::expect::ExpectSpec;
use polpo_policy::id::AgentId;
use polpo_policy::model::ModelSpec;
use serde_json::value::RawValue;

/// The name of a task in its file: `^[a-zA-Z0-9_-]{1,64}$`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(Box<str>);

impl TaskId {
    /// The name, if it is one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Self::fits(text).then(|| Self(text.into()))
    }

    /// Whether a text may be the name of a task.
    pub(super) fn fits(text: &str) -> bool {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of a task file.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name: `id`, or `custom_id` in the two foreign shapes.
    pub id: TaskId,
    /// The model it names; `None` = its agent's.
    pub model: Option<ModelSpec>,
    /// What it asks for.
    pub request: Request,
}

/// What a task asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Our own shape: the agent adds its system prompt, checks, retries and escalates.
    Prompt {
        /// The first user message.
        prompt: String,
        /// The agent it names; `None` = the run's.
        agent: Option<AgentId>,
        /// `max_tokens`; `None` = its agent's.
        max_tokens: Option<u32>,
        /// When the answer is good.
        expect: Option<ExpectSpec>,
        /// The user's own data, an object.
        metadata: Option<Box<RawValue>>,
    },
    /// The parameters of an Anthropic request, `stream` left out; sent as they are.
    Params(Body),
}

/// The fields of a request body, each as it was written.
pub type Body = BTreeMap<String, Box<RawValue>>;

/// Whether an agent may add to a task's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It may: system prompt, diagnosis, escalation.
    Prompt,
    /// It may not: the request is the user's, word for word.
    Params,
}
