//! The actors, and nothing but actors: [`scheduler`], [`profile`], [`agent`], [`keeper`], and what
//! passes between them. Every decision is asked of `polpo_policy`.

pub mod agent;
mod ask;
mod attempt;
mod call;
pub mod clock;
pub mod job;
pub mod keeper;
pub mod lease;
pub mod messages;
pub mod profile;
pub mod relay;
pub mod scheduler;
pub mod talk;
pub mod token;
pub mod working;
