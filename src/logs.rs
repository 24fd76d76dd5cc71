//! Log messages, on stderr.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

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
        LogFormat::Text if is_coloured(global) => logs.with_target(false).init(),
        // The library's own fields are painted letter by letter, with or without colours; a line of the
        // access log took four times as long.
        LogFormat::Text => {
            let fields = debug_fn(|to, field, value| field_of(to, field.name(), value));
            logs.with_target(false).fmt_fields(fields.delimited(" ")).init();
        }
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}

/// Writes a field without colours. A message that somebody else has had a word in controls no terminal.
fn field_of(to: &mut Writer<'_>, name: &str, value: &dyn fmt::Debug) -> fmt::Result {
    if name != "message" {
        return write!(to, "{name}={value:?}");
    }
    let is_harmless = |letter: &char| !letter.is_control() || matches!(letter, '\n' | '\t');
    let text = format!("{value:?}");
    text.chars().filter(is_harmless).try_for_each(|letter| to.write_char(letter))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_controls_no_terminal_and_a_field_has_its_name() {
        let text = |name, value: &dyn fmt::Debug| {
            let mut text = String::new();
            field_of(&mut Writer::new(&mut text), name, value).unwrap();
            text
        };
        assert_eq!(text("message", &format_args!("it's \u{1b}[31mred\u{7}\n")), "it's [31mred\n");
        assert_eq!(text("key", &"\u{1b}a"), "key=\"\\u{1b}a\"");
    }
}
