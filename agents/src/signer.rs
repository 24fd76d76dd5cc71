//! Signs calls with a profile's secret, and sends them.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use polpo_upstream::credential::Credential;
use polpo_upstream::transport::{Call, Reply, Transport};

use crate::messages::NoReply;
use crate::token::TokenKeeper;

/// What a profile signs with.
#[derive(Clone, Debug)]
pub enum Signing {
    /// A key, which stays what it is.
    Key(Credential),
    /// A token, which is renewed from time to time.
    Token(Arc<TokenKeeper>),
}

/// Signs and sends calls of one profile. A profile lends it with each lease, and to nobody else.
pub(crate) struct Signer {
    signing: Signing,
    transport: Arc<dyn Transport>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) const fn new(signing: Signing, transport: Arc<dyn Transport>) -> Self {
        Self { signing, transport }
    }

    /// Whether a text quotes what calls are signed with now.
    pub(crate) fn is_quoted_in(&self, text: &[u8]) -> bool {
        match &self.signing {
            Signing::Key(key) => key.is_quoted_in(text),
            Signing::Token(keeper) => keeper.held().is_quoted_in(text),
        }
    }

    /// Signs a call and sends it. A token that upstream refuses although it should hold is renewed
    /// once; the second refusal is the answer.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply, NoReply> {
        let keeper = match &self.signing {
            Signing::Key(key) => return Ok(self.transport.send(key.sign(call)).await?),
            Signing::Token(keeper) => keeper,
        };
        let used = keeper.credential().await?;
        let reply = self.transport.send(used.sign(call.clone())).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        drop(reply);
        let renewed = keeper.rejected(&used).await?;
        Ok(self.transport.send(renewed.sign(call)).await?)
    }
}
