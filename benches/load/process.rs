//! Processes, and what they used.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use chrono::DateTime;
use serde_json::Value;
use tempfile::TempDir;

use crate::load::{KEY, Load};

/// How often the memory of a process is looked at; its peak is monotone, so only growth in the
/// last moment before its end is missed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ticks of a second in `/proc`, on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// What a process used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Seconds.
    pub(crate) cpu: f64,
    /// Bytes, at the peak.
    pub(crate) memory: f64,
}

impl Used {
    /// Of a process that runs, or has ended and was not waited for; that one has no memory.
    fn by(process: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        // The name may hold spaces; behind its parenthesis utime and stime are the 12th and 13th.
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.map_or(0.0, |peak| peak.trim().trim_end_matches(" kB").parse().unwrap());
        Self { cpu: ticks / TICKS, memory: kib * 1024.0 }
    }

    /// Of a process at its end.
    fn until_end(process: u32) -> Self {
        let mut memory = 0.0_f64;
        loop {
            let used = Self::by(process);
            if used.memory == 0.0 {
                return Self { memory, ..used };
            }
            memory = used.memory;
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// What came of a load.
pub(crate) struct Ran {
    /// When each task was done, in milliseconds, first to last.
    ended: Vec<i64>,
    pub(crate) used: Used,
    pub(crate) simulator: Used,
}

impl Ran {
    /// Tasks a second between the 10th and the 90th percentile of completions.
    pub(crate) fn rate(&self) -> f64 {
        let (from, to) = (self.ended.len() / 10, self.ended.len() * 9 / 10);
        (to - from) as f64 / (self.ended[to] - self.ended[from]) as f64 * 1e3
    }
}

/// Puts a load on `polpo run`.
pub(crate) fn polpo(load: &Load) -> Ran {
    let directory = directory(load);
    let simulator = Simulator::start(&directory);
    let mut command = command(&directory, env!("CARGO_BIN_EXE_polpo"));
    command.args(["run", "tasks.jsonl", "-q", "-o", "results.jsonl"]);
    command.args(["--concurrency", &load.concurrency.to_string()]);
    command.env("ANTHROPIC_API_KEY", KEY).env("ANTHROPIC_BASE_URL", &simulator.url);
    let (used, _) = run(command);
    let results = fs::read_to_string(directory.path().join("results.jsonl")).unwrap();
    let ended = results.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["result"]["type"], "succeeded", "{line}");
        let ended = line["polpo"]["endedAt"].as_str().unwrap();
        DateTime::parse_from_rfc3339(ended).unwrap().timestamp_millis()
    });
    ran(load, ended, used, &simulator)
}

/// Puts a load on the bare loop.
pub(crate) fn bare(load: &Load) -> Ran {
    let directory = directory(load);
    let simulator = Simulator::start(&directory);
    let mut command = command(&directory, std::env::current_exe().unwrap());
    command.args(["--bare", &simulator.url, "--tasks", &load.tasks.to_string()]);
    command.args(["--concurrency", &load.concurrency.to_string()]);
    let (used, said) = run(command);
    ran(load, said.lines().map(|ended| ended.parse().unwrap()), used, &simulator)
}

fn ran(load: &Load, ended: impl Iterator<Item = i64>, used: Used, simulator: &Simulator) -> Ran {
    let mut ended: Vec<_> = ended.collect();
    assert_eq!(ended.len(), load.tasks);
    ended.sort_unstable();
    Ran { ended, used, simulator: Used::by(simulator.child.id()) }
}

fn directory(load: &Load) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("scenario.json"), load.scenario()).unwrap();
    fs::write(directory.path().join("tasks.jsonl"), load.task_file()).unwrap();
    directory
}

/// A command that sees nothing of the machine's own settings.
fn command(directory: &TempDir, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory.path()).env_clear().env("POLPO_STATE_DIR", directory.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs a command to its good end.
fn run(mut command: Command) -> (Used, String) {
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut said = String::new();
        pipe.read_to_string(&mut said).unwrap();
        said
    });
    let used = Used::until_end(child.id());
    assert!(child.wait().unwrap().success(), "{command:?}");
    (used, reader.join().unwrap())
}

/// `polpo simulate` for one run.
struct Simulator {
    child: Child,
    url: String,
}

impl Simulator {
    fn start(directory: &TempDir) -> Self {
        let mut command = command(directory, env!("CARGO_BIN_EXE_polpo"));
        command.args(["simulate", "--bind", "127.0.0.1:0", "--scenario", "scenario.json"]);
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        // Whoever reads no more of it would break its pipe.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let url = first.trim().rsplit_once(' ').unwrap().1.to_owned();
        Self { child, url }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
