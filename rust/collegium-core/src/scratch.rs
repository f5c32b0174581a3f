//! Files for what does not fit the memory: without a name, gone when they are closed.
//!
//! They lie in the directory for temporary files (`TMPDIR`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// A new file to write and read.
///
/// # Errors
///
/// [`Error::Scratch`] when it cannot be made.
pub fn file() -> Result<File> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let directory = std::env::temp_dir();
    loop {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".collegium-{}-{number}", process::id()));
        let mut options = OpenOptions::new();
        match options.read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                // From here on nothing of it is left, however this process ends.
                fs::remove_file(&path).map_err(failed)?;
                return Ok(file);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The error for a failed operation on such a file.
#[must_use]
pub fn failed(error: io::Error) -> Error {
    Error::Scratch {
        directory: std::env::temp_dir().display().to_string(),
        reason: error.to_string(),
    }
}

/// The bytes of such a file, read by the system when they are touched.
#[derive(Debug)]
pub struct Mapped(Option<Mmap>);

impl Mapped {
    /// Map a file that [`file`] made and that nobody writes to any more.
    ///
    /// # Errors
    ///
    /// [`Error::Scratch`] when the system refuses.
    #[allow(unsafe_code)]
    pub fn new(file: File) -> Result<Self> {
        let length = file.metadata().map_err(failed)?.len();
        if length == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the file has no name and is owned here, so nothing else can write to it or cut
        // it short while it is mapped.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        Ok(Self(Some(map)))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Mapped, failed, file};

    #[test]
    fn what_was_written_is_mapped() {
        let mut made = file().expect("a temporary directory");
        made.write_all(b"abc").expect("room for three bytes");
        assert_eq!(&*Mapped::new(made).expect("maps"), b"abc");
        let empty = Mapped::new(file().expect("a temporary directory")).expect("maps");
        assert!(empty.is_empty());
    }

    #[test]
    fn errors_name_the_directory() {
        let message = failed(std::io::Error::other("no space left")).to_string();
        assert!(message.contains("no space left") && message.contains("TMPDIR"));
    }
}
