//! The smaller commands.

pub mod auth;
pub mod config;
pub mod cost;
pub mod gateway;
pub mod init;
pub(crate) mod keyring;
pub mod models;
pub mod simulate;
mod standing;
mod when;
