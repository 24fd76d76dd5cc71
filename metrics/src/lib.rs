//! The only place that knows Prometheus.
//!
//! - [`Metrics`]: one method for each thing that happens, and the text that a scrape reads.
//! - [`events`]: what those methods are told, where it takes more than a few words.
//! - [`label`]: the closed sets of values that labels take.

pub mod events;
mod families;
mod family;
pub mod label;
mod metrics;
mod names;
mod runs;

pub use events::{Allowance, Budget, ProfileGauges, RequestEnded, Spending, TaskCounts};
pub use label::Surface;
pub use metrics::{Metrics, MetricsError};
