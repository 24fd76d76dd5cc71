//! Codes and tokens: to whom they were issued, and whether they still hold.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::shelf::Shelf;
use super::{Terms, WORKLOAD_SCOPE};
use crate::clock::SimTime;
use crate::draw::{Draws, sha256};

/// How long a code can be taken for tokens: long enough to copy it by hand, and the most that the
/// OAuth specification recommends.
pub(super) const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// What every access token begins with.
pub(super) const ACCESS_PREFIX: &str = "sk-ant-oat01-";

/// How long a token of a workload holds, as Anthropic documents it.
pub(super) const WORKLOAD_LIFETIME: Duration = Duration::from_secs(600);

/// Codes that are remembered: a page shows at most twenty, so fifty open pages.
const MOST_CODES: usize = 1_000;

/// Tokens of each kind that are remembered. Those that lapsed stay, to be told from unknown ones;
/// a thousand logins that renew three times a day lose none in a month.
const MOST_TOKENS: usize = 100_000;

/// Everything that was issued.
#[derive(Debug)]
pub(super) struct Grants {
    seed: u64,
    terms: Terms,
    /// Secrets so far, each drawn by its number.
    issued: u64,
    codes: Shelf<Code>,
    access: Shelf<Token>,
    refresh: Shelf<Token>,
}

/// What a client asked for on the sign-in page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) state: String,
    pub(super) scope: String,
}

/// What a client shows to have a code taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof<'a> {
    pub(super) redirect_uri: &'a str,
    pub(super) verifier: &'a str,
    pub(super) state: &'a str,
}

#[derive(Debug)]
struct Code {
    asked: Asked,
    user: usize,
    expires: SimTime,
    /// The tokens it was taken for.
    taken_for: Option<u64>,
}

/// A token of either kind.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// One login: its tokens are revoked together.
    family: u64,
    pub(super) user: usize,
    pub(super) scope: Arc<str>,
    expires: SimTime,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    /// A refresh token whose successor was issued.
    Used,
    Revoked,
}

/// Tokens on their way to a client.
pub(super) struct Issued {
    pub(super) user: usize,
    pub(super) scope: Arc<str>,
    pub(super) access_token: String,
    /// Nothing if the client's own goes on to work.
    pub(super) refresh_token: Option<String>,
}

/// Why an access token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lapse {
    Unknown,
    Expired,
    Revoked,
}

impl Grants {
    pub(super) fn new(seed: u64, terms: Terms) -> Self {
        Self {
            seed,
            terms,
            issued: 0,
            codes: Shelf::new(MOST_CODES),
            access: Shelf::new(MOST_TOKENS),
            refresh: Shelf::new(MOST_TOKENS),
        }
    }

    /// A code for what was asked, signed in as a user.
    pub(super) fn issue_code(&mut self, now: SimTime, asked: &Asked, user: usize) -> String {
        let secret = self.secret("", 43);
        let expires = now.after(CODE_LIFETIME);
        self.codes.put(&secret, Code { asked: asked.clone(), user, expires, taken_for: None });
        secret
    }

    /// Takes a code for the first tokens of a login. A code that comes again may have been
    /// stolen: it revokes them. Otherwise says what is wrong.
    pub(super) fn take_code(
        &mut self,
        now: SimTime,
        secret: &str,
        proof: Proof<'_>,
    ) -> Result<Issued, &'static str> {
        // The number of its first secret, which no other login has.
        let family = self.issued + 1;
        let code = self.codes.get_mut(secret).filter(|code| now < code.expires);
        let code = code.ok_or("code: not found or expired")?;
        if let Some(family) = code.taken_for {
            self.revoke(|token| token.family == family);
            return Err("code: already used; its tokens are revoked");
        }
        let challenge = URL_SAFE_NO_PAD.encode(sha256(proof.verifier.as_bytes()));
        if proof.state != code.asked.state {
            return Err("state: not the one of the sign-in page");
        } else if proof.redirect_uri != code.asked.redirect_uri {
            return Err("redirect_uri: not the one of the sign-in page");
        } else if challenge != code.asked.challenge {
            return Err("code_verifier: its SHA-256 is not the code_challenge");
        }
        code.taken_for = Some(family);
        let (user, scope) = (code.user, Arc::from(code.asked.scope.as_str()));
        let login = Token { family, user, scope, expires: now, standing: Standing::Good };
        let refresh_token = Some(self.issue_refresh(now, &login));
        Ok(Issued { refresh_token, ..self.issue_access(now, login) })
    }

    /// The refresh token, if it can be used. One that was used before may have been stolen: it
    /// revokes all tokens of its login.
    pub(super) fn renewable(&mut self, now: SimTime, secret: &str) -> Option<Token> {
        let token = self.refresh.get(secret)?.clone();
        if token.standing == Standing::Used {
            self.revoke(|other| other.family == token.family);
        }
        (token.standing == Standing::Good && now < token.expires).then_some(token)
    }

    /// A new access token for a refresh token that [is renewable](Self::renewable), of its scope
    /// or a narrower one.
    pub(super) fn renew(&mut self, now: SimTime, secret: &str, scope: Arc<str>) -> Option<Issued> {
        let token = self.refresh.get_mut(secret)?;
        if self.terms.rotates {
            token.standing = Standing::Used;
        }
        let login = Token { standing: Standing::Good, ..token.clone() };
        let refresh_token = self.terms.rotates.then(|| self.issue_refresh(now, &login));
        Some(Issued { refresh_token, ..self.issue_access(now, Token { scope, ..login }) })
    }

    /// A token for a workload: it is not renewed, but asked for again.
    pub(super) fn issue_to_workload(&mut self, now: SimTime, user: usize) -> String {
        let secret = self.secret(ACCESS_PREFIX, 95);
        let (family, scope) = (self.issued, WORKLOAD_SCOPE.into());
        let expires = now.after(WORKLOAD_LIFETIME);
        let token = Token { family, user, scope, expires, standing: Standing::Good };
        self.access.put(&secret, token);
        secret
    }

    /// An access token that holds.
    pub(super) fn holding(&self, now: SimTime, secret: &str) -> Result<&Token, Lapse> {
        let token = self.access.get(secret).ok_or(Lapse::Unknown)?;
        if token.standing == Standing::Revoked {
            Err(Lapse::Revoked)
        } else if now < token.expires {
            Ok(token)
        } else {
            Err(Lapse::Expired)
        }
    }

    /// Revokes all tokens of a user.
    pub(super) fn revoke_user(&mut self, user: usize) {
        self.revoke(|token| token.user == user);
    }

    /// Lets the access tokens of a user expire now.
    pub(super) fn expire_user(&mut self, now: SimTime, user: usize) {
        for token in self.access.values_mut().filter(|token| token.user == user) {
            token.expires = token.expires.min(now);
        }
    }

    fn issue_access(&mut self, now: SimTime, login: Token) -> Issued {
        let access_token = self.secret(ACCESS_PREFIX, 95);
        let (user, scope) = (login.user, login.scope.clone());
        let expires = now.after(self.terms.access_lifetime);
        self.access.put(&access_token, Token { expires, ..login });
        Issued { user, scope, access_token, refresh_token: None }
    }

    fn issue_refresh(&mut self, now: SimTime, login: &Token) -> String {
        let secret = self.secret("sk-ant-ort01-", 95);
        let expires = now.after(self.terms.refresh_lifetime);
        self.refresh.put(&secret, Token { expires, ..login.clone() });
        secret
    }

    fn revoke(&mut self, is_meant: impl Fn(&Token) -> bool) {
        let tokens = self.access.values_mut().chain(self.refresh.values_mut());
        for token in tokens.filter(|token| is_meant(token)) {
            token.standing = Standing::Revoked;
        }
    }

    /// A secret by its number: the same in each run with one seed and one order of logins.
    fn secret(&mut self, prefix: &str, length: u64) -> String {
        self.issued += 1;
        let draws = Draws::new(self.seed, &[0; 32], "oauth", self.issued);
        format!("{prefix}{}", draws.id("secret", length))
    }
}
