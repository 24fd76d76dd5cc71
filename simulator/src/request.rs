//! A request, read and checked: to be answered, in a batch, or only to be counted.

mod blocks;
mod content;
mod fields;
mod messages;
mod pairing;
mod shape;
mod thinking;
mod tools;

use http::HeaderMap;
use serde_json::{Map, Value};

pub(crate) use self::content::Signed;
use self::messages::Conversation;
pub(crate) use self::shape::Checked;
use self::shape::{Field, Path};
pub(crate) use self::thinking::Thinking;
pub(crate) use self::tools::{Tool, ToolChoice};
use crate::books::MessageBook;
use crate::catalogue::{self, Model};
use crate::diagnosis::Inquiry;
use crate::draw::Digest;
use crate::price::Terms;
use crate::problem::{Kind, Problem};
use crate::prompt::Prompt;

/// What the simulator needs of a valid request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) model: &'static Model,
    pub(crate) max_tokens: u64,
    pub(crate) stream: bool,
    pub(crate) stop_sequences: Vec<String>,
    pub(crate) input_tokens: u64,
    pub(crate) prompt: Prompt,
    /// What the client wants to know about its cache.
    pub(crate) inquiry: Option<Inquiry>,
    /// SHA-256 of the first user message's text.
    pub(crate) first: Digest,
    /// Number of messages.
    pub(crate) turns: u64,
    pub(crate) terms: Terms,
    /// Whether the answer's usage names its speed: only if the request did.
    pub(crate) names_speed: bool,
    pub(crate) thinking: Thinking,
    /// The client's own tools that the model may call.
    pub(crate) tools: Vec<Tool>,
    /// Whether the model may search the web.
    pub(crate) has_search: bool,
    pub(crate) tool_choice: ToolChoice,
    /// Whether the model may call several tools at once.
    pub(crate) parallel_tools: bool,
    /// The JSON Schema that the answer must follow.
    pub(crate) format: Option<Value>,
    /// The thinking blocks that are sent back.
    pub(crate) signed: Vec<Signed>,
    /// Whether the last turn holds results of tools.
    pub(crate) answers_tool: bool,
}

/// Numbers of draws leave so many bits to those of one turn.
const TURN_SHIFT: u32 = 40;

/// What a count of tokens needs of a valid request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) model: &'static Model,
    /// SHA-256 of the first user message's text.
    pub(crate) first: Digest,
    pub(crate) input_tokens: u64,
}

/// The versions of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// `2023-06-01`.
    First,
    /// `2026-10-21`: no sampling parameters, no documents of the assistant's, no citations of the
    /// user's.
    Second,
}

/// What a request's headers change about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    version: Version,
    /// Whether the request names any beta: what some beta adds is then known.
    has_beta: bool,
}

impl Rules {
    pub(crate) fn of(headers: &HeaderMap) -> Checked<Self> {
        let path = Path::Root.name("anthropic-version");
        let version = headers.get("anthropic-version");
        let version = match version.map(|value| value.to_str().unwrap_or_default()) {
            Some("2023-06-01") => Version::First,
            Some("2026-10-21") => Version::Second,
            Some(other) => return path.wrong(format_args!("\"{other}\" is not a valid version")),
            None => return path.wrong("header is required"),
        };
        Ok(Self { version, has_beta: headers.contains_key("anthropic-beta") })
    }
}

impl Ask {
    /// Reads a request for a message, or says what is wrong with it as the API does: the first
    /// fault only.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Checked<Self> {
        let rules = Rules::of(headers)?;
        let body = parse(body)?;
        fields::check_thread(&body, rules)?;
        Self::new(body, fields::MESSAGE, rules)
    }

    /// Reads a request of a batch that was made under these rules.
    pub(crate) fn batched(rules: Rules, params: Value) -> Checked<Self> {
        Self::new(object(params)?, fields::BATCHED, rules)
    }

    /// Reads a request for a count of tokens.
    pub(crate) fn count(headers: &HeaderMap, body: &[u8]) -> Checked<Count> {
        let rules = Rules::of(headers)?;
        let body = parse(body)?;
        let spoken = Spoken::read(&body, fields::COUNT, rules)?;
        let (first, input_tokens) = (spoken.said.first, spoken.prompt.tokens());
        Ok(Count { model: spoken.model, first, input_tokens })
    }

    /// The number of its draws: how often the like was served or failed, in this turn of the
    /// conversation.
    pub(crate) fn nth(&self, seen: &MessageBook) -> u64 {
        let before = u64::from(seen.served) + u64::from(seen.faulted);
        before + ((self.turns - 1) << TURN_SHIFT)
    }

    fn new(mut body: Map<String, Value>, shape: &[&[Field]], rules: Rules) -> Checked<Self> {
        let Spoken { model, said, thinking, prompt, inquiry } = Spoken::read(&body, shape, rules)?;
        fields::check_sampling(&body, model, thinking != Thinking::Off)?;
        let max_tokens = body.get("max_tokens").and_then(Value::as_u64).unwrap_or_default();
        check_size(model, max_tokens, prompt.tokens())?;
        let terms = fields::terms(&body, model)?;
        let (tool_choice, parallel_tools) = tools::choice(&body);
        let config = body.remove("output_config");
        let format = config.and_then(|mut config| Some(config.get_mut("format")?.take()));
        Ok(Self {
            model,
            max_tokens,
            stream: body.get("stream").and_then(Value::as_bool).unwrap_or_default(),
            stop_sequences: fields::stop_sequences(&body)?,
            input_tokens: prompt.tokens(),
            prompt,
            inquiry,
            first: said.first,
            turns: said.turns,
            terms,
            names_speed: body.contains_key("speed"),
            thinking,
            has_search: tools::has_search(&body),
            tools: tools::take(&mut body),
            tool_choice,
            parallel_tools,
            format: format.and_then(|mut format| Some(format.get_mut("schema")?.take())),
            signed: said.signed,
            answers_tool: said.answers_tool,
        })
    }
}

/// What is said to the model.
struct Spoken {
    model: &'static Model,
    said: Conversation,
    thinking: Thinking,
    prompt: Prompt,
    inquiry: Option<Inquiry>,
}

impl Spoken {
    fn read(body: &Map<String, Value>, shape: &[&[Field]], rules: Rules) -> Checked<Self> {
        shape::members(shape, body, &Path::Root, rules)?;
        let said = messages::check(body, rules)?;
        messages::check_system(body, rules)?;
        tools::check_tools(body, rules)?;
        let name = body.get("model").and_then(Value::as_str).unwrap_or_default();
        let model = catalogue::find(name)
            .ok_or_else(|| Problem::new(Kind::NotFound, format!("model: {name}")))?;
        said.check_for_model(model.version)?;
        let thinking = thinking::read(body, model, said.answers_tool)?;
        thinking::check_effort(body, model)?;
        tools::check_choice(body, model)?;
        let prompt = Prompt::read(body, model)?;
        let inquiry = Inquiry::read(body, model);
        Ok(Self { model, said, thinking, prompt, inquiry })
    }
}

/// A complaint about the value at a path.
pub(crate) fn wrong<T>(path: &str, complaint: &str) -> Checked<T> {
    Err(Problem::invalid(format!("{path}: {complaint}")))
}

fn parse(body: &[u8]) -> Checked<Map<String, Value>> {
    let body = serde_json::from_slice(body);
    object(body.map_err(|error| {
        Problem::invalid(format!("The request body is not valid JSON: {error}"))
    })?)
}

fn object(body: Value) -> Checked<Map<String, Value>> {
    let Value::Object(body) = body else {
        return Err(Problem::invalid("Input should be a valid dictionary"));
    };
    Ok(body)
}

/// What was asked for and what was said must fit the model.
fn check_size(model: &Model, max_tokens: u64, prompt: u64) -> Checked<()> {
    let (most, window) = (model.max_output_tokens, model.context_tokens);
    if max_tokens > most {
        return Path::Root.name("max_tokens").wrong(format_args!(
            "{max_tokens} > {most}, which is the maximum allowed number of output tokens for {}",
            model.id
        ));
    }
    if prompt > window {
        let message = format!("prompt is too long: {prompt} tokens > {window} maximum");
        return Err(Problem::invalid(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
