//! The smaller commands.

pub mod config;
pub mod cost;
pub mod init;
pub mod models;
pub mod simulate;
