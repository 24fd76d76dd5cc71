//! The sign-in page: checks what a client asks for, and shows or sends the code.

use http::StatusCode;
use url::Url;

use super::grants::{Asked, CODE_LIFETIME};
use super::page::{SignIn, refusal};
use super::routes::{Fields, Reply, form};
use super::{OAuth, SCOPES, within};
use crate::clock::Clock;

/// Users that a page shows, each with a code: as many as one looks through.
const MOST_SHOWN: usize = 20;

/// Bytes of a `state`: clients send some forty, and it is kept for every code.
const LONGEST_STATE: usize = 512;

/// Length of a SHA-256 in base64.
const CHALLENGE_LENGTH: usize = 43;

/// How a code gets to the client.
enum Delivery {
    /// A person copies it from the page.
    Shown,
    /// The browser takes it to a client that listens on this machine.
    Sent(Url),
}

impl OAuth {
    /// Answers a browser: with a page of codes, with the way back to the client, or with what is
    /// wrong with the link.
    pub(super) fn authorize(&mut self, clock: &Clock, query: &str) -> Reply {
        let query = form(query.as_bytes());
        let checked = self
            .asked(&query)
            .and_then(|(asked, delivery)| Ok((asked, delivery, self.candidates(&query)?)));
        let (asked, delivery, users) = match checked {
            Ok(checked) => checked,
            Err(reason) => return Reply::page(StatusCode::BAD_REQUEST, refusal(&reason)),
        };
        match delivery {
            Delivery::Shown => self.show(clock, &asked, &users),
            Delivery::Sent(mut to) => {
                let user = users.first().copied().unwrap_or_default();
                let code = self.grants.issue_code(clock.now(), &asked, user);
                to.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked.state);
                Reply::new(StatusCode::FOUND, Vec::new()).with_header("location", to.as_str())
            }
        }
    }

    fn show(&mut self, clock: &Clock, asked: &Asked, users: &[usize]) -> Reply {
        let shown = users.iter().take(MOST_SHOWN).filter_map(|&user| {
            let code = self.grants.issue_code(clock.now(), asked, user);
            Some((self.users.get(user)?.email.clone(), code))
        });
        let codes: Vec<_> = shown.collect();
        let page = SignIn {
            client_id: &self.config.client_id,
            scope: &asked.scope,
            codes: &codes,
            state: &asked.state,
            others: users.len() - codes.len(),
            seconds: clock.real(CODE_LIFETIME).as_secs(),
        };
        Reply::page(StatusCode::OK, page.html())
    }

    /// Who can sign in: whom the client names, or everyone.
    fn candidates(&self, query: &Fields) -> Result<Vec<usize>, String> {
        let users = match query.get("login_hint") {
            Some(email) => self.user(email).into_iter().collect(),
            None => (0..self.users.len()).collect::<Vec<_>>(),
        };
        if users.is_empty() {
            return Err("login_hint: no user has this e-mail address".to_owned());
        }
        Ok(users)
    }

    fn asked(&self, query: &Fields) -> Result<(Asked, Delivery), String> {
        let given = |name: &str| {
            let value = query.get(name).filter(|value| !value.is_empty());
            value.map(String::as_str).ok_or_else(|| format!("{name}: missing"))
        };
        if given("response_type")? != "code" {
            return Err("response_type: only `code` is supported".to_owned());
        }
        if given("client_id")? != self.config.client_id {
            return Err(format!("client_id: unknown; there is `{}`", self.config.client_id));
        }
        let redirect_uri = given("redirect_uri")?;
        let delivery = self.delivery(redirect_uri).ok_or(
            "redirect_uri: not registered; loopback addresses are, with the path `/callback` or \
             `/oauth/code/callback`",
        )?;
        let challenge = given("code_challenge")?;
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if challenge.len() != CHALLENGE_LENGTH || !challenge.bytes().all(is_base64) {
            return Err("code_challenge: 43 characters of base64url are needed".to_owned());
        }
        if given("code_challenge_method")? != "S256" {
            return Err("code_challenge_method: only `S256` is supported".to_owned());
        }
        let state = given("state")?;
        if state.len() > LONGEST_STATE {
            return Err(format!("state: longer than {LONGEST_STATE} bytes"));
        }
        let asked = Asked {
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            state: state.to_owned(),
            scope: within(&SCOPES.join(" "), query.get("scope").map(String::as_str))?,
        };
        Ok((asked, delivery))
    }

    /// Loopback addresses are registered whatever their port: a client on this machine listens
    /// where it can.
    fn delivery(&self, redirect_uri: &str) -> Option<Delivery> {
        if self.config.redirect_uris.iter().any(|registered| registered == redirect_uri) {
            return Some(Delivery::Shown);
        }
        let url = Url::parse(redirect_uri).ok()?;
        let is_loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match url.path() {
            _ if url.scheme() != "http" || !is_loopback => None,
            "/callback" => Some(Delivery::Sent(url)),
            "/oauth/code/callback" => Some(Delivery::Shown),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{link, oauth, shown_codes};
    use super::*;

    fn page(query: &[(&str, &str)]) -> (u16, String) {
        let reply = oauth(3).authorize(&Clock::new(1000), &link(query));
        (reply.status.as_u16(), String::from_utf8(reply.body).unwrap())
    }

    #[test]
    fn the_page_shows_a_code_and_the_state_for_each_user_the_first_one_first() {
        let (status, html) = page(&[]);
        assert_eq!(status, 200);
        let codes = shown_codes(&html);
        assert_eq!(codes.len(), 3);
        assert!(codes.iter().all(|code| code.ends_with("#st4te") && code.len() == 43 + 6));
        assert!(html.find("user-0@example.com") < html.find("user-1@example.com"));
        assert!(html.contains("within 600 seconds"));
    }

    #[test]
    fn a_login_hint_names_the_only_user_that_is_shown() {
        let (status, html) = page(&[("login_hint", "USER-1@example.com")]);
        assert_eq!((status, shown_codes(&html).len()), (200, 1));
        assert!(html.contains("user-1@example.com") && !html.contains("user-0@"));
    }

    #[test]
    fn many_users_are_not_all_shown() {
        let reply = oauth(25).authorize(&Clock::new(1000), &link(&[]));
        let html = String::from_utf8(reply.body).unwrap();
        assert_eq!(shown_codes(&html).len(), 20);
        assert!(html.contains("5 more accounts"));
    }

    #[test]
    fn a_client_that_listens_on_this_machine_is_sent_the_code() {
        for address in ["http://localhost:8123/callback", "http://127.0.0.1:9/callback?x=1"] {
            let query = [("redirect_uri", address), ("state", "a b#c")];
            let reply = oauth(3).authorize(&Clock::new(1000), &link(&query));
            assert_eq!(reply.status.as_u16(), 302);
            let (_, location) = reply.headers.iter().find(|(name, _)| name == "location").unwrap();
            assert!(location.starts_with(address), "{location}");
            let location = Url::parse(location).unwrap();
            let pairs: Vec<_> = location.query_pairs().collect();
            let [.., (_, code), (_, state)] = pairs.as_slice() else { panic!("{pairs:?}") };
            assert_eq!((code.len(), state.as_ref()), (43, "a b#c"));
        }
    }

    #[test]
    fn a_link_that_is_wrong_gets_a_page_that_says_where() {
        let long = "s".repeat(513);
        for (name, value, expected) in [
            ("response_type", "token", "response_type: only `code`"),
            ("client_id", "another", "client_id: unknown; there is `polpo-simulator`"),
            ("client_id", "", "client_id: missing"),
            ("redirect_uri", "https://example.com/callback", "redirect_uri: not registered"),
            ("redirect_uri", "http://localhost.example.com/callback", "redirect_uri: not"),
            ("redirect_uri", "http://localhost:1/elsewhere", "redirect_uri: not registered"),
            ("redirect_uri", "https://localhost:1/callback", "redirect_uri: not registered"),
            ("redirect_uri", "callback", "redirect_uri: not registered"),
            ("code_challenge", "", "code_challenge: missing"),
            ("code_challenge", "short", "code_challenge: 43 characters"),
            ("code_challenge_method", "", "code_challenge_method: missing"),
            ("code_challenge_method", "plain", "code_challenge_method: only `S256`"),
            ("state", "", "state: missing"),
            ("state", &long, "state: longer than 512 bytes"),
            ("scope", "user:profile user:all", "scope: `user:all` is not one of: org:create"),
            ("login_hint", "nobody@example.com", "login_hint: no user has this"),
        ] {
            let (status, html) = page(&[(name, value)]);
            assert_eq!(status, 400, "{name}={value}");
            assert!(html.contains(expected), "{name}={value}: {html}");
            assert!(shown_codes(&html).is_empty());
        }
    }

    #[test]
    fn a_registered_address_has_a_page_of_its_own_to_copy_the_code_from() {
        let address = "https://example.com/oauth/code/callback";
        let mut oauth = oauth(1);
        let link = link(&[("redirect_uri", address)]);
        assert_eq!(oauth.authorize(&Clock::new(1000), &link).status.as_u16(), 400);
        oauth.config.redirect_uris.push(address.to_owned());
        assert_eq!(oauth.authorize(&Clock::new(1000), &link).status.as_u16(), 200);
    }
}
