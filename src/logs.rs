//! Log messages, on stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::{Color, Global, LogFormat};
use crate::config::process_env;

/// Starts logging as the options say; a server says more unasked.
pub fn start(global: &Global, is_server: bool) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        // Whoever runs a server wants to know who came, and what became of the profiles.
        (false, 0) if is_server => "warn,polpo::access=info,polpo::profile=info",
        (false, 0) => "warn",
        (false, 1) => "warn,polpo=info,polpo_agents=debug,polpo_store=info",
        // Whatever is logged, nothing that holds a secret has a `Debug` that shows it; libraries
        // below us see headers, so they are not asked for more than what goes wrong.
        (false, _) => {
            "warn,polpo=trace,polpo_agents=trace,polpo_store=trace,polpo_upstream=trace,\
                       polpo_simulator=trace"
        }
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_ansi(is_coloured(global));
    match global.log_format {
        LogFormat::Text => logs.with_target(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}

/// Whether stderr has colours.
#[must_use]
pub fn is_coloured(global: &Global) -> bool {
    let is_plain = process_env("NO_COLOR").is_some_and(|value| !value.is_empty());
    match global.color {
        Color::Auto => std::io::stderr().is_terminal() && !is_plain,
        Color::Always => true,
        Color::Never => false,
    }
}
