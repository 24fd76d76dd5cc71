//! The lines of a task file, one at a time, without copying them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::InputError;
use super::words::Problem;

/// The longest line: Anthropic takes no request above 32 MB.
const LINE_MAX: usize = 32 << 20;

/// How much is read at once at first.
const CHUNK: usize = 256 << 10;

/// Reads lines; the buffer is the only copy of them.
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The part of the buffer that has been read and not handed out.
    start: usize,
    end: usize,
    number: u64,
    bytes: u64,
    at_end: bool,
}

/// A line that is not blank: its number from 1, and its text, or why it has none.
pub(super) type Numbered<'a> = (u64, Result<&'a str, Problem>);

/// Opens a task file.
pub(super) fn open(file: &Path) -> Result<Lines<File>, InputError> {
    let trouble = |problem: &str, advice: &str| InputError::File {
        file: file.to_owned(),
        problem: problem.into(),
        advice: advice.into(),
    };
    let about = std::fs::metadata(file).map_err(|error| InputError::io(file, &error))?;
    if about.is_dir() {
        return Err(trouble("is a directory", "name a file of tasks in it"));
    }
    if !about.is_file() {
        return Err(trouble("is not a regular file", "write `-` to read standard input"));
    }
    File::open(file).map(Lines::new).map_err(|error| InputError::io(file, &error))
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        let buffer = vec![0; CHUNK];
        Self { reader, buffer, start: 0, end: 0, number: 0, bytes: 0, at_end: false }
    }

    /// How much has been read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> io::Result<Option<Numbered<'_>>> {
        loop {
            let Some((from, to)) = self.advance()? else { return Ok(None) };
            self.number += 1;
            let is_long = to - from > LINE_MAX;
            if is_long || !self.trimmed(from, to).is_empty() {
                let number = self.number;
                let text = if is_long {
                    Err("the line is longer than 32 MB".to_owned())
                } else {
                    utf8(self.trimmed(from, to))
                };
                return Ok(Some((number, text)));
            }
        }
    }

    fn trimmed(&self, from: usize, to: usize) -> &[u8] {
        let line = &self.buffer[from..to];
        let mark = if self.number == 1 { &b"\xef\xbb\xbf"[..] } else { &[] };
        line.strip_prefix(mark).unwrap_or(line).trim_ascii()
    }

    /// Moves over one line and says where in the buffer it is. Of a line that is too long, only
    /// enough to see that is kept.
    fn advance(&mut self) -> io::Result<Option<(usize, usize)>> {
        let mut searched = self.start;
        let mut is_long = false;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..self.end]) {
                let from = self.start;
                let to = searched + at;
                self.start = to + 1;
                // A long line was cut in the middle: its head is as good as the whole.
                return Ok(Some(if is_long { (0, LINE_MAX + 1) } else { (from, to) }));
            }
            if self.at_end {
                let (from, to) = (self.start, self.end);
                self.start = self.end;
                return Ok((is_long || from < to).then_some(if is_long {
                    (0, LINE_MAX + 1)
                } else {
                    (from, to)
                }));
            }
            if self.end - self.start > LINE_MAX {
                is_long = true;
                self.end = self.start;
            }
            self.make_room();
            searched = self.end;
            self.fill()?;
        }
    }

    /// Moves what is left to the front, and grows if that is everything.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let size = (self.buffer.len() * 2).min(LINE_MAX + CHUNK);
            self.buffer.resize(size, 0);
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.at_end = read == 0;
                    self.end += read;
                    self.bytes += u64::try_from(read).unwrap_or(0);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        format!("not UTF-8 at byte {}: save the file as UTF-8", error.valid_up_to() + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(self.0.len()).min(buffer.len());
            buffer[..size].copy_from_slice(&self.0[..size]);
            self.0 = &self.0[size..];
            Ok(size)
        }
    }

    fn read(bytes: &[u8], step: usize) -> Vec<(u64, Result<String, String>)> {
        let mut lines = Lines::new(Drip(bytes, step));
        let mut all = Vec::new();
        while let Some((number, text)) = lines.next().unwrap() {
            all.push((number, text.map(str::to_owned)));
        }
        assert_eq!(lines.bytes(), u64::try_from(bytes.len()).unwrap());
        all
    }

    #[test]
    fn lines_keep_their_numbers_over_blanks_and_lose_mark_blanks_and_returns() {
        let file = b"\xef\xbb\xbf{1}\r\n\n  \t\r\n {2} \n\xff\n{3}";
        for step in [1, 2, 7, 1000] {
            let lines = read(file, step);
            assert_eq!(lines[0], (1, Ok("{1}".into())));
            assert_eq!(lines[1], (4, Ok("{2}".into())));
            assert_eq!((lines[2].0, lines[2].1.is_err()), (5, true));
            assert_eq!(lines[3], (6, Ok("{3}".into())));
            assert_eq!(lines.len(), 4);
        }
        assert_eq!(read(b"", 1), []);
        assert_eq!(read(b"\xef\xbb\xbf\n", 1), []);
    }

    #[test]
    fn lines_of_every_length_survive_the_edges_of_the_buffer() {
        let mut file = Vec::new();
        for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 2] {
            file.extend(std::iter::repeat_n(b'x', size));
            file.push(b'\n');
        }
        let sizes: Vec<usize> =
            read(&file, 100_003).into_iter().map(|(_, text)| text.unwrap().len()).collect();
        assert_eq!(sizes, [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 2]);
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_the_next_ones_are_read() {
        let mut file = vec![b'x'; LINE_MAX];
        file.push(b'\n');
        file.extend(vec![b'y'; 2 * LINE_MAX + 17]);
        file.extend(b"\nz\n");
        file.extend(vec![b'y'; LINE_MAX + 1]);
        let lines = read(&file, 1 << 20);
        assert_eq!(lines[0].1.as_ref().unwrap().len(), LINE_MAX);
        assert!(lines[1].1.as_ref().unwrap_err().contains("32 MB"));
        assert_eq!(lines[2], (3, Ok("z".into())));
        assert_eq!((lines[3].0, lines[3].1.is_err()), (4, true));
        assert_eq!(lines.len(), 4);
    }
}
