//! Files: bounded reading, atomic writing, modes, and errors that carry the path.
//!
//! Output appears whole or not at all: it is written to a file without a name **in the target's
//! directory** (a rename does not cross file systems, CVE-2024-51491), synchronised, and given its
//! name. The other rooms don't open or create files themselves; `clippy.toml` says so.

#![expect(clippy::disallowed_methods, reason = "this is the module they are kept for")]

mod atomic;
mod locked;
mod temporary;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use self::atomic::{AtomicFile, write_atomic, write_in_order, write_new};
pub use self::locked::Locked;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Its owner: 0600.
    Private,
    /// Everybody: 0644.
    Public,
    /// Everybody, and everybody may run it: 0755.
    Executable,
    /// Everybody, and nobody may change it: 0444, as blobs of an OCI layout are.
    ReadOnly,
}

impl Mode {
    #[cfg(unix)]
    fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
            Self::Executable => 0o755,
            Self::ReadOnly => 0o444,
        }
    }
}

/// Most memory that is set aside for a file before it is read.
const READ_AHEAD: usize = 1 << 20;

/// Opens a file for reading.
///
/// # Errors
/// [`FileError::Io`].
pub fn open(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(|source| FileError::io("open", path, source))
}

/// Opens a file for reading that must be a regular one. In directories that others fill, anything may
/// have the name of a file: to open a pipe is to wait for somebody who writes into it.
///
/// # Errors
/// [`FileError::Io`].
pub fn open_regular(path: &Path) -> Result<File, FileError> {
    let failed = |source| FileError::io("open", path, source);
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path).map_err(failed)?;
    match file.metadata().map_err(failed)?.is_file() {
        true => Ok(file),
        false => Err(failed(io::Error::other("it is no regular file"))),
    }
}

/// Reads a whole file of at most `limit` bytes: one that the user names, which may be a pipe.
///
/// # Errors
/// [`FileError::TooLarge`] as soon as more than `limit` bytes have been read, [`FileError::Io`].
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    read_opened(open(path)?, path, limit)
}

/// Reads a whole regular file of at most `limit` bytes, as [`open_regular`] opens it.
///
/// # Errors
/// As [`read_bounded`].
pub fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    read_opened(open_regular(path)?, path, limit)
}

fn read_opened(file: File, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    // A hint that saves reading piece by piece; how long the file is shows when it is read.
    let length = file.metadata().map_or(0, |metadata| metadata.len()).min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(READ_AHEAD));
    match read_into(&mut bytes, file, limit).map(|is_within| is_within.then_some(bytes)) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(FileError::TooLarge { path: path.to_owned(), limit }),
        Err(source) => Err(FileError::io("read", path, source)),
    }
}

/// Reads everything, or `None` when there are more than `limit` bytes.
///
/// # Errors
/// What the reader returns.
pub fn read_to_limit(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    Ok(read_into(&mut bytes, reader, limit)?.then_some(bytes))
}

/// Reads everything into `bytes`, or finds that there are more than `limit` bytes.
fn read_into(bytes: &mut Vec<u8>, reader: impl Read, limit: u64) -> io::Result<bool> {
    reader.take(limit.saturating_add(1)).read_to_end(bytes)?;
    Ok(u64::try_from(bytes.len()).is_ok_and(|length| length <= limit))
}

/// Creates a directory and those above it, for their owner only (0700), so that they survive a power
/// failure. Directories that exist stay as they are.
///
/// # Errors
/// [`FileError::Io`].
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    let is_new = |it: &&Path| !it.as_os_str().is_empty() && !it.exists();
    let made: Vec<&Path> = path.ancestors().take_while(is_new).collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| FileError::io("create", path, source))?;
    made.into_iter().for_each(sync_parent);
    Ok(())
}

/// Creates a directory and those above it, for everybody as far as the umask allows. Directories
/// that exist stay as they are.
///
/// # Errors
/// [`FileError::Io`].
pub fn create_public_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| FileError::io("create", path, source))
}

/// What is in a directory, in byte order.
///
/// # Errors
/// [`FileError::Io`].
pub fn entries(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let read = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut entries = read().map_err(|source| FileError::io("read", path, source))?;
    entries.sort_unstable();
    Ok(entries)
}

/// Gives a file that is complete its place, replacing what was there. Unlike [`write_atomic`] it
/// leaves nothing beside the target at any time, where every file counts; both are on one file system.
///
/// # Errors
/// [`FileError::Io`], of kind [`io::ErrorKind::CrossesDevices`] where they are not.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(|source| FileError::io("replace", to, source))?;
    sync_parent(to);
    Ok(())
}

/// Whether both paths lead to one existing file.
#[must_use]
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        // What does not exist is not the same.
        _ => false,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename survive a power failure. Not every file system can; the file itself is complete
/// either way, so a failure here is none.
fn sync_parent(path: &Path) {
    sync_directory(parent(path));
}

fn sync_directory(path: &Path) {
    if let Ok(directory) = File::open(path) {
        let _ = directory.sync_all();
    }
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is larger than it may be.
    #[error("{} is larger than the limit of {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
}

impl FileError {
    /// An error of the operating system about `path`; `action` is a verb.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// The file the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::TooLarge { path, .. } => path,
        }
    }

    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_reading_stops_at_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write_atomic(&path, b"1234", Mode::Private).unwrap();
        assert_eq!(read_bounded(&path, 4).unwrap(), b"1234");
        assert!(matches!(read_bounded(&path, 3), Err(FileError::TooLarge { limit: 3, .. })));
        assert!(matches!(read_to_limit(io::repeat(0), 1 << 20), Ok(None)));
        assert!(read_bounded(&directory.path().join("b"), 1).unwrap_err().is_not_found());
    }

    /// Nobody ever writes into this pipe.
    #[cfg(unix)]
    #[test]
    fn s11_what_must_be_a_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let [pipe, link, file] = ["p", "l", "f"].map(|name| directory.path().join(name));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        std::os::unix::fs::symlink("p", &link).unwrap();
        for path in [&*pipe, &link, directory.path(), Path::new("/dev/zero")] {
            let error = read_regular(path, 1).unwrap_err().to_string();
            assert!(error.ends_with("it is no regular file"), "{error}");
        }
        write_atomic(&file, b"1234", Mode::Private).unwrap();
        assert_eq!(read_regular(&file, 4).unwrap(), b"1234");
        assert!(matches!(read_regular(&file, 3), Err(FileError::TooLarge { limit: 3, .. })));
        assert!(read_regular(&directory.path().join("x"), 1).unwrap_err().is_not_found());
    }
}
