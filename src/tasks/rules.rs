//! What a line must fit besides its shape: the agents, the models and the checks there are.

use std::collections::HashMap;

use polpo_policy::model::ModelSpec;
use serde_json::value::RawValue;

use super::expect::expect;
use super::line::{Kind, Line, model_spec};
use super::words::{Problem, shown};
use crate::config::{AgentConfig, Allowlist, Config, model_max_tokens, nearest};
use polpo_policy::expect::ExpectSpec;

/// Says whether an expectation can be checked, that is whether its regex and its schema compile.
pub type CheckExpect<'a> = &'a dyn Fn(&ExpectSpec) -> Result<(), String>;

/// What the lines of a file are held to.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The agents and models there are.
    pub config: &'a Config,
    /// The agent of the lines that name none.
    pub agent: &'a AgentConfig,
    /// Compiles an expectation.
    pub check_expect: CheckExpect<'a>,
}

/// The agent that a line names.
pub(super) fn find_agent<'a>(config: &'a Config, name: &str) -> Result<&'a AgentConfig, Problem> {
    config.agent(name).ok_or_else(|| {
        let known = || config.agents.iter().map(|agent| agent.name.as_str());
        let name = shown(name);
        match nearest(&name, known()) {
            Some(near) => format!("there is no agent `{name}`: did you mean `{near}`?"),
            None => {
                let known: Vec<&str> = known().take(20).collect();
                format!("there is no agent `{name}`: the agents are {}", known.join(", "))
            }
        }
    })
}

/// Refuses a model that may not be used.
pub(super) fn allowed(list: Option<&Allowlist>, model: &ModelSpec) -> Result<(), Problem> {
    match list {
        Some(list) if !list.allows(model) => Err(format!(
            "model `{}` is not in settings.modelAllowlist ({})",
            shown(&model.to_string()),
            list.patterns().join(", ")
        )),
        Some(_) | None => Ok(()),
    }
}

/// Holds lines to the rules, and remembers what it has seen: files repeat themselves.
pub(super) struct Checker<'a> {
    rules: Rules<'a>,
    agents: HashMap<&'a str, &'a AgentConfig>,
    models: HashMap<String, Result<ModelSpec, Problem>>,
    last_expect: String,
}

/// What a line that keeps the rules will cost at most.
pub(super) struct Demand<'c> {
    pub(super) model: &'c ModelSpec,
    pub(super) input_bytes: usize,
    pub(super) max_tokens: u32,
}

/// Model names that are remembered; a file with more has one a line, and remembering is no help.
const MODELS_MAX: usize = 4096;

impl<'a> Checker<'a> {
    pub(super) fn new(rules: Rules<'a>) -> Self {
        let agents = rules.config.agents.iter().map(|agent| (agent.name.as_str(), agent));
        let agents = agents.collect();
        Self { rules, agents, models: HashMap::new(), last_expect: String::new() }
    }

    /// Checks one line.
    pub(super) fn check(&mut self, line: &Line<'_>) -> Result<Demand<'_>, Problem> {
        let (agent, own_tokens, input_bytes) = match &line.kind {
            Kind::Prompt(prompt) => {
                if let Some(raw) = prompt.expect {
                    self.expectation(raw)?;
                }
                let agent = match prompt.agent.as_deref() {
                    None => self.rules.agent,
                    Some(name) => match self.agents.get(name) {
                        Some(agent) => agent,
                        None => find_agent(self.rules.config, name)?,
                    },
                };
                let system = agent.system_prompt.as_ref().map_or(0, String::len);
                (agent, prompt.max_tokens, prompt.prompt.get().len() - 2 + system)
            }
            Kind::Params(params) => {
                (self.rules.agent, Some(params.max_tokens), params.raw.get().len())
            }
        };
        let is_prompt = matches!(line.kind, Kind::Prompt(_));
        let model = match line.model.as_deref() {
            None => &agent.model,
            Some(text) => self.model(text)?,
        };
        let most = model_max_tokens(model.model.as_str());
        let max_tokens = own_tokens.unwrap_or(agent.max_tokens.min(most));
        // A foreign request is the user's own business, beta features included.
        if is_prompt && max_tokens > most {
            let model = shown(&model.to_string());
            return Err(format!("`maxTokens` is more than {model} writes, {most}"));
        }
        Ok(Demand { model, input_bytes, max_tokens })
    }

    fn model(&mut self, text: &str) -> Result<&ModelSpec, Problem> {
        if !self.models.contains_key(text) {
            if self.models.len() >= MODELS_MAX {
                self.models.clear();
            }
            let list = self.rules.config.settings.allowlist.as_ref();
            let model = model_spec(text).and_then(|model| allowed(list, &model).map(|()| model));
            self.models.insert(text.to_owned(), model);
        }
        match self.models.get(text) {
            Some(Ok(model)) => Ok(model),
            Some(Err(problem)) => Err(problem.clone()),
            None => Err("the model is empty".to_owned()),
        }
    }

    fn expectation(&mut self, raw: &RawValue) -> Result<(), Problem> {
        if raw.get() == self.last_expect {
            return Ok(());
        }
        let spec = expect(raw)?;
        (self.rules.check_expect)(&spec).map_err(|problem| format!("`expect`: {problem}"))?;
        raw.get().clone_into(&mut self.last_expect);
        Ok(())
    }
}
