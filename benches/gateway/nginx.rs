//! nginx: a reverse proxy that keeps its connections and passes on each byte as it comes, and an
//! HTTP/2 front for the upstream.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Streams that the front allows on a connection, as the API does.
const STREAMS: usize = 100;

pub(crate) fn is_here() -> bool {
    let mut version = Command::new("nginx");
    let version = version.arg("-v").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// A proxy to `url`, as few as two cores are used.
pub(crate) fn proxy(directory: &TempDir, port: u16, url: &str) -> Command {
    command(directory, "access_log access.log;", &format!("listen 127.0.0.1:{port};"), url)
}

/// A front to `url` over TLS that speaks HTTP/2 and HTTP/1.1, and logs which one and on what
/// connection to `access.log` in its directory. `authority.pem` vouches for it.
pub(crate) fn front(directory: &TempDir, port: u16, url: &str) -> Command {
    certify(directory.path());
    let log = r#"log_format spoken "$server_protocol $connection"; access_log access.log spoken;"#;
    let listen = format!(
        "listen 127.0.0.1:{port} ssl http2; http2_max_concurrent_streams {STREAMS};
         ssl_certificate server.pem; ssl_certificate_key server.key;"
    );
    command(directory, log, &listen, url)
}

fn command(directory: &TempDir, log: &str, listen: &str, url: &str) -> Command {
    let upstream = url.trim_start_matches("http://");
    let config = format!(
        "daemon off; worker_processes 2; pid nginx.pid; worker_rlimit_nofile 65536; user root;
         events {{ worker_connections 8192; }}
         http {{
             {log}
             keepalive_requests 100000000; client_body_buffer_size 1m; client_max_body_size 32m;
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;
             upstream api {{ server {upstream}; keepalive 2048; keepalive_requests 100000000; }}
             server {{
                 {listen}
                 location / {{
                     proxy_pass http://api; proxy_http_version 1.1;
                     proxy_set_header Connection \"\"; proxy_buffering off; proxy_read_timeout 300s;
                 }}
             }}
         }}"
    );
    fs::write(directory.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
    command
}

/// An authority of its own, and a certificate for loopback by it.
fn certify(directory: &Path) {
    let new = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 1";
    for made in [
        "-keyout authority.key -out authority.pem -subj /CN=bench-authority",
        "-keyout server.key -out server.pem -subj /CN=bench -CA authority.pem -CAkey authority.key \
         -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:false",
    ] {
        let mut openssl = Command::new("openssl");
        openssl.args(new.split_whitespace()).args(made.split_whitespace());
        let made = openssl.current_dir(directory).stderr(Stdio::null()).status().unwrap();
        assert!(made.success(), "{openssl:?}");
    }
}
