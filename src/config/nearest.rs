//! Unknown keys: what may be said of them, and what was probably meant.

/// The longest key that is shown: longer ones are no typo of ours.
const SHOWN_MAX: usize = 40;

/// A key as it may appear in a message, unless it could be a secret typed in the wrong place.
pub(crate) fn shown_key(key: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let fits = !key.is_empty() && key.len() <= SHOWN_MAX && key.chars().all(plain);
    (fits && !key.starts_with("sk-")).then_some(key)
}

/// The known key that is most like `key`, if any is like it at all.
pub(crate) fn nearest<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = key.to_ascii_lowercase().replace(['_', '-'], "");
    let likeness = |known: &str| {
        let known = known.to_ascii_lowercase();
        let is_part = lower.len() > 2 && (known.contains(&lower) || lower.contains(&known));
        strsim::jaro_winkler(&lower, &known).max(if is_part { 0.8 } else { 0.0 })
    };
    known
        .into_iter()
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_key_and_nonsense_finds_none() {
        let known = ["maxTokens", "maxConcurrency", "model", "name"];
        assert_eq!(nearest("max_tokens", known), Some("maxTokens"));
        assert_eq!(nearest("modle", known), Some("model"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("key", ["baseUrl", "apiKey"]), Some("apiKey"), "a part of it");
    }

    #[test]
    fn a_key_that_may_be_a_secret_is_not_shown() {
        assert_eq!(shown_key("promt"), Some("promt"));
        assert_eq!(shown_key("sk-ant-api03"), None);
        assert_eq!(shown_key("a b"), None);
        assert_eq!(shown_key(&"x".repeat(41)), None);
        assert_eq!(shown_key(""), None);
    }
}
