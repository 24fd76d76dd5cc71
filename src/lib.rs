//! Composition: the only crate that knows everything.
//!
//! [`cli`] is what a user types, [`config`] and [`tasks`] what they write, [`run`], [`chat`] and
//! [`commands`] what is done about it, [`roster`] which profiles there are, [`wiring`] who knows whom.

pub mod chat;
pub mod cli;
pub mod commands;
pub mod config;
pub mod control;
pub mod exit;
pub mod http;
pub mod logs;
pub mod out;
pub mod roster;
pub mod run;
pub mod state;
pub mod tasks;
pub mod wiring;
