//! The journal, as those who use it see it: the same on both implementations, and what only a
//! file can do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agreement;
mod booked;
mod calls;
mod costs;
mod durability;
mod file;
mod message_batches;
mod results;
mod runs;
mod world;
