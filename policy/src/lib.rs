//! Every decision of polpo, pure: time and chance are arguments, effects are return values.

pub mod id;
pub mod model;
pub mod price;
pub mod usage;
