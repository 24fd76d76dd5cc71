//! A credential profile: the only holder of its secret.

use std::sync::Arc;

use actix::{Actor, Context, Handler, MessageResult};
use polpo_upstream::credential::Credential;
use polpo_upstream::transport::{Sending, Transport};

use crate::messages::Dispatch;

/// One credential profile.
pub struct Profile {
    credential: Credential,
    transport: Arc<dyn Transport>,
}

impl Profile {
    /// A profile that signs with `credential` and sends over `transport`.
    #[must_use]
    pub const fn new(credential: Credential, transport: Arc<dyn Transport>) -> Self {
        Self { credential, transport }
    }
}

impl Actor for Profile {
    type Context = Context<Self>;
}

impl Handler<Dispatch> for Profile {
    type Result = MessageResult<Dispatch>;

    fn handle(&mut self, Dispatch(call): Dispatch, _: &mut Context<Self>) -> Self::Result {
        let (transport, call) = (self.transport.clone(), self.credential.sign(call));
        // Not even begun here: a panic in it ends the one task that waits for it, not the actor.
        let sending: Sending = Box::pin(async move { transport.send(call).await });
        MessageResult(sending)
    }
}
