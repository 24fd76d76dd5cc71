//! A credential profile: the only holder of its secret.

use std::sync::Arc;

use actix::{Actor, Context, Handler, MessageResult};
use http::StatusCode;
use polpo_upstream::credential::Credential;
use polpo_upstream::transport::{Call, Reply, Transport};

use crate::messages::{Dispatch, NoReply, OnItsWay};
use crate::token::TokenKeeper;

/// What a profile signs with.
#[derive(Clone, Debug)]
pub enum Signing {
    /// A key, which stays what it is.
    Key(Credential),
    /// A token, which is renewed from time to time.
    Token(Arc<TokenKeeper>),
}

/// One credential profile.
pub struct Profile {
    signing: Signing,
    transport: Arc<dyn Transport>,
}

impl Profile {
    /// A profile that signs with `signing` and sends over `transport`.
    #[must_use]
    pub const fn new(signing: Signing, transport: Arc<dyn Transport>) -> Self {
        Self { signing, transport }
    }
}

impl Actor for Profile {
    type Context = Context<Self>;
}

impl Handler<Dispatch> for Profile {
    type Result = MessageResult<Dispatch>;

    fn handle(&mut self, Dispatch(call): Dispatch, _: &mut Context<Self>) -> Self::Result {
        let transport = self.transport.clone();
        // Not even begun here: a panic in it ends the one task that waits for it, not the actor.
        let sending: OnItsWay = match &self.signing {
            Signing::Key(key) => {
                let call = key.sign(call);
                Box::pin(async move { Ok(transport.send(call).await?) })
            }
            Signing::Token(keeper) => Box::pin(send(keeper.clone(), transport, call)),
        };
        MessageResult(sending)
    }
}

/// Sends a call with a token that holds. One that upstream refuses all the same is renewed once;
/// the second refusal is the answer.
async fn send(
    keeper: Arc<TokenKeeper>,
    transport: Arc<dyn Transport>,
    call: Call,
) -> Result<Reply, NoReply> {
    let used = keeper.credential().await?;
    let reply = transport.send(used.sign(call.clone())).await?;
    if reply.status != StatusCode::UNAUTHORIZED {
        return Ok(reply);
    }
    drop(reply);
    let renewed = keeper.rejected(&used).await?;
    Ok(transport.send(renewed.sign(call)).await?)
}
