//! The directory that keeps what outlives a process.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use polpo_store::keys::KeyFile;
use polpo_store::profiles::ProfileFile;

use crate::config::Env;
use crate::exit::Stop;

/// Directories that no state belongs in.
const FORBIDDEN: [&str; 8] = ["/etc", "/usr", "/bin", "/sbin", "/lib", "/var/run", "/proc", "/sys"];

/// The state directory, made if it is not there.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The directory of `--state-dir`, else of `POLPO_STATE_DIR`, else `~/.polpo`; below it,
    /// `simulated` for simulated runs.
    ///
    /// # Errors
    /// When it may not be used or cannot be made.
    pub fn open(explicit: Option<&Path>, simulated: bool, env: Env<'_>) -> Result<Self, Stop> {
        let named = explicit
            .map(|path| (path.to_owned(), "--state-dir"))
            .or_else(|| Some((PathBuf::from(env("POLPO_STATE_DIR")?), "POLPO_STATE_DIR")))
            .filter(|(path, _)| !path.as_os_str().is_empty());
        let (base, by) = match named {
            Some(named) => named,
            None => match env("HOME").filter(|home| !home.is_empty()) {
                Some(home) => (Path::new(&home).join(".polpo"), "HOME"),
                None => {
                    return Err(Stop::usage(
                        "there is no home directory for ~/.polpo: set HOME, or name a directory \
                         with --state-dir",
                    ));
                }
            },
        };
        let base = std::path::absolute(&base).map_err(|error| fault(&base, by, &error))?;
        let base = without_dots(&base);
        if is_of_system(&base) || is_of_system(&resolved(&base)) {
            return Err(Stop::usage(format!(
                "{by}: {} is a system directory: choose another one",
                base.display()
            )));
        }
        let dir = if simulated { base.join("simulated") } else { base };
        make_private(&dir).map_err(|error| fault(&dir, by, &error))?;
        Ok(Self(dir))
    }

    /// The profile file in it.
    #[must_use]
    pub fn profiles(&self) -> ProfileFile {
        ProfileFile::new(&self.0)
    }

    /// The key file in it.
    #[must_use]
    pub fn keys(&self) -> KeyFile {
        KeyFile::new(&self.0)
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn is_of_system(path: &Path) -> bool {
    FORBIDDEN.iter().any(|forbidden| path.starts_with(forbidden))
}

/// An absolute path without `..`.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::Normal(_) => plain.push(component),
        }
    }
    plain
}

/// Where the symbolic links of a path lead, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let real = path.ancestors().find_map(|dir| {
        let rest = path.strip_prefix(dir).ok()?;
        Some(fs::canonicalize(dir).ok()?.join(rest))
    });
    real.unwrap_or_else(|| path.to_owned())
}

fn fault(path: &Path, by: &str, error: &io::Error) -> Stop {
    Stop::not_written(format!(
        "the state directory {} (from {by}) cannot be used: {error}; choose another one with --state-dir",
        path.display()
    ))
}

fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_goes_before_the_variable_and_simulated_runs_have_a_place_of_their_own() {
        let home = tempfile::tempdir().unwrap();
        let env = |name: &str| {
            let dir = if name == "HOME" { "home" } else { "variable" };
            Some(home.path().join(dir).display().to_string())
        };
        let explicit = home.path().join("option");
        let open = |explicit, simulated| StateDir::open(explicit, simulated, &env).unwrap();
        assert_eq!(open(Some(&explicit), false).file("x"), explicit.join("x"));
        assert_eq!(open(None, true).file("x"), home.path().join("variable/simulated/x"));
    }

    #[test]
    fn a_system_directory_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/usr", home.path().join("link")).unwrap();
        let behind = home.path().join("link/share/polpo/state");
        for path in ["/usr/polpo", "/tmp/../usr/polpo", "/../usr/./polpo"].map(Path::new) {
            let refused = StateDir::open(Some(path), false, &|_| None).unwrap_err();
            assert!(refused.message.contains("/usr/polpo is a system directory"), "{refused:?}");
        }
        let refused = StateDir::open(Some(&behind), false, &|_| None).unwrap_err();
        assert!(refused.message.contains("is a system directory"), "{refused:?}");
        let inside = home.path().join("a/../b");
        let dir = StateDir::open(Some(&inside), false, &|_| None).unwrap();
        assert_eq!(dir.file("x"), home.path().join("b/x"));
    }
}
