//! The smaller commands.

pub mod auth;
pub mod config;
pub mod cost;
pub mod init;
mod keyring;
pub mod models;
pub mod simulate;
mod standing;
mod when;
