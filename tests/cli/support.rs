//! A place for a process of the program, the process, and what it said.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// No process of a test takes a tenth of this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(50);

/// How often something outside this process is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A directory with a home, a state directory and the files of a test. Nothing of the machine's own
/// is seen by the processes in it.
pub(crate) struct World {
    directory: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("home")).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    /// Writes a file, and says where.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Everything that is kept in the state directory, as bytes.
    pub(crate) fn state(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(&self.path("state"))
    }

    /// A command of this world, any program.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("home"))
            .env("POLPO_STATE_DIR", self.path("state"));
        command
    }

    /// The program with these arguments.
    pub(crate) fn polpo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_polpo"));
        command.args(arguments);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Process::start(self.polpo(arguments)).end()
    }

    /// Runs the program under a shell's limit on the size of files, in blocks of 512 bytes.
    pub(crate) fn run_limited(&self, blocks: u64, arguments: &[&str]) -> Ran {
        Process::start(self.limited(blocks, arguments)).end()
    }

    /// The program with these arguments under such a limit.
    pub(crate) fn limited(&self, blocks: u64, arguments: &[&str]) -> Command {
        let script = format!("ulimit -f {blocks}; exec \"$@\"");
        let mut command = self.command("sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_polpo")]).args(arguments);
        command
    }
}

fn files_below(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files
}

/// A process that does not outlive its test.
pub(crate) struct Process {
    child: Child,
    command: String,
    output: Vec<JoinHandle<String>>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::of(command)
    }

    /// With this on its standard input.
    pub(crate) fn fed(mut command: Command, input: &Path) -> Self {
        let input = std::fs::File::open(input).unwrap();
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::of(command)
    }

    /// With its stderr in a file, to be read while it runs.
    pub(crate) fn logged(mut command: Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        Self::of(command)
    }

    /// With what it says in two files, to be read while it runs.
    pub(crate) fn filed(mut command: Command, stdout: &Path, stderr: &Path) -> Self {
        let [stdout, stderr] = [stdout, stderr].map(|path| std::fs::File::create(path).unwrap());
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = vec![drain(child.stdout.take()), drain(child.stderr.take())];
        Self { child, command: format!("{command:?}"), output }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Kills it without a word, and says what it had said.
    pub(crate) fn kill(mut self) -> Ran {
        self.child.kill().unwrap();
        self.said()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let deadline = Instant::now() + PATIENCE;
        while self.is_running() {
            if Instant::now() > deadline {
                let command = self.command.clone();
                panic!("{command} did not end: {}", self.kill());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.said()
    }

    fn said(&mut self) -> Ran {
        let code = self.child.wait().unwrap().code();
        let mut output = self.output.drain(..).map(|thread| thread.join().unwrap());
        let (stdout, stderr) = (output.next().unwrap(), output.next().unwrap());
        Ran { code, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).unwrap();
        }
        String::from_utf8(bytes).expect("output in UTF-8")
    })
}

/// What came of a process.
pub(crate) struct Ran {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Itself, if it ended with this code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Itself, if it ended with this code and said all of this on stderr.
    #[track_caller]
    pub(crate) fn complained(self, code: i32, words: &[&str]) -> Self {
        let ran = self.ended(code);
        for word in words {
            assert!(ran.stderr.contains(word), "no `{word}` in:\n{ran}");
        }
        ran
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "code {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
