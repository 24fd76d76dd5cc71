//! The actors in virtual time: real scheduler, profiles and agents, a paused clock, no socket.

#[cfg(test)]
mod affinity;
#[cfg(test)]
mod conversation;
#[cfg(test)]
#[path = "../gateway/corpus.rs"]
mod corpus;
#[cfg(test)]
mod expect;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod hangup;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod metering;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod money;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod pacing;
#[cfg(test)]
mod rejected;
#[cfg(test)]
mod repeat;
#[cfg(test)]
mod reply;
#[cfg(test)]
mod script;
#[cfg(test)]
mod system;
#[cfg(test)]
mod talk;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod world;
