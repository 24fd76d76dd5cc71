//! A request to `/v1/messages`, read and checked.

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::catalogue::{self, Model};
use crate::draw::Digest;
use crate::estimate;
use crate::fields::{self, Checked};
use crate::messages::{self, Conversation};
use crate::price::Terms;
use crate::problem::{Kind, Problem};

/// What the simulator needs of a valid request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) model: &'static Model,
    pub(crate) max_tokens: u64,
    pub(crate) stream: bool,
    pub(crate) stop_sequences: Vec<String>,
    pub(crate) input_tokens: u64,
    /// SHA-256 of the first user message's text.
    pub(crate) first: Digest,
    /// Number of messages.
    pub(crate) turns: u64,
    pub(crate) terms: Terms,
    /// Whether the answer's usage names its speed: only if the request did.
    pub(crate) names_speed: bool,
    pub(crate) thinking: Thinking,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) parallel_tools: bool,
    pub(crate) format: Option<Value>,
    pub(crate) signed: Vec<Signed>,
    pub(crate) answers_tool: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thinking {
    Off,
    On { shown: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ToolChoice {
    Auto,
    Any,
    Named(String),
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signed {
    pub(crate) path: String,
    pub(crate) thinking: String,
    pub(crate) signature: String,
}

/// The versions of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// `2023-06-01`.
    First,
    /// `2026-10-21`: no sampling parameters.
    Second,
}

impl Version {
    fn of(headers: &HeaderMap) -> Checked<Self> {
        match headers.get("anthropic-version").map(|value| value.to_str().unwrap_or_default()) {
            Some("2023-06-01") => Ok(Self::First),
            Some("2026-10-21") => Ok(Self::Second),
            Some(other) => {
                fields::wrong("anthropic-version", &format!("\"{other}\" is not a valid version"))
            }
            None => fields::wrong("anthropic-version", "header is required"),
        }
    }
}

impl Ask {
    /// Reads a request, or says what is wrong with it as the API does: the first fault only.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Checked<Self> {
        let version = Version::of(headers)?;
        let body = match serde_json::from_slice(body) {
            Ok(Value::Object(body)) => body,
            Ok(_) => return Err(Problem::invalid("Input should be a valid dictionary")),
            Err(error) => {
                let message = format!("The request body is not valid JSON: {error}");
                return Err(Problem::invalid(message));
            }
        };
        let name = fields::required_string(&body, "model")?;
        let max_tokens = fields::max_tokens(&body)?;
        let conversation = messages::check(&body)?;
        let stream = fields::flag(&body, "stream")?;
        let stop_sequences = fields::stop_sequences(&body)?;
        messages::check_system(&body)?;
        fields::shapes(&body)?;
        let has_beta = headers.contains_key("anthropic-beta");
        fields::no_extras(&body, version == Version::First, has_beta)?;
        let model = catalogue::find(name)
            .ok_or_else(|| Problem::new(Kind::NotFound, format!("model: {name}")))?;
        let terms = terms(&body, model)?;
        let ask = Self {
            model,
            max_tokens,
            stream,
            stop_sequences,
            input_tokens: estimate::input(&body),
            first: conversation.first,
            turns: conversation.turns,
            terms,
            names_speed: body.contains_key("speed"),
            thinking: Thinking::Off,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tools: true,
            format: None,
            signed: Vec::new(),
            answers_tool: false,
        };
        ask.check_for_model(&body, &conversation)?;
        Ok(ask)
    }

    fn check_for_model(&self, body: &Map<String, Value>, said: &Conversation) -> Checked<()> {
        fields::sampling(body, self.model.version >= (4, 7))?;
        messages::check_for_model(said, self.model.version)?;
        let (asked, most) = (self.max_tokens, self.model.max_output_tokens);
        if asked > most {
            return Err(Problem::invalid(format!(
                "max_tokens: {asked} > {most}, which is the maximum allowed number of output \
                 tokens for {}",
                self.model.id
            )));
        }
        let (prompt, window) = (self.input_tokens, self.model.context_tokens);
        if prompt > window {
            return Err(Problem::invalid(format!(
                "prompt is too long: {prompt} tokens > {window} maximum"
            )));
        }
        Ok(())
    }
}

/// Fast mode is silently standard on 4.6, and an error on the other models without it.
fn terms(body: &Map<String, Value>, model: &Model) -> Checked<Terms> {
    let geo = fields::choice(body, "inference_geo", ["global", "us"])?;
    if geo.is_some() && model.version < (4, 6) {
        return fields::wrong("inference_geo", "not supported for this model");
    }
    let fast = fields::choice(body, "speed", ["standard", "fast"])? == Some("fast");
    let has_fast = model.fast_multiplier.is_some();
    if fast && !has_fast && model.version != (4, 6) {
        return fields::wrong("speed", "'fast' is not supported for this model");
    }
    fields::choice(body, "service_tier", ["auto", "standard_only"])?;
    Ok(Terms { us_only: geo == Some("us"), fast: fast && has_fast })
}
