//! A file of the state directory on its disk: links followed, private, and replaced in one step.

mod error;
mod versioned;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use chrono::Utc;

pub use self::error::DiskError;
use self::error::DiskError as Error;
pub(crate) use self::versioned::{Damage, parse};

/// The most that is read, in bytes: tens of thousands of profiles or keys and all that is known of them.
const MAX_LENGTH: u64 = 64 << 20;
/// The most links that are followed, Linux's bound.
const MAX_LINKS: usize = 40;
/// The most damaged files of one millisecond.
const MAX_NAMES: usize = 1_000;

/// Tells one state of a file from another, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// The state of the file at `path`, `None` if there is none that could be read.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified = metadata.modified().ok()?;
        Some(Self { modified, length: metadata.len(), inode: metadata.ino() })
    }
}

/// Where the file at `path` really is, whether it exists or not.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let mut real = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&real) {
            Ok(target) => real = directory_of(&real).join(target),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(real);
            }
            Err(error) => return Err(io_error(path, "read")(error)),
        }
    }
    Err(Error::NotAFile { path: path.into() })
}

/// Makes a file or directory private, and says so. `None` if it does not exist.
pub(crate) fn make_private(
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<Option<Metadata>, Error> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, "read")(error)),
    };
    let user = user().map_err(io_error(path, "read"))?;
    if !is_trusted(metadata.uid(), user) {
        return Err(Error::Foreign { path: path.into(), owner: metadata.uid(), user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        warnings.push(closed(path, mode));
    }
    Ok(Some(metadata))
}

/// Takes the rights of other users away, and says what came of it.
fn closed(path: &Path, mode: u32) -> String {
    let at = path.display();
    // Others need such a directory, as `/tmp`, to stay as it is.
    if mode & 0o1000 != 0 {
        return format!("{at} is a directory for everyone; name another --state-dir");
    }
    match fs::set_permissions(path, PermissionsExt::from_mode(mode & 0o700)) {
        Ok(()) => format!("{at} was open to other users (mode {mode:03o}); it was made private"),
        Err(error) => format!("{at} is open to other users (mode {mode:03o}): {error}; chmod it"),
    }
}

/// Whether a file of `owner` may hold the secrets of `user`.
fn is_trusted(owner: u32, user: u32) -> bool {
    owner == user || owner == 0
}

/// Whom this process acts for: the owner of what it creates.
fn user() -> io::Result<u32> {
    let created = tempfile::tempfile().and_then(|file| file.metadata());
    created.or_else(|_| fs::metadata("/proc/self")).map(|metadata| metadata.uid())
}

/// The bytes of the file; none if it does not exist.
pub(crate) fn load(path: &Path, warnings: &mut Vec<String>) -> Result<Option<Vec<u8>>, Error> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(Error::NotAFile { path: path.into() }),
        Ok(_) | Err(_) => {}
    }
    if make_private(path, warnings)?.is_none() {
        return Ok(None);
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, "read")(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_LENGTH + 1).read_to_end(&mut bytes).map_err(io_error(path, "read"))?;
    if bytes.len() as u64 > MAX_LENGTH {
        return Err(Error::TooLarge { path: path.into(), limit: MAX_LENGTH });
    }
    Ok(Some(bytes))
}

/// Makes a private directory and those above it that are missing.
pub(crate) fn make_directory(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(io_error(path, "created"))
}

/// How often a lock that somebody holds is tried again.
const EVERY: Duration = Duration::from_millis(5);

/// How often before it is given up: 45 s, longer than a login server may take to answer whoever
/// holds the lock. A process that was stopped would hold it for ever.
const TRIES: u32 = 9_000;

/// Waits for the lock of that name among those beside `path`. Dropping the file releases it.
pub(crate) fn lock(path: &Path, name: &str) -> Result<File, Error> {
    let (lock, file) = lock_file(path, name)?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(EVERY),
            Err(TryLockError::Error(error)) => return Err(io_error(&lock, "locked")(error)),
        }
    }
    let held = "another process has held the lock for 45 s";
    Err(io_error(&lock, "locked")(io::Error::new(ErrorKind::TimedOut, held)))
}

/// Like [`lock`], but does not wait: `None` if somebody else holds it.
pub(crate) fn try_lock(path: &Path, name: &str) -> Result<Option<File>, Error> {
    let (lock, file) = lock_file(path, name)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io_error(&lock, "locked")(error)),
    }
}

fn lock_file(path: &Path, name: &str) -> Result<(PathBuf, File), Error> {
    let lock = directory_of(path).join("locks").join(name);
    make_directory(directory_of(&lock))?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let file = file.map_err(io_error(&lock, "locked"))?;
    Ok((lock, file))
}

/// Moves a damaged file out of the way, to a name that nothing has.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, Error> {
    let time = Utc::now().format("%Y%m%dT%H%M%S%3fZ").to_string();
    for count in 1..=MAX_NAMES {
        let suffix = if count == 1 { String::new() } else { format!("-{count}") };
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".corrupt-{time}{suffix}"));
        let aside = PathBuf::from(aside);
        // Takes the name first: a rename alone would replace what has it.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside) {
            Ok(_) => {
                fs::rename(path, &aside).map_err(io_error(path, "moved aside"))?;
                return Ok(aside);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error(path, "moved aside")(error)),
        }
    }
    Err(io_error(path, "moved aside")(ErrorKind::AlreadyExists.into()))
}

/// Replaces the file in one step. Its lock must be held.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let directory = directory_of(path);
    for written in [path, directory] {
        let is_read_only = fs::metadata(written).is_ok_and(|it| it.mode() & 0o200 == 0);
        if is_read_only {
            return Err(io_error(written, "written")(ErrorKind::PermissionDenied.into()));
        }
    }
    let prefix = format!(".{}.tmp-", path.file_name().unwrap_or_default().display());
    write_and_rename(path, &prefix, text).map_err(io_error(path, "written"))
}

fn write_and_rename(path: &Path, prefix: &str, text: &str) -> io::Result<()> {
    let directory = directory_of(path);
    sweep(directory, prefix)?;
    let mut temporary = tempfile::Builder::new().prefix(prefix).tempfile_in(directory)?;
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    File::open(directory)?.sync_all()
}

/// Removes what writers left that were killed: as we hold the lock, nobody else is writing.
fn sweep(directory: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The directory that a file is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn io_error(path: &Path, action: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { path: path.into(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_in_files_of_ours_or_of_root() {
        assert!(is_trusted(1000, 1000));
        assert!(is_trusted(0, 1000));
        assert!(is_trusted(0, 0));
        assert!(!is_trusted(1001, 1000));
        assert!(!is_trusted(1000, 0));
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth-profiles.json");
        fs::create_dir(&path).unwrap();
        let error = replace(&path, "{}").unwrap_err();
        assert!(matches!(error, Error::Io { action: "written", .. }), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn damaged_files_of_one_moment_have_names_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth-profiles.json");
        for count in 0..50 {
            fs::write(&path, count.to_string()).unwrap();
            let aside = set_aside(&path).unwrap();
            assert_eq!(fs::read_to_string(aside).unwrap(), count.to_string());
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 50);
    }
}
