//! From a line to a task: three shapes, told apart by their keys.

use std::borrow::Cow;

use polpo_policy::id::AgentId;
use polpo_policy::model::{ModelSpec, ModelSpecError};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::expect::expect;
use super::task::{Body, Request, Task, TaskId};
use super::words::{Problem, count, json_problem, kind, shown, text};

/// Every key of every shape, its value not looked into. One struct for all, so that a key of the
/// wrong shape is told from one that does not exist.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Keys<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "custom_id")]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    agent: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    expect: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// A line that is well formed, still borrowed from its text.
pub(super) struct Line<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) kind: Kind<'a>,
}

/// What a line asks for.
pub(super) enum Kind<'a> {
    Prompt(Prompt<'a>),
    Params(Params<'a>),
}

/// The shape of our own.
pub(super) struct Prompt<'a> {
    pub(super) prompt: &'a RawValue,
    pub(super) agent: Option<Cow<'a, str>>,
    pub(super) max_tokens: Option<u32>,
    pub(super) expect: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
}

/// The two foreign shapes.
pub(super) struct Params<'a> {
    pub(super) raw: &'a RawValue,
    pub(super) max_tokens: u32,
}

/// What has to be in a request body.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
}

/// Reads one line of a task file.
///
/// # Errors
/// What is wrong with it, as far as that can be told without the configuration.
pub fn parse_task(line: &str) -> Result<Task, String> {
    Line::parse(line)?.task()
}

impl<'a> Line<'a> {
    /// Reads a line without copying it.
    pub(super) fn parse(line: &'a str) -> Result<Self, Problem> {
        let line = line.trim_ascii();
        // The library would also take an array for the struct.
        if !line.starts_with('{') {
            return Err("not a JSON object: a task is {\"id\": \"…\", \"prompt\": \"…\"}".into());
        }
        let keys: Keys<'_> =
            serde_json::from_str(line).map_err(|error| json_problem(&error, "the task"))?;
        match (keys.prompt, keys.params, keys.body) {
            (Some(prompt), None, None) => Self::prompt(&keys, prompt),
            (None, Some(params), None) => {
                foreign(&[("method", keys.method), ("url", keys.url)], "params")?;
                Self::params(&keys, params, "params")
            }
            (None, None, Some(body)) => {
                only(keys.method, "method", "POST")?;
                only(keys.url, "url", "/v1/messages")?;
                Self::params(&keys, body, "body")
            }
            (None, None, None) => Err("needs one of `prompt`, `params` and `body`".into()),
            (..) => Err("has more than one of `prompt`, `params` and `body`: keep one".into()),
        }
    }

    fn prompt(keys: &Keys<'a>, prompt: &'a RawValue) -> Result<Self, Problem> {
        let strangers = [("custom_id", keys.custom_id), ("method", keys.method), ("url", keys.url)];
        let id = id(keys.id, "id", keys.custom_id.is_some())?;
        foreign(&strangers, "prompt")?;
        check_prompt(prompt)?;
        if let Some(metadata) = keys.metadata.filter(|raw| !raw.get().starts_with('{')) {
            return Err(format!("`metadata` must be an object, not {}", kind(metadata)));
        }
        let line = Prompt {
            prompt,
            agent: keys.agent.map(|raw| text(raw, "agent")).transpose()?,
            max_tokens: keys.max_tokens.map(|raw| count(raw, "maxTokens")).transpose()?,
            expect: keys.expect,
            metadata: keys.metadata,
        };
        let model = keys.model.map(|raw| text(raw, "model")).transpose()?;
        Ok(Self { id, model, kind: Kind::Prompt(line) })
    }

    fn params(keys: &Keys<'a>, raw: &'a RawValue, key: &str) -> Result<Self, Problem> {
        let id = id(keys.custom_id, "custom_id", keys.id.is_some())?;
        let strangers = [
            ("id", keys.id),
            ("agent", keys.agent),
            ("model", keys.model),
            ("maxTokens", keys.max_tokens),
            ("expect", keys.expect),
            ("metadata", keys.metadata),
        ];
        foreign(&strangers, key)?;
        if !raw.get().starts_with('{') {
            return Err(format!("`{key}` must be an object, not {}", kind(raw)));
        }
        let head: Head<'_> = serde_json::from_str(raw.get())
            .map_err(|error| json_problem(&error, &format!("`{key}`")))?;
        let missing = |name: &str| format!("`{key}.{name}` is missing");
        let model = head.model.ok_or_else(|| missing("model"))?;
        let max_tokens = head.max_tokens.ok_or_else(|| missing("max_tokens"))?;
        let messages = head.messages.ok_or_else(|| missing("messages"))?;
        if !messages.get().starts_with('[') {
            return Err(format!("`{key}.messages` must be an array, not {}", kind(messages)));
        }
        Ok(Self {
            id,
            model: Some(text(model, &format!("{key}.model"))?),
            kind: Kind::Params(Params {
                raw,
                max_tokens: count(max_tokens, &format!("{key}.max_tokens"))?,
            }),
        })
    }

    /// The task that the line describes, on its own memory.
    pub(super) fn task(self) -> Result<Task, Problem> {
        let id = TaskId::new(&self.id).ok_or_else(|| bad_id("id"))?;
        let model = self.model.as_deref().map(model_spec).transpose()?;
        let request = match self.kind {
            Kind::Prompt(line) => Request::Prompt {
                prompt: text(line.prompt, "prompt")?.into_owned(),
                agent: line.agent.map(|name| AgentId::from(&*name)),
                max_tokens: line.max_tokens,
                expect: line.expect.map(expect).transpose()?,
                metadata: line.metadata.map(ToOwned::to_owned),
            },
            Kind::Params(line) => {
                let mut fields: Body = serde_json::from_str(line.raw.get())
                    .map_err(|error| json_problem(&error, "the request"))?;
                // Calls always stream; what the user sees is the whole message either way.
                fields.remove("stream");
                Request::Params(fields)
            }
        };
        Ok(Task { id, model, request })
    }
}

/// The model that a line names.
pub(super) fn model_spec(text: &str) -> Result<ModelSpec, Problem> {
    ModelSpec::parse(text).map_err(|error| match error {
        ModelSpecError::Empty => "the model is empty".to_owned(),
        ModelSpecError::UnknownProvider(_) => format!(
            "cannot tell the provider of model `{}`: write it as provider:model, for example \
            anthropic:claude-sonnet-4-6",
            shown(text)
        ),
        ModelSpecError::NoProfile(_) => format!(
            "model `{}`: after @ a profile is expected, as provider:identifier, for example \
            @anthropic:foo",
            shown(text)
        ),
        ModelSpecError::ForeignPin { .. } => {
            format!("model `{}` is pinned to a profile of another provider", shown(text))
        }
    })
}

fn bad_id(key: &str) -> Problem {
    format!("`{key}` must be 1 to 64 letters, digits, `_` and `-`")
}

fn id<'a>(raw: Option<&'a RawValue>, key: &str, has_other: bool) -> Result<Cow<'a, str>, Problem> {
    match raw {
        Some(raw) => {
            let id = text(raw, key)?;
            if TaskId::fits(&id) { Ok(id) } else { Err(bad_id(key)) }
        }
        None if has_other => Err(format!(
            "`{key}` is missing: `id` goes with `prompt`, `custom_id` with `params` and `body`"
        )),
        None => Err(format!("`{key}` is missing")),
    }
}

/// Refuses keys that belong to another shape than that of `key`.
fn foreign(keys: &[(&str, Option<&RawValue>)], key: &str) -> Result<(), Problem> {
    match keys.iter().find(|(_, raw)| raw.is_some()) {
        Some((stranger, _)) => Err(format!("`{stranger}` does not go with `{key}`: remove it")),
        None => Ok(()),
    }
}

fn only(raw: Option<&RawValue>, key: &str, value: &str) -> Result<(), Problem> {
    match raw.map(|raw| text(raw, key)).transpose()? {
        Some(text) if text != value => Err(format!("`{key}` must be \"{value}\"")),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a blank prompt, which the API would too, and looks closer only where it has to.
fn check_prompt(raw: &RawValue) -> Result<(), Problem> {
    let json = raw.get();
    let inner = json.as_bytes();
    let plain_start = inner.get(1).is_some_and(|b| b.is_ascii_graphic() && !b"\"\\".contains(b));
    // Half a surrogate pair passes as JSON, but is no text.
    if plain_start && inner[0] == b'"' && memchr::memmem::find(inner, b"\\u").is_none() {
        return Ok(());
    }
    if text(raw, "prompt")?.trim().is_empty() {
        return Err("`prompt` is empty".into());
    }
    Ok(())
}
