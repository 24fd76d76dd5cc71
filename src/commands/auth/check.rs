//! The call that tells whether a credential works, and costs nothing.

use std::time::Duration;

use chrono::Utc;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method};
use polpo_policy::failure::Failure;
use polpo_policy::id::ProviderId;
use polpo_policy::limits::Hints;
use polpo_upstream::credential::Credential;
use polpo_upstream::error::TransportError;
use polpo_upstream::transport::{Call, Reply, SILENCE, Transport};
use polpo_upstream::wire::problem::Problem;
use serde_json::json;
use tokio::time::timeout;

use crate::commands::keyring::{Keyring, needed};

/// Counting tokens takes a second; whoever waits at a terminal does not wait for a minute.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of an error that are read: many times what the API says.
const MOST_BYTES: usize = 64 * 1024;

/// A model that everyone may use, for providers of which the agents use none.
const MODEL: &str = "claude-haiku-4-5-20251001";

/// What a test of a credential found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Works,
    /// It is not accepted.
    Refused(String),
    /// It is of a login that is over.
    LoggedOut(String),
    /// It is of a login that polpo.json does not say how to renew.
    Unconfigured(String),
    /// It is accepted, but may not do what is needed.
    Forbidden(String),
    /// It is genuine, but there is nothing left of a limit or of the money.
    Limited(String),
    /// Nobody answered, or who did could not.
    Unreachable(String),
    /// There was an answer that says nothing of the credential.
    Unclear(String),
}

/// What to do about a token that is not accepted, for this reason.
pub(super) fn login_advice(why: &str, provider: &ProviderId) -> String {
    if why.contains("OAuth authentication is currently not supported") {
        format!(
            "{provider} takes tokens only with a header of its own: put what came with the client \
             id into providers.{provider}.oauth.callHeaders of polpo.json"
        )
    } else {
        format!("log in again: polpo auth login {provider}")
    }
}

/// Tests a credential, whose account can count tokens or cannot.
pub(super) async fn check(
    keyring: &Keyring,
    provider: &ProviderId,
    (credential, counts_tokens): (&Credential, bool),
    transport: &dyn Transport,
) -> Finding {
    let call = credential.sign(question(keyring, provider, counts_tokens));
    let answer = async {
        let reply = transport.send(call).await?;
        if reply.status.is_success() {
            return Ok(Finding::Works);
        }
        problem(reply).await
    };
    match timeout(DEADLINE, answer).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(error)) => Finding::Unreachable(error.to_string()),
        Err(_) => Finding::Unreachable(TransportError::Idle.to_string()),
    }
}

/// What is asked: how many tokens something has, or where that cannot be asked, how many points
/// are left.
fn question(keyring: &Keyring, provider: &ProviderId, counts_tokens: bool) -> Call {
    let mut headers = HeaderMap::new();
    if !counts_tokens {
        let path = "/usage/current_balance".to_owned();
        return Call {
            method: Method::GET,
            path,
            headers,
            body: Default::default(),
            silence: SILENCE,
        };
    }
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    let needed = needed(&keyring.config);
    let model = needed.get(provider).and_then(|models| models.first());
    let model = model.map_or(MODEL, String::as_str);
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
    let path = "/v1/messages/count_tokens".to_owned();
    Call { method: Method::POST, path, headers, body: body.to_string().into(), silence: SILENCE }
}

async fn problem(mut reply: Reply) -> Result<Finding, TransportError> {
    let mut body = Vec::new();
    while let Some(chunk) = reply.body.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > MOST_BYTES {
            break;
        }
    }
    let now = Utc::now();
    let header = |name: &str| reply.headers.get(name)?.to_str().ok();
    let hints = Hints::read(now, header);
    let problem = Problem::from_body(reply.status, &body);
    let why = format!("{} ({})", problem.message, reply.status.as_u16());
    Ok(match problem.failure(now, &hints) {
        Failure::Revoked => Finding::Refused(why),
        Failure::Forbidden => Finding::Forbidden(why),
        Failure::Limited { .. } | Failure::Unfunded { .. } => Finding::Limited(why),
        Failure::Overloaded | Failure::Faulty | Failure::Network => Finding::Unreachable(why),
        Failure::Unrefreshed { .. } | Failure::Unsuited | Failure::Rejected => {
            Finding::Unclear(why)
        }
    })
}
