//! Which model is asked, with which profile, and what comes after it.

use std::collections::BTreeSet;

use polpo_policy::id::{ModelName, ProviderId};
use polpo_policy::model::{Catalogue, Lifecycle, ModelSpec, ModelSpecError};
use polpo_policy::pool::ProfileReport;

use crate::config::{AgentConfig, Allowlist, Config, nearest};

/// The model in force.
#[derive(Debug)]
pub(super) struct Choice {
    own: ModelSpec,
    fallbacks: Vec<ModelSpec>,
    /// What the user chose instead of the agent's own.
    chosen: Option<ModelSpec>,
}

impl Choice {
    /// The agent's own model.
    pub(super) fn new(agent: &AgentConfig) -> Self {
        Self { own: agent.model.clone(), fallbacks: agent.fallbacks.clone(), chosen: None }
    }

    /// The model to ask first.
    pub(super) fn effective(&self) -> &ModelSpec {
        self.chosen.as_ref().unwrap_or(&self.own)
    }

    /// Whether the user chose it.
    pub(super) const fn is_chosen(&self) -> bool {
        self.chosen.is_some()
    }

    /// The models to ask when that cannot be served: never itself, which may be pinned.
    pub(super) fn fallbacks(&self) -> Vec<ModelSpec> {
        let first = self.effective();
        let is_first = |it: &&ModelSpec| it.provider == first.provider && it.model == first.model;
        self.fallbacks.iter().filter(|it| !is_first(it)).cloned().collect()
    }

    /// Goes back to the agent's own model, and to no profile of the user's.
    pub(super) fn reset(&mut self) {
        self.chosen = None;
    }

    /// The models that may be chosen, numbered, the one in force marked.
    pub(super) fn list(&self, config: &Config, profiles: &[ProfileReport]) -> String {
        let effective = self.effective();
        let lines = listed(config, profiles).into_iter().enumerate().map(|(at, spec)| {
            let is_effective = spec.provider == effective.provider && spec.model == effective.model;
            let mark = if is_effective { '*' } else { ' ' };
            format!("{mark}{:>3}  {spec}", at + 1)
        });
        let lines: Vec<String> = lines.collect();
        format!("{}\n/model NUMBER takes one of them; any other can be named", lines.join("\n"))
    }

    /// Takes the model of this number in the list.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn pick(
        &mut self,
        number: usize,
        config: &Config,
        profiles: &[ProfileReport],
    ) -> Result<String, String> {
        let mut listed = listed(config, profiles);
        let most = listed.len();
        if !(1..=most).contains(&number) {
            return Err(format!("there is no model {number}: /model list has 1 to {most}"));
        }
        Ok(self.take(listed.swap_remove(number - 1)))
    }

    /// Takes the model that a text names.
    ///
    /// # Errors
    /// When it names none, or one that may not be used, or a profile that there is not.
    pub(super) fn choose(
        &mut self,
        text: &str,
        config: &Config,
        profiles: &[ProfileReport],
    ) -> Result<String, String> {
        let spec = ModelSpec::parse(text).map_err(|error| unnamed(&error, text))?;
        let allowlist = config.settings.allowlist.as_ref();
        if let Some(list) = allowlist.filter(|list| !list.allows(&spec)) {
            return Err(not_allowed(&spec, list));
        }
        check(&spec, profiles)?;
        Ok(self.take(spec))
    }

    fn take(&mut self, spec: ModelSpec) -> String {
        let unknown = match Catalogue::get().find(spec.model.as_str()) {
            Some(_) => String::new(),
            None => format!(
                "; it is not in the catalogue, so its calls are unpriced{}",
                meant(spec.model.as_str()).map_or_else(String::new, |it| format!(" ({it})"))
            ),
        };
        let told = format!("model: {spec}{unknown}");
        self.chosen = Some(spec);
        told
    }
}

/// Whether there is a profile for a model, and the one that it is pinned to.
///
/// # Errors
/// When there is not.
pub(super) fn check(spec: &ModelSpec, profiles: &[ProfileReport]) -> Result<(), String> {
    let own = profiles.iter().filter(|profile| profile.provider == spec.provider);
    let own: Vec<&str> = own.map(|profile| profile.profile.as_str()).collect();
    if own.is_empty() {
        let known = providers(profiles).into_iter().map(|it| it.to_string());
        let known = known.collect::<Vec<_>>().join(", ");
        return Err(format!(
            "no profile is of provider {}: there are those of {known}",
            spec.provider
        ));
    }
    match &spec.pin {
        Some(pin) if !own.contains(&pin.as_str()) => {
            Err(format!("there is no profile {pin}: there are {}", own.join(", ")))
        }
        Some(_) | None => Ok(()),
    }
}

fn providers(profiles: &[ProfileReport]) -> BTreeSet<&ProviderId> {
    profiles.iter().map(|profile| &profile.provider).collect()
}

/// What the catalogue has at every provider with a profile, as far as it is allowed and not gone.
fn listed(config: &Config, profiles: &[ProfileReport]) -> Vec<ModelSpec> {
    let models = Catalogue::get().models();
    let current = || models.iter().filter(|info| info.lifecycle != Lifecycle::Retired);
    let specs = providers(profiles).into_iter().flat_map(|provider| {
        let name = |id: &str| ModelName::from(id);
        current().map(move |info| ModelSpec {
            provider: provider.clone(),
            model: name(&info.id),
            pin: None,
        })
    });
    let allowlist = config.settings.allowlist.as_ref();
    specs.filter(|spec| allowlist.is_none_or(|list| list.allows(spec))).collect()
}

fn unnamed(error: &ModelSpecError, text: &str) -> String {
    match error {
        ModelSpecError::UnknownProvider(name) => {
            let advice = meant(name).unwrap_or_else(|| "/model list has the known ones".to_owned());
            format!("{error}; {advice}")
        }
        ModelSpecError::Empty => format!("`{text}` names no model; /model list has the known ones"),
        ModelSpecError::NoProfile(_) | ModelSpecError::ForeignPin { .. } => error.to_string(),
    }
}

/// The catalogue's name that is most like a text.
fn meant(text: &str) -> Option<String> {
    let models = Catalogue::get().models();
    let names = models.iter().flat_map(|info| info.aliases.iter().chain([&info.id]));
    nearest(text, names.map(String::as_str)).map(|name| format!("did you mean {name}?"))
}

fn not_allowed(spec: &ModelSpec, list: &Allowlist) -> String {
    let (model, patterns) = (&spec.model, list.patterns().join(", "));
    format!(
        "settings.modelAllowlist does not have {}:{model}: it has {patterns}; /model list shows what \
         that comes to",
        spec.provider
    )
}
