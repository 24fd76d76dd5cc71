//! Which models may be used.

use polpo_policy::model::{Catalogue, ModelSpec};

use super::error::Fault;
use super::path::JsonPath;

/// The models that `settings.modelAllowlist`, or a client key's `models`, names: globs (`*`, `?`) over `provider:model`, or over
/// the model alone where a pattern names no provider. Aliases stand for their model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowlist {
    patterns: Vec<String>,
}

impl Allowlist {
    /// A list of these patterns.
    #[must_use]
    pub fn new(patterns: Vec<String>) -> Self {
        Self { patterns }
    }

    /// The list that stands at `path`.
    pub(super) fn checked(patterns: Vec<String>, path: &JsonPath) -> Result<Self, Fault> {
        if patterns.is_empty() || patterns.iter().any(|pattern| pattern.trim().is_empty()) {
            let problem = "an empty list or pattern allows no model";
            return Err(Fault::at(path, problem, "name a model, or remove it to allow all"));
        }
        Ok(Self::new(patterns))
    }

    /// The patterns as they were written.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether a model may be used; a pin does not matter.
    #[must_use]
    pub fn allows(&self, spec: &ModelSpec) -> bool {
        let id = spec.model.as_str();
        let listed = Catalogue::get().find(id);
        let aliases = listed.map_or(&[][..], |info| &info.aliases);
        let names = || aliases.iter().map(String::as_str).chain([id]);
        self.patterns.iter().any(|pattern| {
            let (provider, pattern) = match pattern.split_once([':', '/']) {
                Some((provider, model)) => (Some(provider), model),
                None => (None, pattern.as_str()),
            };
            provider.is_none_or(|provider| matches(provider, spec.provider.as_str()))
                && names().any(|name| matches(pattern, name))
        })
    }
}

/// Whether a glob covers the whole of a text, in time linear in their product.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None; // After the last `*`, and where it may grow to.
    while pos < text.len() {
        match glob.get(at) {
            Some(b'*') => {
                star = Some((at + 1, pos));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[pos] => (at, pos) = (at + 1, pos + 1),
            Some(_) | None => match &mut star {
                Some((after, grown)) => {
                    *grown += 1;
                    (at, pos) = (*after, *grown);
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(patterns: &[&str], spec: &str) -> bool {
        let list = Allowlist::new(patterns.iter().map(|&p| p.to_owned()).collect());
        list.allows(&ModelSpec::parse(spec).unwrap())
    }

    #[test]
    fn a_bare_pattern_holds_at_every_provider_and_a_full_one_at_its_own() {
        assert!(allows(&["claude-*"], "claude-sonnet-4-6"));
        assert!(allows(&["claude-*"], "poe:claude-sonnet-4.6"));
        assert!(allows(&["poe:claude-*"], "poe:claude-sonnet-4.6"));
        assert!(allows(&["poe/*"], "poe:anything"));
        assert!(!allows(&["poe:claude-*"], "anthropic:claude-sonnet-4-6"));
        assert!(!allows(&["claude-haiku-*"], "claude-sonnet-4-6"));
        assert!(!allows(&["claude"], "claude-sonnet-4-6"));
    }

    #[test]
    fn an_alias_in_the_list_or_in_the_request_stands_for_its_model() {
        assert!(allows(&["claude-sonnet-4.5"], "claude-sonnet-4-5-20250929"));
        assert!(allows(&["claude-sonnet-4-5-20250929"], "claude-sonnet-4.5"));
    }

    #[test]
    fn globs_cover_the_whole_text() {
        for (glob, text, fits) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*a*b*", "xxaxxbxx", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(glob, text), fits, "{glob} {text}");
        }
    }
}
