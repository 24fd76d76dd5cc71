//! A credential profile: the only holder of its secret.

use std::sync::Arc;

use actix::{Actor, Context, Handler};
use polpo_upstream::transport::Transport;

use crate::messages::{Granted, Lend};
use crate::signer::{Signer, Signing};

/// One credential profile.
pub struct Profile {
    signer: Arc<Signer>,
}

impl Profile {
    /// A profile that signs with `signing` and sends over `transport`.
    #[must_use]
    pub fn new(signing: Signing, transport: Arc<dyn Transport>) -> Self {
        Self { signer: Arc::new(Signer::new(signing, transport)) }
    }
}

impl Actor for Profile {
    type Context = Context<Self>;
}

impl Handler<Lend> for Profile {
    type Result = ();

    fn handle(&mut self, lend: Lend, _: &mut Context<Self>) {
        let Lend { claim, alternative, waited, grounds, answer } = lend;
        let lease = claim.with(self.signer.clone());
        // A waiter that went away drops the lease, which settles itself.
        let _ = answer.send(Ok(Granted { lease, alternative, waited, grounds }));
    }
}
