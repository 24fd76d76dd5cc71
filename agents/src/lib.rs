//! The actors, and nothing but actors: [`scheduler`], [`profile`], [`agent`], [`keeper`], and what
//! passes between them; and [`gateway`], which asks them for clients. Every decision is asked of `polpo_policy`.

pub mod agent;
mod ask;
mod attempt;
mod bill;
mod call;
pub mod clock;
pub mod gateway;
pub mod intake;
pub mod job;
pub mod keeper;
pub mod lease;
pub mod ledger;
pub mod messages;
pub mod profile;
pub mod relay;
pub mod scheduler;
pub mod signer;
pub mod talk;
pub mod token;
pub mod working;
