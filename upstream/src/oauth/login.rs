//! One login under way: the link that a person opens, and the secret that stays here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;

use super::paste::{Code, PasteError, parse};
use super::settings::OAuthSettings;
use crate::random::random;

/// A login that waits for its code. It is good for one exchange.
pub struct Login {
    pub(super) verifier: String,
    pub(super) state: String,
    /// The exchange must name the address that the link named.
    pub(super) redirect_uri: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Login {
    /// A new login, unlike every other.
    ///
    /// # Panics
    /// When the system has no randomness: what can be guessed protects nobody.
    #[must_use]
    pub fn begin(settings: &OAuthSettings) -> Self {
        let redirect_uri = settings.redirect_uri.clone();
        Self { verifier: random(), state: random(), redirect_uri }
    }

    /// The link to the page that shows, or sends to the redirect address, the code.
    #[must_use]
    pub fn url(&self, settings: &OAuthSettings) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs([
            ("code", "true"), // Anthropic's page wants it; others pass over it.
            ("client_id", &settings.client_id),
            ("response_type", "code"),
            ("redirect_uri", &self.redirect_uri),
        ]);
        if !settings.scopes.is_empty() {
            query.append_pair("scope", &settings.scopes.join(" "));
        }
        query.extend_pairs([
            ("code_challenge", challenge(&self.verifier).as_str()),
            ("code_challenge_method", "S256"),
            ("state", &self.state),
        ]);
        let page = &settings.authorize_url;
        format!("{page}{}{}", if page.contains('?') { '&' } else { '?' }, query.finish())
    }

    /// Finds the code in what a person pasted: the address the page led to, the code as the page
    /// shows it (`code#state`), or the code alone.
    ///
    /// # Errors
    /// When there is none, when it is of another login, or when the page said no.
    pub fn code(&self, pasted: &str) -> Result<Code, PasteError> {
        parse(pasted, &self.state)
    }
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_the_example_in_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn the_link_asks_for_a_code_and_keeps_the_verifier_to_itself() {
        let login = Login::begin(&settings());
        let url = login.url(&settings());
        assert!(!url.contains(&login.verifier));
        assert!(url.contains(&challenge(&login.verifier)));
        let url = url.replace(&challenge(&login.verifier), "[challenge]");
        insta::assert_snapshot!(url.replace(&login.state, "[state]").replace('&', "\n&"), @"
        https://a.example/oauth/authorize?code=true
        &client_id=a+client
        &response_type=code
        &redirect_uri=https%3A%2F%2Fa.example%2Foauth%2Fcode%2Fcallback
        &scope=user%3Aprofile+user%3Ainference
        &code_challenge=[challenge]
        &code_challenge_method=S256
        &state=[state]
        ");
    }

    #[test]
    fn a_link_keeps_the_query_of_its_page_and_leaves_out_scopes_that_nobody_wants() {
        let page = "https://a.example/?tenant=1".to_owned();
        let settings = OAuthSettings { authorize_url: page, scopes: vec![], ..settings() };
        let url = Login::begin(&settings).url(&settings);
        assert!(url.starts_with("https://a.example/?tenant=1&code=true&"), "{url}");
        assert!(!url.contains("scope"));
    }

    #[test]
    fn verifier_and_state_are_random_and_never_printed() {
        let logins = [Login::begin(&settings()), Login::begin(&settings())];
        let [one, other] = &logins;
        let mut secrets = [&one.verifier, &one.state, &other.verifier, &other.state];
        secrets.sort_unstable();
        assert!(secrets.windows(2).all(|pair| pair[0] != pair[1]));
        for secret in secrets {
            assert_eq!(secret.len(), 43);
            assert!(secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            assert!(!format!("{logins:?}").contains(secret));
        }
    }
}
