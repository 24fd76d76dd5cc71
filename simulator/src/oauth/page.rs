//! The pages that people see: whole in themselves, without scripts.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::draw::sha256;

const STYLE: &str = "
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { display: grid; min-height: 100vh; margin: 0; place-items: center; }
  main { box-sizing: border-box; width: min(42rem, 100vw); padding: 2rem; }
  h1 { font-size: 1.4rem; font-weight: 600; }
  h2 { margin: 1.5rem 0 .25rem; font-size: 1rem; font-weight: 600; }
  p { margin: .5rem 0; }
  code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
  .code { display: block; padding: .75rem 1rem; border: 1px solid #8888; border-radius: .5rem;
          user-select: all; }
  .note { opacity: .75; font-size: .9rem; }";

/// What the sign-in page says.
pub(super) struct SignIn<'a> {
    pub(super) client_id: &'a str,
    pub(super) scope: &'a str,
    /// E-mail address and code of each user that is shown.
    pub(super) codes: &'a [(String, String)],
    pub(super) state: &'a str,
    /// Users that are not shown.
    pub(super) others: usize,
    /// Real seconds for which the codes can be used.
    pub(super) seconds: u64,
}

impl SignIn<'_> {
    /// A page with a `code#state` to copy for each user.
    pub(super) fn html(&self) -> String {
        let (client, scope, state) =
            (escaped(self.client_id), escaped(self.scope), escaped(self.state));
        let mut main = format!(
            "<h1>Authorize <code>{client}</code></h1>\n\
             <p>It asks for: <code>{scope}</code></p>\n\
             <p>Copy the code of the account to sign in with, and paste it where you were asked \
             for it.</p>\n"
        );
        for (email, code) in self.codes {
            let (email, code) = (escaped(email), escaped(code));
            // A `String` takes all that is written to it.
            let _ = writeln!(
                main,
                "<h2>{email}</h2>\n<code class=\"code\" data-email=\"{email}\">{code}#{state}</code>"
            );
        }
        if self.others > 0 {
            let _ = writeln!(
                main,
                "<p class=\"note\">{} more accounts: add <code>&amp;login_hint=</code> and an \
                 e-mail address to this page's address.</p>",
                self.others
            );
        }
        let _ = writeln!(
            main,
            "<p class=\"note\">A code works once, within {} seconds. Nothing here is real: this \
             is a simulator.</p>",
            self.seconds
        );
        page("Authorize", &main)
    }
}

/// A page that says why nobody can sign in.
pub(super) fn refusal(reason: &str) -> String {
    let reason = escaped(reason);
    page("Invalid request", &format!("<h1>This sign-in link is invalid</h1>\n<p>{reason}</p>\n"))
}

fn page(title: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} - polpo simulator</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{main}</main>\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The policy of these pages: nothing but their own style, known by its sum.
pub(super) fn policy() -> String {
    let sum = STANDARD.encode(sha256(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{sum}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_the_address_is_text_and_never_markup() {
        let html = SignIn {
            client_id: "<b>",
            scope: "a&b",
            codes: &[("o'neill@example.com".to_owned(), "c0de".to_owned())],
            state: "\"><script>",
            others: 3,
            seconds: 600,
        }
        .html();
        assert!(html.contains("c0de#&quot;&gt;&lt;script&gt;</code>"), "{html}");
        assert!(html.contains("<code>&lt;b&gt;</code>") && html.contains("a&amp;b"));
        assert!(html.contains("data-email=\"o&#39;neill@example.com\""));
        assert!(html.contains("3 more accounts"));
        assert!(!html.contains("<script") && !html.contains("<b>"));
        assert!(refusal("state: <i>").contains("<p>state: &lt;i&gt;</p>"));
    }
}
