//! From the agents of the file to [`AgentConfig`]s: defaults filled in, models checked.

use std::collections::HashMap;

use polpo_policy::id::{AgentId, is_name};
use polpo_policy::model::{Catalogue, ModelSpec, ModelSpecError};

use super::allowlist::Allowlist;
use super::bounds::{CONCURRENCY, bounded};
use super::effective::{AgentConfig, RetryConfig};
use super::env::Env;
use super::error::Fault;
use super::path::JsonPath;
use super::schema::{Agent, RetryPolicy};

const DEFAULT_MODEL: &str = "claude-sonnet-4-6";
const DEFAULT_ESCALATION: &str = "claude-opus-4-6";
const DEFAULT_MAX_TOKENS: u32 = 8192;
const MODEL_VARIABLE: &str = "POLPO_MODEL";

/// What all agents have in common.
pub(super) struct Common<'a> {
    pub(super) retry: &'a RetryPolicy,
    pub(super) allowlist: Option<&'a Allowlist>,
    pub(super) env: Env<'a>,
}

impl Common<'_> {
    /// Checks the agents, each at its path; without any there is a built-in one.
    pub(super) fn agents(&self, listed: Vec<(JsonPath, Agent)>) -> Result<Vec<AgentConfig>, Fault> {
        if listed.is_empty() {
            let path = JsonPath::default();
            return Ok(vec![self.agent(&path, built_in())?]);
        }
        let mut seen: HashMap<String, JsonPath> = HashMap::new();
        let agents = listed.into_iter().map(|(path, agent)| {
            if let Some(first) = seen.insert(agent.name.clone(), path.clone()) {
                let problem = format!("this is also the name of {first}");
                return Err(Fault::at(&path.key("name"), problem, "rename one of them"));
            }
            self.agent(&path, agent)
        });
        agents.collect()
    }

    fn agent(&self, path: &JsonPath, agent: Agent) -> Result<AgentConfig, Fault> {
        if !is_name(&agent.name) {
            let problem = "this is no name for an agent";
            let advice = "names match ^[a-zA-Z0-9_.-]{1,64}$";
            return Err(Fault::at(&path.key("name"), problem, advice));
        }
        let model = self.model(path, agent.model.as_deref())?;
        let fallbacks_path = path.key("fallbacks");
        // The operator's own fallbacks are not held to the allowlist.
        let fallbacks = agent.fallbacks.iter().enumerate();
        let fallbacks = fallbacks.map(|(at, text)| spec(text, &fallbacks_path.index(at)));
        let at_most = path.key("maxConcurrency");
        Ok(AgentConfig {
            fallbacks: fallbacks.collect::<Result<_, _>>()?,
            max_tokens: max_tokens(agent.max_tokens, &model, path)?,
            max_concurrency: bounded(agent.max_concurrency, &at_most, CONCURRENCY)?,
            retry: self.retry(&path.key("retryPolicy"), &agent.retry_policy, &model)?,
            system_prompt: agent.system_prompt.filter(|prompt| !prompt.trim().is_empty()),
            name: AgentId::from(agent.name),
            model,
        })
    }

    fn model(&self, path: &JsonPath, text: Option<&str>) -> Result<ModelSpec, Fault> {
        if let Some(text) = text {
            let path = path.key("model");
            let model = spec(text, &path)?;
            return self.allowed(model).map_err(|problem| Fault::at(&path, problem, ALLOW_ADVICE));
        }
        if let Some(text) = (self.env)(MODEL_VARIABLE).filter(|text| !text.trim().is_empty()) {
            let fault = |problem, advice: &str| Fault::variable(MODEL_VARIABLE, problem, advice);
            let model = ModelSpec::parse(&text)
                .map_err(|error| fault(spec_problem(&error), SPEC_ADVICE))?;
            return self.allowed(model).map_err(|problem| fault(problem, ALLOW_ADVICE));
        }
        let path = if path.steps().is_empty() { JsonPath::keys(&LIST) } else { path.clone() };
        let advice = "name a `model` that the list has, or extend the list";
        spec(DEFAULT_MODEL, &path)
            .and_then(|model| self.allowed(model).map_err(|_| Fault::at(&path, NO_DEFAULT, advice)))
    }

    fn retry(
        &self,
        path: &JsonPath,
        own: &RetryPolicy,
        model: &ModelSpec,
    ) -> Result<RetryConfig, Fault> {
        let common = JsonPath::keys(&["settings", "defaultRetryPolicy"]);
        let pick = |own: bool, key: &str| if own { path.key(key) } else { common.key(key) };
        let retries = own.max_retries.or(self.retry.max_retries);
        let after = own.escalate_after.or(self.retry.escalate_after);
        let retries_path = pick(own.max_retries.is_some(), "maxRetries");
        let after_path = pick(own.escalate_after.is_some(), "escalateAfter");
        let upper = own.escalate_model.as_deref().or(self.retry.escalate_model.as_deref());
        let upper_path = pick(own.escalate_model.is_some(), "escalateModel");
        let escalate_model = match upper {
            Some(text) => self
                .allowed(spec(text, &upper_path)?)
                .map_err(|problem| Fault::at(&upper_path, problem, ALLOW_ADVICE))?,
            None => self.default_escalation(model),
        };
        Ok(RetryConfig {
            max_retries: bounded(retries, &retries_path, 0..=100)?.unwrap_or(2),
            escalate_after: bounded(after, &after_path, 1..=u32::MAX)?.unwrap_or(1),
            escalate_model,
        })
    }

    /// Opus at the agent's own provider, where there surely is a credential. If the allowlist does
    /// not have it, nobody asked for it either: the agent's own model, which is no escalation.
    fn default_escalation(&self, model: &ModelSpec) -> ModelSpec {
        let provider = model.provider.clone();
        let upper = ModelSpec { provider, model: DEFAULT_ESCALATION.into(), pin: None };
        self.allowed(upper).unwrap_or_else(|_| model.clone())
    }

    fn allowed(&self, model: ModelSpec) -> Result<ModelSpec, &'static str> {
        match self.allowlist {
            Some(list) if !list.allows(&model) => Err("this model is not in the allowlist"),
            Some(_) | None => Ok(model),
        }
    }
}

const LIST: [&str; 2] = ["settings", "modelAllowlist"];
const NO_DEFAULT: &str = "the default model claude-sonnet-4-6 is not in `settings.modelAllowlist`";
const ALLOW_ADVICE: &str = "add it to settings.modelAllowlist, or use another";
const SPEC_ADVICE: &str = "write it as provider:model, for example anthropic:claude-sonnet-4-6";

fn built_in() -> Agent {
    Agent {
        name: "default".into(),
        model: None,
        fallbacks: Vec::new(),
        system_prompt: None,
        max_tokens: None,
        max_concurrency: None,
        retry_policy: RetryPolicy::default(),
    }
}

fn spec(text: &str, path: &JsonPath) -> Result<ModelSpec, Fault> {
    ModelSpec::parse(text).map_err(|error| Fault::at(path, spec_problem(&error), SPEC_ADVICE))
}

/// The error without the text it quotes.
fn spec_problem(error: &ModelSpecError) -> &'static str {
    match error {
        ModelSpecError::Empty => "the model is empty",
        ModelSpecError::UnknownProvider(_) => "cannot tell the provider of this model",
        ModelSpecError::NoProfile(_) => {
            "after @ a profile is expected, as provider:identifier, for example @anthropic:foo"
        }
        ModelSpecError::ForeignPin { .. } => {
            "this model is pinned to a profile of another provider"
        }
    }
}

fn max_tokens(given: Option<u32>, model: &ModelSpec, path: &JsonPath) -> Result<u32, Fault> {
    let most = model_max_tokens(model.model.as_str());
    let Some(given) = given else { return Ok(DEFAULT_MAX_TOKENS.min(most)) };
    if (1..=most).contains(&given) {
        return Ok(given);
    }
    let problem = format!("must be from 1 to {most}, the most that the agent's model writes");
    Err(Fault::at(&path.key("maxTokens"), problem, "correct the number"))
}

/// The largest `max_tokens` that a model takes, as far as we know.
pub(crate) fn model_max_tokens(model: &str) -> u32 {
    Catalogue::get()
        .find(model)
        .map_or(u32::MAX, |info| u32::try_from(info.max_output_tokens).unwrap_or(u32::MAX))
}
