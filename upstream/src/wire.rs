//! What the API's answers look like, as far as we need to know.

pub mod assemble;
pub mod problem;
