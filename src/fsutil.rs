//! Files: bounded reading, atomic writing, modes, and errors that carry the path.
//!
//! Output appears whole or not at all: it is written to a temporary file **in the target's
//! directory** (a rename does not cross file systems, CVE-2024-51491), synchronised, and renamed
//! over the target. The other rooms don't open or create files themselves; `clippy.toml` says so.

#![expect(clippy::disallowed_methods, reason = "this is the module they are kept for")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

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

/// Creates a directory and those above it, for their owner only (0700). Directories that exist
/// stay as they are.
///
/// # Errors
/// [`FileError::Io`].
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| FileError::io("create", path, source))
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

/// Writes a file, replacing what was there, whole or not at all.
///
/// # Errors
/// [`FileError::Io`]; the file that was there is then unchanged.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path, mode)?;
    file.write_all(bytes).map_err(|source| FileError::io("write", path, source))?;
    file.commit()
}

/// Writes files into one directory, each whole or not at all, as [`write_atomic`] does, with one wait
/// for the directory.
///
/// # Errors
/// [`FileError::Io`]; some of the files may be there then.
pub fn write_all_atomic(
    directory: &Path,
    files: &[(PathBuf, &[u8])],
    mode: Mode,
) -> Result<(), FileError> {
    for (path, bytes) in files {
        let mut file = AtomicFile::create(path, mode)?;
        file.write_all(bytes).map_err(|source| FileError::io("write", path, source))?;
        file.replace()?;
    }
    sync_directory(directory);
    Ok(())
}

/// Writes a file that must not exist yet, whole or not at all.
///
/// # Errors
/// [`FileError::Io`], of kind [`io::ErrorKind::AlreadyExists`] when there is something.
pub fn write_new(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    let mut file = temporary_beside(path, mode)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|source| FileError::io("write", path, source))?;
    file.persist_noclobber(path).map_err(|error| FileError::io("create", path, error.error))?;
    sync_parent(path);
    Ok(())
}

/// A file that appears when it is complete. Dropped before [`AtomicFile::commit`] it leaves
/// nothing behind.
///
/// A target that exists and is no regular file (`/dev/null`, a pipe) is written directly: it could
/// not be replaced without destroying it.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Temporary(NamedTempFile),
    Direct(File),
}

impl AtomicFile {
    /// Begins to write `path`.
    ///
    /// # Errors
    /// [`FileError::Io`] when the directory is not writable.
    pub fn create(path: &Path, mode: Mode) -> Result<Self, FileError> {
        let is_special = fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
        let inner = if is_special {
            let file = File::options().write(true).open(path);
            Inner::Direct(file.map_err(|source| FileError::io("open", path, source))?)
        } else {
            Inner::Temporary(temporary_beside(path, mode)?)
        };
        Ok(Self { target: path.to_owned(), inner })
    }

    /// Copies a part of another file to the end of this one. It need not pass through this process,
    /// and file systems that can share its blocks do.
    ///
    /// # Errors
    /// [`FileError::Io`], also when the other file is shorter.
    pub fn copy(&mut self, mut from: &File, part: Range<u64>) -> Result<(), FileError> {
        let length = part.end.saturating_sub(part.start);
        let copied = from.seek(SeekFrom::Start(part.start)).and_then(|_| {
            let mut part = from.take(length);
            match &mut self.inner {
                Inner::Direct(file) => io::copy(&mut part, file),
                Inner::Temporary(file) => io::copy(&mut part, file.as_file_mut()),
            }
        });
        let failed = |source| FileError::io("write", &self.target, source);
        match copied.map_err(failed)? {
            copied if copied == length => Ok(()),
            _ => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Makes the file appear under its name.
    ///
    /// # Errors
    /// [`FileError::Io`]; what was there is then unchanged.
    pub fn commit(self) -> Result<(), FileError> {
        let path = self.replace()?;
        sync_parent(&path);
        Ok(())
    }

    /// As [`Self::commit`], but a power failure may still undo it until the directory is synced.
    fn replace(self) -> Result<PathBuf, FileError> {
        let path = self.target;
        match self.inner {
            Inner::Direct(mut file) => {
                file.flush().map_err(|source| FileError::io("write", &path, source))?;
            }
            Inner::Temporary(file) => {
                let synced = file.as_file().sync_all();
                synced.map_err(|source| FileError::io("write", &path, source))?;
                file.persist(&path)
                    .map_err(|error| FileError::io("replace", &path, error.error))?;
            }
        }
        Ok(path)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Direct(file) => file.write(bytes),
            Inner::Temporary(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.inner {
            Inner::Direct(file) => file.flush(),
            Inner::Temporary(file) => file.flush(),
        }
    }
}

/// A file that is going to be replaced, locked against others that are going to do the same.
#[derive(Debug)]
pub struct Locked {
    path: PathBuf,
    file: File,
}

impl Locked {
    /// Waits until nobody else has it. Links are followed: what they lead to is replaced.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let real = fs::canonicalize(path).map_err(|source| FileError::io("open", path, source))?;
        loop {
            let file = open(&real)?;
            let locked = Self { path: real.clone(), file };
            locked.wait().map_err(|source| FileError::io("lock", path, source))?;
            // Whoever had it may have replaced it: then what is locked has no name any more.
            if locked.is_there().map_err(|source| FileError::io("open", path, source))? {
                return Ok(locked);
            }
        }
    }

    #[cfg(unix)]
    fn wait(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(&self.file, rustix::fs::FlockOperation::LockExclusive)?)
    }

    #[cfg(unix)]
    fn is_there(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let (own, named) = (self.file.metadata()?, fs::metadata(&self.path)?);
        Ok((own.dev(), own.ino()) == (named.dev(), named.ino()))
    }

    #[cfg(not(unix))]
    fn wait(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(unix))]
    fn is_there(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Begins what is to replace it, with its mode and, where that is allowed, its owner. Nobody else
    /// does so at the same time: what is there under the temporary name is of one that was killed,
    /// and goes.
    ///
    /// # Errors
    /// [`FileError::Io`] when the directory is not writable.
    pub fn replacement(&self) -> Result<AtomicFile, FileError> {
        let failed = |source| FileError::io("create", &self.path, source);
        let metadata = self.file.metadata().map_err(failed)?;
        let mut name = OsString::from(".dockseal-");
        name.push(self.path.file_name().unwrap_or_default());
        match fs::remove_file(self.path.with_file_name(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut builder = tempfile::Builder::new();
        let temporary = builder.prefix(&name).rand_bytes(0).tempfile_in(parent(&self.path));
        let temporary = temporary.map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            // Only root may give files away; others own what they replace, as a rule.
            let (owner, group) = (metadata.uid(), metadata.gid());
            let _ = std::os::unix::fs::fchown(temporary.as_file(), Some(owner), Some(group));
        }
        temporary.as_file().set_permissions(metadata.permissions()).map_err(failed)?;
        Ok(AtomicFile { target: self.path.clone(), inner: Inner::Temporary(temporary) })
    }
}

fn temporary_beside(path: &Path, mode: Mode) -> Result<NamedTempFile, FileError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dockseal-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(mode.bits()));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder.tempfile_in(parent(path)).map_err(|source| FileError::io("create", path, source))
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
    fn a_file_is_replaced_whole_or_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write_atomic(&path, b"one", Mode::Private).unwrap();
        let mut file = AtomicFile::create(&path, Mode::Private).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(read_bounded(&path, 10).unwrap(), b"one");
        write_atomic(&path, b"two", Mode::Public).unwrap();
        assert_eq!(read_bounded(&path, 3).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn new_files_never_overwrite() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write_new(&path, b"one", Mode::Private).unwrap();
        let error = write_new(&path, b"two", Mode::Private).unwrap_err();
        assert!(error.to_string().starts_with("cannot create "), "{error}");
        assert_eq!(read_bounded(&path, 10).unwrap(), b"one");
    }

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

    #[cfg(unix)]
    #[test]
    fn a_locked_file_is_replaced_with_its_mode_and_through_links() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let [path, link] = ["a", "link"].map(|name| directory.path().join(name));
        write_atomic(&path, b"0123456789", Mode::ReadOnly).unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        let locked = Locked::open(&link).unwrap();
        let mut new = locked.replacement().unwrap();
        for part in [7..10, 0..2, 4..4] {
            new.copy(locked.file(), part).unwrap();
        }
        new.write_all(b"x").unwrap();
        assert!(new.copy(locked.file(), 9..11).is_err(), "shorter");
        // As one that was killed leaves it.
        std::mem::forget(new);
        let mut new = locked.replacement().unwrap();
        new.copy(locked.file(), 2..4).unwrap();
        new.commit().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left behind");
        assert_eq!(read_bounded(&path, 10).unwrap(), b"23");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    /// Each adds one byte to what the one before left.
    #[test]
    fn concurrent_replacements_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write_atomic(&path, b"", Mode::Public).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let locked = Locked::open(&path).unwrap();
                    let length = locked.file().metadata().unwrap().len();
                    let mut new = locked.replacement().unwrap();
                    new.copy(locked.file(), 0..length).unwrap();
                    new.write_all(b"x").unwrap();
                    new.commit().unwrap();
                });
            }
        });
        assert_eq!(read_bounded(&path, 100).unwrap().len(), 20);
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_exact_and_devices_are_not_replaced() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for (mode, bits) in [(Mode::Private, 0o600), (Mode::Public, 0o644), (Mode::ReadOnly, 0o444)]
        {
            let path = directory.path().join(format!("{bits:o}"));
            write_atomic(&path, b"", mode).unwrap();
            assert_eq!(mode_of(&path), bits);
        }
        let nested = directory.path().join("x/y");
        create_private_dir(&nested).unwrap();
        assert_eq!(mode_of(&nested), 0o700);
        write_atomic(Path::new("/dev/null"), b"x", Mode::Private).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
