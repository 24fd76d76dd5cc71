//! The results file: a projection of the journal, made true again at every start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use polpo_store::journal::{Appended, Journal, JournalError, Run};
use thiserror::Error;

/// Lines read from the journal at a time; a few hundred kilobytes of typical results.
const PAGE: u32 = 256;

/// Why the results file cannot be used.
#[derive(Debug, Error)]
pub(super) enum ResultsError {
    /// Another process writes it.
    #[error("{} is being written by another polpo process", .0.display())]
    Held(PathBuf),
    /// It is a directory, a pipe, a device.
    #[error("{} is not a regular file: name one with -o", .0.display())]
    NotRegular(PathBuf),
    /// It has content, and no run in the journal knows it.
    #[error(
        "{} has content that this journal knows nothing of: name another file with -o, or move it away",
        .0.display()
    )]
    Foreign(PathBuf),
    /// It is the run's, but someone has changed it.
    #[error(
        "{} does not hold what this run wrote to it: move it away, and the same command again \
         writes it anew from the journal, or name another file with -o",
        .0.display()
    )]
    Changed(PathBuf),
    /// Reading or writing failed.
    #[error(
        "the results file {} cannot be used: {error}; every committed result is safe in the \
         journal: mend that and run the same command again", path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The canonical path of a results file, which need not exist yet: what its run is known by.
///
/// # Errors
/// When its directory does not exist, or it is not a regular file.
pub(super) fn canonical(path: &Path) -> Result<PathBuf, ResultsError> {
    let io = |error| ResultsError::Io { path: path.to_owned(), error };
    if path.exists() {
        let path = path.canonicalize().map_err(io)?;
        return if path.is_file() { Ok(path) } else { Err(ResultsError::NotRegular(path)) };
    }
    let name = path.file_name().ok_or_else(|| ResultsError::NotRegular(path.to_owned()))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize().map_err(io)?;
    Ok(parent.join(name))
}

/// A results file, locked for this process.
#[derive(Debug)]
pub(super) struct ResultsFile {
    path: PathBuf,
    file: File,
    appended: Appended,
}

impl ResultsFile {
    /// Opens and locks the file, made empty if it is not there.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be opened.
    pub(super) fn lock(path: &Path) -> Result<Self, ResultsError> {
        let io = |error| ResultsError::Io { path: path.to_owned(), error };
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(ResultsError::Held(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
            // It may have been replaced by a rewrite between opening and locking.
            if is_same_file(&file, path).map_err(io)? {
                return Ok(Self { path: path.to_owned(), file, appended: Appended::default() });
            }
        }
    }

    /// How much of the journal the file holds.
    #[must_use]
    pub(super) const fn appended(&self) -> Appended {
        self.appended
    }

    /// Makes the file hold exactly the committed lines of its run: a torn last line is cut, and
    /// lines that are missing are appended. Returns how many were.
    ///
    /// # Errors
    /// When the file is not this run's, or reading or writing fails.
    pub(super) async fn reconcile(
        &mut self,
        journal: &dyn Journal,
        run: &Run,
    ) -> Result<u64, ResultsError> {
        let length = self.io(self.file.metadata())?.len();
        if run.results == 0 && run.appended.seq == 0 {
            // Nothing was ever committed: what is here is at most the user's own.
            return if length == 0 { Ok(0) } else { Err(ResultsError::Foreign(self.path.clone())) };
        }
        let known = u64::try_from(run.appended.bytes).unwrap_or(0);
        if run.rewrite_pending || length < known {
            self.rewrite(journal, run).await?;
            return Ok(0);
        }
        self.appended = run.appended;
        self.check_known(journal, run).await?;
        self.check_tail(journal, run).await?;
        let mut missing = 0;
        loop {
            let page = journal.lines(run.id, self.appended.seq, PAGE).await?;
            if page.is_empty() {
                break;
            }
            missing += page.len() as u64;
            self.append(&page)?;
        }
        journal.record_appended(run.id, self.appended).await?;
        Ok(missing)
    }

    /// Checks that the known part ends as it was written. What someone else wrote there is theirs:
    /// to cut it off somewhere would spoil their work and the results.
    async fn check_known(&self, journal: &dyn Journal, run: &Run) -> Result<(), ResultsError> {
        let last = journal.lines(run.id, self.appended.seq - 1, 1).await?;
        let Some((seq, line)) = last.into_iter().next() else { return Ok(()) };
        if seq != self.appended.seq {
            return Ok(()); // Nothing is known to be in the file yet.
        }
        let end = u64::try_from(self.appended.bytes).unwrap_or(0);
        let mut found = vec![0; line.len() + 1];
        let start = SeekFrom::Start(end.saturating_sub(found.len() as u64));
        let mut file = self.io(self.file.try_clone())?;
        self.io(file.seek(start))?;
        self.io(file.read_exact(&mut found))?;
        if found.strip_suffix(b"\n") != Some(line.as_bytes()) {
            return Err(ResultsError::Changed(self.path.clone()));
        }
        Ok(())
    }

    /// Goes through what follows the known part, as long as it is what the journal has, and cuts
    /// the rest.
    async fn check_tail(&mut self, journal: &dyn Journal, run: &Run) -> Result<(), ResultsError> {
        let start = SeekFrom::Start(u64::try_from(self.appended.bytes).unwrap_or(0));
        let mut tail = BufReader::new(self.io(self.file.try_clone())?);
        self.io(tail.seek(start))?;
        let mut found = Vec::new();
        'pages: loop {
            let page = journal.lines(run.id, self.appended.seq, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for (seq, line) in page {
                found.clear();
                self.io(tail.read_until(b'\n', &mut found))?;
                if found.strip_suffix(b"\n") != Some(line.as_bytes()) {
                    break 'pages;
                }
                self.advance(seq, found.len());
            }
        }
        let length = u64::try_from(self.appended.bytes).unwrap_or(0);
        self.io(self.file.set_len(length))?;
        let end = self.file.seek(SeekFrom::Start(length));
        self.io(end).map(drop)
    }

    /// Appends committed lines.
    ///
    /// # Errors
    /// When the file cannot be written; what was written of the lines is cut at the next start.
    pub(super) fn append(&mut self, lines: &[(i64, String)]) -> Result<(), ResultsError> {
        let mut text = Vec::with_capacity(lines.iter().map(|(_, line)| line.len() + 1).sum());
        for (_, line) in lines {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        let written = self.file.write_all(&text);
        self.io(written)?;
        for (seq, line) in lines {
            self.advance(*seq, line.len() + 1);
        }
        Ok(())
    }

    fn advance(&mut self, seq: i64, bytes: usize) {
        self.appended.seq = seq;
        self.appended.bytes += i64::try_from(bytes).unwrap_or(0);
    }

    /// Leaves the file without lines that were replaced.
    ///
    /// # Errors
    /// When reading or writing fails; the file then still has them.
    pub(super) async fn tidy(mut self, journal: &dyn Journal) -> Result<(), ResultsError> {
        match journal.find_run(&self.path.display().to_string()).await? {
            Some(run) if run.rewrite_pending => self.rewrite(journal, &run).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Writes the file anew from the journal, without lines that were replaced, and puts it in
    /// place of the old one in one step.
    ///
    /// # Errors
    /// When reading or writing fails; the old file is then still there.
    pub(super) async fn rewrite(
        &mut self,
        journal: &dyn Journal,
        run: &Run,
    ) -> Result<(), ResultsError> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let temporary = self.io(tempfile::NamedTempFile::new_in(directory))?;
        if let Ok(old) = self.file.metadata() {
            self.io(temporary.as_file().set_permissions(old.permissions()))?;
        }
        let mut appended = Appended::default();
        let mut writer = BufWriter::new(temporary);
        loop {
            let page = journal.lines(run.id, appended.seq, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            appended.seq = *last;
            for (_, line) in &page {
                self.io(writeln!(writer, "{line}"))?;
                appended.bytes += i64::try_from(line.len() + 1).unwrap_or(0);
            }
        }
        let temporary = self.io(writer.into_inner().map_err(io::IntoInnerError::into_error))?;
        self.io(temporary.as_file().sync_all())?;
        // Locked before it takes the place, so that there is no moment without a lock.
        self.io(temporary.as_file().try_lock().map_err(io::Error::from))?;
        let file = temporary.persist(&self.path).map_err(|error| error.error);
        self.file = self.io(file)?;
        self.appended = appended;
        journal.record_rewritten(run.id, appended).await?;
        Ok(())
    }

    fn io<T>(&self, result: io::Result<T>) -> Result<T, ResultsError> {
        result.map_err(|error| ResultsError::Io { path: self.path.clone(), error })
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_same_file(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}
