//! Who a request comes from.

use http::HeaderMap;

use crate::core::Core;
use crate::draw::Draws;
use crate::limiter::Caller;
use crate::oauth::{Need, User, bearer, has_beta, is_access_token};
use crate::problem::{Kind, Problem};
use crate::scenario::{Account, Scenario};

impl Core {
    /// Whose credential a request carries. `x-api-key` wins over a bearer token; an access token
    /// is no key.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let fail = |message: &str| Err(Problem::new(Kind::Authentication, message));
        let key = headers.get("x-api-key").map(|value| value.to_str().unwrap_or_default());
        let (credential, refusal) = match (key, bearer(headers)) {
            (Some(key), _) if is_access_token(key) => return fail("invalid x-api-key"),
            (Some(key), _) => (key, "invalid x-api-key"),
            (None, Some(token)) => (token, "Invalid authentication credentials"),
            (None, None) => return fail("x-api-key header is required"),
        };
        if is_access_token(credential) {
            let oauth = self.oauth();
            let now = self.clock.now();
            let user = oauth.resolve(now, credential, has_beta(headers), Need::Inference)?;
            return Ok(self.caller(user.account));
        }
        match self.account(credential) {
            Some(account) => Ok(self.caller(account)),
            None => fail(refusal),
        }
    }

    fn account(&self, key: &str) -> Option<usize> {
        let known = self.keys.get(key).copied();
        let takes_any = self.scenario.accept_any_key && !key.is_empty();
        known.or_else(|| takes_any.then(|| self.account_for(key)))
    }

    /// Where any key is taken, an unknown one always belongs to the same account.
    fn account_for(&self, key: &str) -> usize {
        let count = self.scenario.accounts.len() as u64;
        let index = Draws::named(self.scenario.seed, key).below("account", 0, count);
        usize::try_from(index).unwrap_or(0)
    }
}

/// Every account has one user, who can sign in.
pub(crate) fn users(scenario: &Scenario) -> Vec<User> {
    let user = |(index, account): (usize, &Account)| User {
        account: index,
        email: account.email.clone(),
        account_uuid: Draws::named(scenario.seed, &account.name).uuid("user"),
        organization_uuid: account.organization_id.clone(),
        organization_name: format!("{}'s organization", account.name),
    };
    scenario.accounts.iter().enumerate().map(user).collect()
}
