//! What a task asks for once its agent has had its say.

use polpo_policy::id::AgentId;
use polpo_policy::model::ModelSpec;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::canonical::sha256;
use super::rules::{allowed, find_agent};
use super::task::{Body, Request, Shape, Task, TaskId};
use super::words::count;
use crate::config::{AgentConfig, Config, model_max_tokens};
use polpo_policy::expect::ExpectSpec;

/// The request of a task, complete.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The task.
    pub id: TaskId,
    /// Whether the agent may add to it later.
    pub shape: Shape,
    /// The agent that runs it.
    pub agent: AgentId,
    /// The model it starts on.
    pub model: ModelSpec,
    /// The body of the first call, without `stream`.
    pub body: Body,
    /// `max_tokens` in the body.
    pub max_tokens: u32,
    /// When its answer is good.
    pub expect: Option<ExpectSpec>,
    /// The user's own data, an object.
    pub metadata: Option<Box<RawValue>>,
    /// The SHA-256 of body and expectation in canonical form, as hex. Provider and pin, the id, the
    /// metadata and the retry policy are not in it: they do not change what is asked.
    pub sha256: String,
}

/// What the hash is taken of.
#[derive(Serialize)]
struct Hashed<'a> {
    request: &'a Body,
    expect: Option<Value>,
}

impl Effective {
    /// Completes a task. `agent` runs the tasks that name none.
    ///
    /// # Errors
    /// When it names an agent or a model that it may not: the file has changed since it was scanned.
    pub fn of(task: Task, config: &Config, agent: &AgentConfig) -> Result<Self, String> {
        let (shape, named) = match &task.request {
            Request::Prompt { agent, .. } => (Shape::Prompt, agent.as_ref()),
            Request::Params(_) => (Shape::Params, None),
        };
        let agent = match named {
            Some(name) => find_agent(config, name.as_str())?,
            None => agent,
        };
        if let Some(model) = &task.model {
            allowed(config.settings.allowlist.as_ref(), model)?;
        }
        let model = task.model.unwrap_or_else(|| agent.model.clone());
        let mut request = Self {
            id: task.id,
            shape,
            agent: agent.name.clone(),
            body: Body::new(),
            max_tokens: 0,
            expect: None,
            metadata: None,
            sha256: String::new(),
            model,
        };
        request.fill(task.request, agent)?;
        request.sha256 = request.hash()?;
        Ok(request)
    }

    fn fill(&mut self, request: Request, agent: &AgentConfig) -> Result<(), String> {
        match request {
            Request::Prompt { prompt, max_tokens, expect, metadata, .. } => {
                let most = model_max_tokens(self.model.model.as_str());
                self.max_tokens = max_tokens.unwrap_or(agent.max_tokens.min(most));
                let message = json!([{ "role": "user", "content": prompt }]);
                self.put("messages", &message)?;
                self.put("max_tokens", &self.max_tokens.into())?;
                if let Some(system) = &agent.system_prompt {
                    self.put("system", &system.as_str().into())?;
                }
                (self.expect, self.metadata) = (expect, metadata);
            }
            Request::Params(fields) => {
                self.body = fields;
                let tokens = self.body.get("max_tokens").ok_or("`max_tokens` is missing")?;
                self.max_tokens = count(tokens, "max_tokens")?;
            }
        }
        self.put("model", &self.model.model.as_str().into())
    }

    fn put(&mut self, key: &str, value: &Value) -> Result<(), String> {
        let raw = to_raw_value(value).map_err(|error| error.to_string())?;
        self.body.insert(key.to_owned(), raw);
        Ok(())
    }

    fn hash(&self) -> Result<String, String> {
        let expect = self.expect.as_ref().map(|spec| {
            json!({
                "regex": spec.regex,
                "contains": spec.contains,
                "equals": spec.equals,
                "jsonSchema": spec.json_schema,
            })
        });
        let hashed = Hashed { request: &self.body, expect };
        serde_json::to_string(&hashed).map(|json| sha256(&json)).map_err(|error| error.to_string())
    }
}
