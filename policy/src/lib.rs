//! Every decision of polpo, pure: time and chance are arguments, effects are return values.

pub mod budget;
pub mod expect;
pub mod failure;
pub mod health;
pub mod id;
pub mod ladder;
pub mod limits;
pub mod model;
pub mod pool;
pub mod price;
pub mod provider;
pub mod quota;
pub mod retry;
pub mod tokens;
pub mod usage;
