//! The token endpoint: takes codes and refresh tokens for access tokens.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::grants::{Issued, Proof, WORKLOAD_LIFETIME};
use super::routes::{Fields, Reply, form};
use super::{OAuth, within};
use crate::clock::{Clock, SimTime};

/// The grant of workload identity federation.
const FEDERATION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// An error in the words of the OAuth specification.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denial {
    error: &'static str,
    description: String,
}

impl OAuth {
    /// Answers a client that wants tokens.
    pub(super) fn token(&mut self, clock: &Clock, content_type: &str, body: &[u8]) -> Reply {
        match fields(content_type, body).and_then(|fields| self.grant(clock, &fields)) {
            Ok(answer) => {
                Reply::json(StatusCode::OK, &answer).with_header("cache-control", "no-store")
            }
            Err(denial) => {
                let status = match denial.error {
                    "invalid_client" => StatusCode::UNAUTHORIZED,
                    _ => StatusCode::BAD_REQUEST,
                };
                let Denial { error, description } = denial;
                Reply::json(status, &json!({"error": error, "error_description": description}))
            }
        }
    }

    fn grant(&mut self, clock: &Clock, fields: &Fields) -> Result<Value, Denial> {
        match given(fields, "grant_type")? {
            FEDERATION => self.federated(clock, fields),
            grant_type => {
                let issued = self.of_login(clock.now(), grant_type, fields)?;
                Ok(self.answer_of(clock, &issued))
            }
        }
    }

    fn of_login(
        &mut self,
        now: SimTime,
        grant_type: &str,
        fields: &Fields,
    ) -> Result<Issued, Denial> {
        if given(fields, "client_id")? != self.config.client_id {
            return denied("invalid_client", "client_id: unknown");
        }
        match grant_type {
            "authorization_code" => {
                let proof = Proof {
                    redirect_uri: given(fields, "redirect_uri")?,
                    verifier: given(fields, "code_verifier")?,
                    state: given(fields, "state")?,
                };
                let taken = self.grants.take_code(now, given(fields, "code")?, proof);
                taken.or_else(|complaint| denied("invalid_grant", complaint))
            }
            "refresh_token" => self.renewed(now, given(fields, "refresh_token")?, fields),
            _ => denied("unsupported_grant_type", "grant_type: not supported"),
        }
    }

    fn renewed(&mut self, now: SimTime, secret: &str, fields: &Fields) -> Result<Issued, Denial> {
        let unknown = || Denial {
            error: "invalid_grant",
            description: "Refresh token not found or invalid".to_owned(),
        };
        let token = self.grants.renewable(now, secret).ok_or_else(unknown)?;
        let scope = within(&token.scope, fields.get("scope").map(String::as_str))
            .or_else(|complaint| denied("invalid_scope", &complaint))?;
        self.grants.renew(now, secret, scope.into()).ok_or_else(unknown)
    }

    /// A token for a workload, which shows what its own platform says of it. That is not looked
    /// at: the rule alone decides whose token it is.
    fn federated(&mut self, clock: &Clock, fields: &Fields) -> Result<Value, Denial> {
        given(fields, "assertion")?;
        let rule = given(fields, "federation_rule_id")?;
        let user = self.config.federation_rules.get(rule).copied();
        let Some((index, user)) = user.and_then(|index| Some((index, self.users.get(index)?)))
        else {
            return denied("invalid_grant", "federation_rule_id: unknown");
        };
        let organization = fields.get("organization_id");
        if organization.is_some_and(|given| *given != user.organization_uuid) {
            return denied("invalid_grant", "organization_id: not the organization of the rule");
        }
        let token = self.grants.issue_to_workload(clock.now(), index);
        let seconds = clock.real(WORKLOAD_LIFETIME).as_secs();
        Ok(json!({"access_token": token, "token_type": "bearer", "expires_in": seconds}))
    }

    fn answer_of(&self, clock: &Clock, issued: &Issued) -> Value {
        let mut answer = json!({
            "access_token": issued.access_token,
            "token_type": "Bearer",
            // Rounded down: a client must not take it for longer than it holds.
            "expires_in": clock.real(self.config.terms.access_lifetime).as_secs(),
            "scope": &*issued.scope,
        });
        if let Some(token) = &issued.refresh_token {
            answer["refresh_token"] = json!(token);
        }
        if let Some(user) = self.users.get(issued.user) {
            answer["organization"] =
                json!({"uuid": user.organization_uuid, "name": user.organization_name});
            answer["account"] = json!({"uuid": user.account_uuid, "email_address": user.email});
        }
        answer
    }
}

fn denied<T>(error: &'static str, description: &str) -> Result<T, Denial> {
    Err(Denial { error, description: description.to_owned() })
}

fn given<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Denial> {
    match fields.get(name) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => denied("invalid_request", &format!("{name}: missing")),
    }
}

/// The texts of a body: a form as the specification has it, or JSON as Anthropic's clients do.
fn fields(content_type: &str, body: &[u8]) -> Result<Fields, Denial> {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return Ok(form(body));
    }
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return denied("invalid_request", "the body is neither a JSON object nor a form");
    };
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Ok(body.iter().filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STATE, VERIFIER, code_for, oauth, oauth_with, redirect};
    use super::super::{Config, Need};
    use super::*;

    fn ask(oauth: &mut OAuth, clock: &Clock, body: &Value) -> (u16, Value) {
        let reply = oauth.token(clock, "application/json", body.to_string().as_bytes());
        (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap())
    }

    fn taking(code: &str) -> Value {
        json!({"grant_type": "authorization_code", "code": code, "state": STATE,
               "client_id": "polpo-simulator", "redirect_uri": redirect(), "code_verifier": VERIFIER})
    }

    fn renewing(token: &Value) -> Value {
        json!({"grant_type": "refresh_token", "refresh_token": token, "client_id": "polpo-simulator"})
    }

    /// A simulator with one login, and what the login brought.
    fn signed_in(config: Config) -> (OAuth, Clock, Value) {
        let (mut oauth, clock) = (oauth_with(config, 2), Clock::new(1000));
        let code = code_for(&mut oauth, &clock, "user-1@example.com");
        let (status, tokens) = ask(&mut oauth, &clock, &taking(&code));
        assert_eq!(status, 200, "{tokens}");
        (oauth, clock, tokens)
    }

    fn holds(oauth: &OAuth, clock: &Clock, tokens: &Value) -> Result<String, String> {
        let token = tokens["access_token"].as_str().unwrap();
        let user = oauth.resolve(clock.now(), token, true, Need::Inference);
        user.map(|user| user.email.clone()).map_err(|problem| problem.message)
    }

    #[test]
    fn a_code_brings_tokens_that_belong_to_its_user() {
        let (oauth, clock, tokens) = signed_in(Config::default());
        let text = |name: &str| tokens[name].as_str().unwrap();
        assert!(text("access_token").starts_with("sk-ant-oat01-"));
        assert!(text("refresh_token").starts_with("sk-ant-ort01-"));
        assert_eq!((text("token_type"), &tokens["expires_in"]), ("Bearer", &json!(28_800)));
        assert_eq!(text("scope"), "org:create_api_key user:profile user:inference");
        assert_eq!(tokens["account"]["email_address"], "user-1@example.com");
        assert_eq!(tokens["organization"]["name"], "Organization 1");
        assert_eq!(holds(&oauth, &clock, &tokens).unwrap(), "user-1@example.com");
    }

    #[test]
    fn a_form_is_as_good_as_json() {
        let (mut oauth, clock) = (oauth(1), Clock::new(1000));
        let code = code_for(&mut oauth, &clock, "user-0@example.com");
        let body = taking(&code);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(body.as_object().unwrap().iter().map(|(k, v)| (k, v.as_str().unwrap())))
            .finish();
        let reply = oauth.token(&clock, "application/x-www-form-urlencoded", form.as_bytes());
        assert_eq!(reply.status.as_u16(), 200);
        let cached = reply.headers.iter().find(|(name, _)| name == "cache-control").unwrap();
        assert_eq!(cached.1, "no-store");
    }

    #[test]
    fn what_does_not_match_the_sign_in_page_is_denied_and_leaves_the_code_as_it_was() {
        let (mut oauth, clock) = (oauth(1), Clock::new(1000));
        let code = code_for(&mut oauth, &clock, "user-0@example.com");
        for (name, value, error, description) in [
            ("grant_type", "password", "unsupported_grant_type", "grant_type: not supported"),
            ("grant_type", "", "invalid_request", "grant_type: missing"),
            ("client_id", "another", "invalid_client", "client_id: unknown"),
            ("code", "unknown", "invalid_grant", "code: not found or expired"),
            ("code_verifier", "another", "invalid_grant", "code_verifier: its SHA-256"),
            ("code_verifier", "", "invalid_request", "code_verifier: missing"),
            ("redirect_uri", "http://localhost:1/callback", "invalid_grant", "redirect_uri: not"),
            ("state", "another", "invalid_grant", "state: not the one"),
        ] {
            let mut body = taking(&code);
            body[name] = json!(value);
            let (status, answer) = ask(&mut oauth, &clock, &body);
            assert_eq!(status, if error == "invalid_client" { 401 } else { 400 }, "{name}");
            assert_eq!(answer["error"], error);
            let told = answer["error_description"].as_str().unwrap();
            assert!(told.starts_with(description), "{told}");
        }
        assert_eq!(ask(&mut oauth, &clock, &json!([])).1["error"], "invalid_request");
        assert_eq!(ask(&mut oauth, &clock, &taking(&code)).0, 200);
    }

    #[test]
    fn a_code_that_comes_twice_revokes_what_it_brought() {
        let (mut oauth, clock) = (oauth(1), Clock::new(1000));
        let code = code_for(&mut oauth, &clock, "user-0@example.com");
        let (_, tokens) = ask(&mut oauth, &clock, &taking(&code));
        assert_eq!(ask(&mut oauth, &clock, &taking(&code)).1["error"], "invalid_grant");
        assert!(holds(&oauth, &clock, &tokens).unwrap_err().contains("revoked"));
        assert_eq!(ask(&mut oauth, &clock, &renewing(&tokens["refresh_token"])).0, 400);
    }

    #[test]
    fn a_refresh_token_works_once_and_a_second_use_revokes_the_login() {
        let (mut oauth, clock, first) = signed_in(Config::default());
        let (status, second) = ask(&mut oauth, &clock, &renewing(&first["refresh_token"]));
        assert_eq!((status, &second["account"]), (200, &first["account"]));
        assert_ne!(second["refresh_token"], first["refresh_token"]);
        assert_ne!(second["access_token"], first["access_token"]);
        assert!(holds(&oauth, &clock, &first).is_ok(), "calls on their way go on");
        assert!(holds(&oauth, &clock, &second).is_ok());

        let (status, answer) = ask(&mut oauth, &clock, &renewing(&first["refresh_token"]));
        assert_eq!(status, 400);
        let expected = json!({"error": "invalid_grant",
            "error_description": "Refresh token not found or invalid"});
        assert_eq!(answer, expected);
        for tokens in [&first, &second] {
            assert!(holds(&oauth, &clock, tokens).unwrap_err().contains("revoked"));
        }
        assert_eq!(ask(&mut oauth, &clock, &renewing(&second["refresh_token"])).0, 400);
    }

    #[test]
    fn without_rotation_the_refresh_token_goes_on_to_work_and_none_is_sent() {
        let mut config = Config::default();
        config.terms.rotates = false;
        let (mut oauth, clock, tokens) = signed_in(config);
        for _ in 0..3 {
            let (status, answer) = ask(&mut oauth, &clock, &renewing(&tokens["refresh_token"]));
            assert_eq!((status, answer.get("refresh_token")), (200, None));
            assert!(holds(&oauth, &clock, &answer).is_ok());
        }
    }

    #[test]
    fn a_scope_can_be_narrowed_but_not_widened_and_the_login_keeps_its_own() {
        let (mut oauth, clock, tokens) = signed_in(Config::default());
        let mut body = renewing(&tokens["refresh_token"]);
        body["scope"] = json!("user:profile user:admin");
        assert_eq!(ask(&mut oauth, &clock, &body).1["error"], "invalid_scope");
        body["scope"] = json!("user:profile");
        let (_, narrow) = ask(&mut oauth, &clock, &body);
        assert_eq!(narrow["scope"], "user:profile");
        assert!(holds(&oauth, &clock, &narrow).unwrap_err().contains("scope requirement"));
        let (_, wide) = ask(&mut oauth, &clock, &renewing(&narrow["refresh_token"]));
        assert_eq!(wide["scope"], tokens["scope"]);
    }

    #[test]
    fn a_workload_gets_a_token_for_ten_minutes_that_is_good_for_inference_alone() {
        let mut config = Config::default();
        config.federation_rules.insert("fdrl_1".to_owned(), 1);
        let (mut oauth, clock) = (oauth_with(config, 2), Clock::new(1000));
        let asking = |rule: &str, organization: &str| {
            json!({"grant_type": FEDERATION, "assertion": "a.b.c", "federation_rule_id": rule,
                   "organization_id": organization, "service_account_id": "svac_1"})
        };
        let organization = oauth.users[1].organization_uuid.clone();
        let (status, answer) = ask(&mut oauth, &clock, &asking("fdrl_1", &organization));
        assert_eq!((status, &answer["expires_in"]), (200, &json!(600)));
        assert_eq!(answer["token_type"], "bearer");
        assert_eq!(holds(&oauth, &clock, &answer).unwrap(), "user-1@example.com");
        let token = answer["access_token"].as_str().unwrap();
        let profile = oauth.resolve(clock.now(), token, true, Need::Profile).unwrap_err();
        assert_eq!(profile.status().as_u16(), 403);
        let late = clock.now().after(WORKLOAD_LIFETIME);
        assert!(oauth.resolve(late, token, true, Need::Inference).is_err());

        for (rule, organization) in [("fdrl_2", organization.as_str()), ("fdrl_1", "another")] {
            let (status, answer) = ask(&mut oauth, &clock, &asking(rule, organization));
            assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
        }
    }
}
