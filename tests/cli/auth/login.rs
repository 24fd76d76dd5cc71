//! Logging in: the transcript, what is pasted, and what is stored.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{KEY, configure, fed, file, served, status};
use crate::server::{Server, get, tasks};
use crate::support::{Process, World};

/// A login that waits for a code.
pub(crate) struct Login {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    /// What it has said so far.
    transcript: String,
    /// The link it has printed.
    url: String,
}

impl Login {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let (mut transcript, mut url) = (String::new(), String::new());
        while url.is_empty() {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "no link in: {transcript}");
            if line.starts_with("http") {
                line.trim_end().clone_into(&mut url);
            }
            transcript += &line;
        }
        Self { child, said, transcript, url }
    }

    /// The codes that its page shows, each as `code#state`.
    pub(crate) fn codes(&self) -> Vec<String> {
        let rest = self.url.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let page = get(address, &format!("/{path}"));
        let marked = page.split("<code class=\"code\"").skip(1);
        let code = |rest: &str| Some(rest.split_once('>')?.1.split_once('<')?.0.to_owned());
        marked.filter_map(code).collect()
    }

    /// Pastes a line, and says how it ended: the code, the transcript, the complaints.
    pub(crate) fn paste(mut self, line: &str) -> (Option<i32>, String, String) {
        writeln!(self.child.stdin.take().unwrap(), "{line}").unwrap();
        self.said.read_to_string(&mut self.transcript).unwrap();
        let mut complaints = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        let transcript = self.transcript.replace(&self.url, "[url]");
        (self.child.wait().unwrap().code(), transcript, complaints)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How to log in at a server.
fn oauth(server: &Server) -> Value {
    let url = |path: &str| format!("{}{path}", server.base_url());
    json!({
        "clientId": "polpo-simulator",
        "authorizeUrl": url("/oauth/authorize"),
        "tokenUrl": url("/v1/oauth/token"),
        "redirectUri": url("/oauth/code/callback"),
        "scopes": ["user:profile", "user:inference"],
        "callHeaders": {"anthropic-beta": "oauth-2025-04-20"},
        "profileUrl": url("/api/oauth/profile"),
    })
}

/// A server, and a polpo.json that knows how to log in there.
fn configured() -> (World, Server) {
    let (world, server) = served();
    configure(&world, json!({"baseUrl": server.base_url(), "oauth": oauth(&server)}));
    (world, server)
}

#[test]
fn a_login_reads_as_it_always_has() {
    let world = World::new();
    let mut command = world.polpo(&["auth", "login", "anthropic", "--simulate"]);
    command.env_remove("POLPO_STATE_DIR");
    let login = Login::start(command);
    assert!(login.url.contains("/oauth/authorize?code=true&client_id=polpo-simulator&"));
    let code = login.codes().remove(0);
    let (exit, transcript, complaints) = login.paste(&code);
    assert_eq!((exit, complaints.as_str()), (Some(0), ""));
    let expected = [
        "Logging in to Anthropic (Claude Pro/Max)...",
        "",
        "Open this URL in your browser and paste the authorization code",
        "[url]",
        "",
        "Paste the authorization code from the browser (format: code#state): ",
        "",
        "Login successful!",
        "Profile saved as: anthropic:user@example.com",
        "Stored in ~/.polpo/simulated/auth-profiles.json",
    ];
    assert_eq!(transcript.lines().collect::<Vec<_>>(), expected);
    assert!(world.path("home/.polpo/simulated/auth-profiles.json").is_file());
    assert!(!world.path("home/.polpo/auth-profiles.json").exists());
    let mut list = world.polpo(&["auth", "list", "--simulate"]);
    list.env_remove("POLPO_STATE_DIR");
    let listed = Process::start(list).end().ended(0).stdout;
    let why = "anthropic:user@example.com is unused: simulated runs use the scenario's accounts";
    assert!(listed.contains(why), "{listed}");
}

#[test]
fn a_login_at_a_configured_provider_is_stored_and_works() {
    let (world, server) = configured();
    let login = Login::start(world.polpo(&["auth", "login", "anthropic"]));
    let code = login.codes().remove(1);
    let (exit, transcript, complaints) = login.paste(&code);
    assert_eq!(exit, Some(0), "{transcript}{complaints}");
    let row = status(&world, "anthropic:b@example.com");
    assert_eq!((&row["type"], &row["email"]), (&json!("oauth"), &json!("b@example.com")));
    let ran = world.run(&["auth", "test"]).ended(0);
    assert_eq!(ran.stdout, "anthropic:b@example.com: works\n");

    world.write("tasks.jsonl", tasks(1));
    world.run(&["run", "tasks.jsonl"]).ended(0);
    assert!(world.read("tasks.results.jsonl").contains("\"anthropic:b@example.com\""));

    // A token that is over is renewed once, and its refresh token is replaced.
    let mut stored = file(&world);
    let profile = &mut stored["profiles"]["anthropic:b@example.com"];
    profile["expires"] = super::millis(-1).into();
    let before = profile["refresh"].clone();
    world.write("state/auth-profiles.json", stored.to_string());
    world.run(&["auth", "test"]).ended(0);
    assert_ne!(file(&world)["profiles"]["anthropic:b@example.com"]["refresh"], before);

    post(&server, "/_sim/oauth/revoke", r#"{"email": "b@example.com"}"#);
    let ran = world.run(&["auth", "test"]).ended(4);
    assert!(ran.stdout.contains("refused") && ran.stdout.contains("polpo auth login anthropic"));
    assert_eq!(status(&world, "anthropic:b@example.com")["state"], "revoked");
}

fn post(server: &Server, path: &str, body: &str) {
    let mut socket = std::net::TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        server.address(),
        body.len()
    );
    socket.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

#[test]
fn the_address_that_the_page_led_to_can_be_pasted_and_the_code_alone() {
    let (world, server) = configured();
    for form in ["{base}/oauth/code/callback?code={code}&state={state}", "{code}"] {
        let login = Login::start(world.polpo(&["auth", "login", "anthropic"]));
        let shown = login.codes().remove(0);
        let (code, state) = shown.split_once('#').unwrap();
        let pasted = form
            .replace("{base}", &server.base_url())
            .replace("{code}", code)
            .replace("{state}", state);
        let (exit, _, complaints) = login.paste(&pasted);
        assert_eq!(exit, Some(0), "{form}: {complaints}");
    }
}

#[test]
fn what_is_no_code_of_this_login_fails_it_and_nothing_is_stored() {
    let (world, _server) = configured();
    for (pasted, words) in [
        ("", "there is no code"),
        ("not a code", "this holds no code"),
        ("c0de#another-state", "this code belongs to another login"),
        ("error=access_denied&error_description=You+said+no", "You said no"),
        ("c0de", "the login server refused: invalid_grant"),
        (KEY, "this is a key: store it with `polpo auth add anthropic`"),
    ] {
        let ran = fed(&world, pasted, &["auth", "login", "anthropic"]);
        ran.complained(1, &["Login failed: ", words]);
    }
    assert!(!world.path("state/auth-profiles.json").exists());
}

#[test]
fn a_person_at_a_terminal_picks_a_provider_and_may_try_three_times() {
    let (world, _server) = configured();
    let mut script = world.command("script");
    let login = format!("{} auth login", env!("CARGO_BIN_EXE_polpo"));
    script.args(["-qec", &login, "/dev/null"]);
    if !world.command("script").arg("--version").output().is_ok_and(|it| it.status.success()) {
        return; // It makes the terminal, where there is one of util-linux.
    }
    let typed = world.write("typed", "1\nnot a code\n\nc0de#another-state\nc0de\n");
    let ran = Process::fed(script, &typed).end().ended(1);
    assert!(ran.stdout.contains("1. Anthropic (Claude Pro/Max)"), "{ran}");
    assert_eq!(ran.stdout.matches("Paste the authorization code").count(), 3, "{ran}");
    for words in ["this holds no code", "there is no code", "Login failed: this code belongs to"] {
        assert!(ran.stdout.contains(words), "{ran}");
    }
}

#[test]
fn a_login_that_nobody_has_configured_says_how_and_that_a_key_is_simpler() {
    let world = World::new();
    let advice =
        ["polpo auth add anthropic", "\"clientId\"", "\"callHeaders\"", "no client id of its own"];
    world.run(&["auth", "login", "anthropic"]).complained(2, &advice);
    world.run(&["auth", "login"]).complained(2, &advice);
    world
        .run(&["auth", "login", "moon"])
        .complained(2, &["anthropic, poe", "providers.moon.oauth"]);
    // What it shows is a polpo.json.
    let ran = world.run(&["auth", "login", "anthropic"]);
    let (start, end) = (ran.stderr.find("\n{").unwrap(), ran.stderr.rfind("\n}").unwrap());
    world.write("polpo.json", &ran.stderr[start..end + 2]);
    world.run(&["config", "validate"]).ended(0);
}

#[test]
fn a_login_whose_calls_lack_a_header_is_stored_and_says_which_setting_to_mend() {
    let (world, server) = configured();
    let mut oauth = oauth(&server);
    oauth.as_object_mut().unwrap().remove("callHeaders");
    configure(&world, json!({"baseUrl": server.base_url(), "oauth": oauth}));
    let login = Login::start(world.polpo(&["auth", "login", "anthropic"]));
    let code = login.codes().remove(0);
    let (exit, transcript, complaints) = login.paste(&code);
    assert_eq!(exit, Some(0), "{transcript}{complaints}");
    assert!(complaints.contains("providers.anthropic.oauth.callHeaders"), "{complaints}");
    assert_eq!(file(&world)["profiles"]["anthropic:a@example.com"]["type"], "oauth");
    let ran = world.run(&["auth", "test"]).ended(4);
    assert!(ran.stdout.contains("providers.anthropic.oauth.callHeaders"), "{ran}");
}

#[test]
fn a_login_that_is_over_is_told_why_once() {
    let (world, server) = configured();
    let login = Login::start(world.polpo(&["auth", "login", "anthropic"]));
    let code = login.codes().remove(0);
    login.paste(&code);
    let mut stored = file(&world);
    let profile = &mut stored["profiles"]["anthropic:a@example.com"];
    profile["expires"] = super::millis(-1).into();
    world.write("state/auth-profiles.json", stored.to_string());
    configure(&world, json!({"baseUrl": server.base_url()}));
    let ran = world.run(&["auth", "test"]).ended(4);
    let why = "not used: it has expired and polpo.json does not say how to renew it; add \
               providers.anthropic.oauth";
    assert!(ran.stdout.contains(why) && !ran.stderr.contains("renew"), "{ran}");

    let profile = &mut stored["profiles"]["anthropic:a@example.com"];
    profile["expires"] = super::millis(3600).into();
    profile.as_object_mut().unwrap().remove("refresh");
    world.write("state/auth-profiles.json", stored.to_string());
    configure(&world, json!({"baseUrl": server.base_url(), "oauth": oauth(&server)}));
    post(&server, "/_sim/oauth/revoke", r#"{"email": "a@example.com"}"#);
    let ran = world.run(&["auth", "test"]).ended(4);
    assert!(ran.stdout.contains("is over: it was refused; log in again"), "{ran}");
}

#[test]
fn a_key_does_not_replace_a_login() {
    let (world, _server) = configured();
    let login = Login::start(world.polpo(&["auth", "login", "anthropic"]));
    let code = login.codes().remove(0);
    login.paste(&code);
    let add = ["auth", "add", "anthropic", "--no-test", "--name", "a@example.com"];
    fed(&world, KEY, &add).complained(2, &["polpo auth logout anthropic:a@example.com"]);
    assert_eq!(file(&world)["profiles"]["anthropic:a@example.com"]["type"], "oauth");
}

#[test]
fn without_a_terminal_the_provider_must_be_named() {
    let (world, _server) = configured();
    world.run(&["auth", "login"]).complained(2, &["polpo auth login anthropic"]);
}

#[test]
fn a_login_that_a_key_goes_before_is_said_to_be_unused() {
    let (world, server) = configured();
    let login = json!({"apiKey": KEY, "baseUrl": server.base_url(), "oauth": oauth(&server)});
    configure(&world, login);
    let login = Login::start(world.polpo(&["auth", "login", "anthropic"]));
    let code = login.codes().remove(0);
    let (exit, _, complaints) = login.paste(&code);
    assert_eq!(exit, Some(0));
    assert!(complaints.contains("polpo.json has a key"), "{complaints}");
}

#[test]
fn no_code_token_or_key_is_seen_at_any_verbosity() {
    let (world, _server) = configured();
    let login = Login::start(world.polpo(&["auth", "login", "anthropic", "-vv"]));
    let code = login.codes().remove(0);
    let (_, transcript, complaints) = login.paste(&code);
    let stored = file(&world)["profiles"]["anthropic:a@example.com"].clone();
    let (bare, _) = code.split_once('#').unwrap();
    let mut said = transcript + &complaints;
    for command in [&["auth", "list", "-vv"][..], &["auth", "test", "-vv"], &["auth", "explain"]] {
        let ran = Process::start(world.polpo(command)).end().ended(0);
        said = said + &ran.stdout + &ran.stderr;
    }
    for secret in [bare, stored["access"].as_str().unwrap(), stored["refresh"].as_str().unwrap()] {
        assert!(!said.contains(secret), "{said}");
    }
}
