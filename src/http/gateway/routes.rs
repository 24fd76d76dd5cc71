//! Who may be asked for the model that a client names.

use polpo_agents::gateway::Route;
use polpo_policy::id::ProviderId;
use polpo_policy::model::{Catalogue, ModelSpec};
use polpo_upstream::wire::request::Request;

use super::fault::Fault;
use crate::config::Allowlist;

/// The way to every provider that may serve a request, in order of preference.
///
/// # Errors
/// When the model is none of Claude's, or this client may not use it.
pub(super) fn routes(
    request: &Request,
    providers: &[ProviderId],
    allowed: &[&Allowlist],
) -> Result<Vec<Route>, Fault> {
    let specs = specs(&request.model, providers, allowed)?;
    // All of them have the same model, and share one body.
    let body = request.body_for(name_for(&request.model, &specs[0]));
    let routes = specs.into_iter().map(|spec| Route {
        class: spec.limit_class(),
        body: body.clone(),
        provider: spec.provider,
        pin: None,
        model: spec.model,
    });
    Ok(routes.collect())
}

/// The model that a client names, at every provider that it may be asked of, in order of preference.
///
/// # Errors
/// When the model is none of Claude's, or this client may not use it.
pub(super) fn specs(
    model: &str,
    providers: &[ProviderId],
    allowed: &[&Allowlist],
) -> Result<Vec<ModelSpec>, Fault> {
    let mut specs = meant(model, providers);
    if specs.is_empty() {
        return Err(Fault::no_model(model));
    }
    specs.retain(|spec| allowed.iter().all(|list| list.allows(spec)));
    if specs.is_empty() {
        let message = format!("This key may not use the model {model}.");
        return Err(Fault::lasting(403, "permission_error", message));
    }
    Ok(specs)
}

/// The name in the body for upstream: the client's own, unless that names a provider of ours, or is
/// an alias.
pub(super) fn name_for<'a>(asked: &'a str, spec: &'a ModelSpec) -> &'a str {
    let is_known = Catalogue::get().find(spec.model.as_str()).is_some();
    let own = asked.split_once([':', '/']).map_or(asked, |(_, name)| name);
    if is_known { spec.model.as_str() } else { own }
}

/// A model of Claude's at each provider that a client may mean; which profile serves it is not the
/// client's to say.
fn meant(asked: &str, providers: &[ProviderId]) -> Vec<ModelSpec> {
    let Ok(spec) = ModelSpec::parse(asked) else { return Vec::new() };
    let is_claude = Catalogue::get().find(spec.model.as_str()).is_some()
        || spec.model.as_str().starts_with("claude-");
    if !is_claude || spec.pin.is_some() {
        return Vec::new();
    }
    let is_bare = !asked.contains([':', '/']);
    providers
        .iter()
        .filter(|provider| is_bare || **provider == spec.provider)
        .map(|provider| ModelSpec { provider: provider.clone(), ..spec.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn asked(model: &str, allowed: &[&str]) -> Result<Vec<(String, String, String)>, u16> {
        let body = format!(r#"{{"model":"{model}"}}"#);
        let request = Request::read(Bytes::from(body)).unwrap();
        let lists: Vec<_> =
            allowed.iter().map(|glob| Allowlist::new(vec![(*glob).to_owned()])).collect();
        let lists: Vec<_> = lists.iter().collect();
        let routes = routes(&request, &["anthropic".into(), "poe".into()], &lists);
        let told = |route: Route| {
            let body: serde_json::Value = serde_json::from_slice(&route.body).unwrap();
            let sent = body["model"].as_str().unwrap().to_owned();
            (route.provider.to_string(), route.class.to_string(), sent)
        };
        routes
            .map(|routes| routes.into_iter().map(told).collect())
            .map_err(|fault| fault.problem.status)
    }

    fn route(provider: &str, class: &str, sent: &str) -> (String, String, String) {
        (provider.into(), class.into(), sent.into())
    }

    #[test]
    fn a_bare_name_is_for_every_provider_and_one_with_a_provider_for_that_one() {
        let both = |class: &str, id: &str| {
            Ok(vec![route("anthropic", class, id), route("poe", class, id)])
        };
        assert_eq!(asked("claude-sonnet-4.6", &[]), both("sonnet-4", "claude-sonnet-4-6"));
        assert_eq!(asked("claude-sonnet-4-6", &[]), both("sonnet-4", "claude-sonnet-4-6"));
        for text in ["poe:claude-sonnet-4.6", "poe/claude-sonnet-4.6"] {
            assert_eq!(asked(text, &[]), Ok(vec![route("poe", "sonnet-4", "claude-sonnet-4-6")]));
        }
        let new = asked("poe:claude-new-9", &[]).unwrap();
        assert_eq!((&*new[0].0, &*new[0].2), ("poe", "claude-new-9"));
    }

    #[test]
    fn what_is_not_claude_is_not_there_and_what_is_not_allowed_is_forbidden() {
        for model in
            ["gpt-5", "claude", "team:claude-opus-5", "claude-opus-5@anthropic:me", "poe:x"]
        {
            assert_eq!(asked(model, &[]), Err(404), "{model}");
        }
        assert_eq!(asked("claude-opus-5", &["claude-haiku-*"]), Err(403));
        assert_eq!(asked("claude-opus-5", &["claude-*", "*sonnet*"]), Err(403));
        let allowed = asked("claude-opus-5", &["poe:claude-*"]).unwrap();
        assert_eq!(allowed.iter().map(|route| &*route.0).collect::<Vec<_>>(), ["poe"]);
    }
}
