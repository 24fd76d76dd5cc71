//! Which ids and secrets a profile may have.

use polpo_policy::id::{ProfileId, ProviderId};

use super::{Stored, Token};

/// The longest identifier: what Polpo cuts it to, and more than an address of a person has.
const MAX_IDENTIFIER: usize = 128;
/// The longest name of a provider, Polpo's.
const MAX_PROVIDER: usize = 64;
/// The longest token, in bytes: Polpo's bound, and more than servers take in a header.
const MAX_TOKEN: usize = 16_384;
/// What every object of JavaScript has, in which others keep the same file.
const FORBIDDEN: [&str; 9] = [
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "valueOf",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
];

/// The id of the profile of an account: `provider:identifier`, where what an identifier may not
/// hold is replaced by `_` and an empty one is `default`.
#[must_use]
pub fn profile_id(provider: &ProviderId, identifier: &str) -> ProfileId {
    let allowed = identifier.chars().map(|c| if may_be_in_identifier(c) { c } else { '_' });
    let mut name = allowed.collect::<String>().replace("..", "_");
    name.truncate(MAX_IDENTIFIER);
    if name.is_empty() {
        name = "default".into();
    } else if FORBIDDEN.contains(&&*name) {
        name.insert(0, '_');
    }
    format!("{provider}:{name}").into()
}

/// Whether it is the id of a profile.
pub(super) fn is_id(id: &str) -> bool {
    id.split_once(':').is_some_and(|(provider, name)| is_provider(provider) && is_identifier(name))
}

/// What is wrong with a profile, if anything is; nothing of what it holds.
pub(super) fn fault_of(profile: &Stored) -> Option<&'static str> {
    if !is_id(profile.id.as_str()) {
        Some("its id is not provider:identifier")
    } else if !is_provider(profile.provider.as_str()) {
        Some("its provider is no name in small letters")
    } else {
        fault_of_secrets(&profile.access, profile.refresh.as_deref())
    }
}

/// What is wrong with a token, if anything is.
pub(super) fn fault_of_token(token: &Token) -> Option<&'static str> {
    fault_of_secrets(&token.access, token.refresh.as_deref())
}

fn fault_of_secrets(access: &str, refresh: Option<&str>) -> Option<&'static str> {
    if !is_secret(access) {
        Some("its token or key is empty, too long or has control characters")
    } else if !refresh.is_none_or(is_secret) {
        Some("its refresh token is empty, too long or has control characters")
    } else {
        None
    }
}

fn is_secret(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOKEN && !text.contains(char::is_control)
}

fn is_provider(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= MAX_PROVIDER
        && name.starts_with(is_plain)
        && name.chars().all(|c| is_plain(c) || matches!(c, '_' | '-'))
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_IDENTIFIER
        && name.chars().all(may_be_in_identifier)
        && !FORBIDDEN.contains(&name)
}

fn may_be_in_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_becomes_an_identifier() {
        let long = "a".repeat(200);
        for (account, expected) in [
            ("user@example.com", "user@example.com"),
            ("Jörg <j@x>", "J_rg__j@x_"),
            ("../../etc", "____etc"),
            ("a..b", "a_b"),
            ("", "default"),
            ("__proto__", "___proto__"),
            ("toString", "_toString"),
            (&long, &long[..128]),
        ] {
            let id = profile_id(&"anthropic".into(), account);
            assert_eq!(id.as_str(), format!("anthropic:{expected}"), "of {account}");
            assert!(is_id(id.as_str()), "{id}");
        }
    }

    #[test]
    fn an_id_names_a_provider_and_an_account() {
        for id in ["anthropic:user@example.com", "0-a_b:key-1f0c9a2b", "poe:default"] {
            assert!(is_id(id), "{id}");
        }
        let long = format!("{}:a", "p".repeat(65));
        for id in ["", "anthropic", "anthropic:", ":a", "Anthropic:a", "-a:a", "a:b c", "a:b:c"] {
            assert!(!is_id(id), "{id}");
        }
        for id in ["a:__proto__", "a:constructor", &long, &format!("a:{}", "i".repeat(129))] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn a_secret_fits_into_a_header() {
        assert!(is_secret("sk-ant-1"));
        assert!(is_secret(&"a".repeat(MAX_TOKEN)));
        for secret in ["", "a\n", "a\0b", "a\u{7f}", &"a".repeat(MAX_TOKEN + 1)] {
            assert!(!is_secret(secret), "{secret:?}");
        }
    }
}
