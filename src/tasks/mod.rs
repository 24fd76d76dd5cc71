//! The task file: one JSON object a line, in three shapes (prompt, batch request, envelope).
//!
//! [`scan`] reads it once before a cent is spent and finds everything that is wrong with it;
//! [`TaskReader`] reads it again while the run goes on, a task at a time; [`Effective`] is what a
//! task asks for once its agent has had its say.

mod canonical;
mod effective;
mod error;
mod expect;
mod line;
mod lines;
mod reader;
mod rules;
mod scan;
mod task;
#[cfg(test)]
mod tests;
mod words;

pub use effective::Effective;
pub use error::{InputError, LineError};
pub use line::parse_task;
pub use reader::TaskReader;
pub use rules::{CheckExpect, Rules};
pub use scan::{ModelEstimate, Scan, scan};
pub use task::{Body, Request, Shape, Task, TaskId};
