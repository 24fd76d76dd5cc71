//! What requests and answers of the API look like, as far as we need to know.

pub mod assemble;
pub mod batch;
mod fields;
pub mod problem;
pub mod request;
