//! Composition: the only crate that knows everything.
//!
//! [`cli`] is what a user types, [`config`] and [`tasks`] what they write, [`run`], [`chat`] and
//! [`commands`] what is done about it, [`roster`] which profiles there are, [`keys`] whom the gateway serves, [`wiring`] who knows whom.

pub mod chat;
pub mod cli;
pub mod commands;
pub mod config;
pub mod control;
mod ending;
pub mod exit;
pub mod http;
pub mod keys;
pub mod logs;
pub mod out;
pub mod roster;
pub mod run;
pub mod serve;
pub mod state;
pub mod tasks;
pub mod wiring;
