//! The profile file, as processes that share it see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damage;
mod format;
mod killed;
mod limits;
mod merge;
mod place;
mod world;
