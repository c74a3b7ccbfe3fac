//! Files that appear when they are complete.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::temporary::Temporary;
use super::{FileError, Mode, parent, sync_parent};

/// Writes a file, replacing what was there, whole or not at all.
///
/// # Errors
/// [`FileError::Io`]; the file that was there is then unchanged.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    AtomicFile::create(path, mode)?.with(bytes)?.commit()
}

/// Writes files, each whole or not at all as [`write_atomic`] does, that lead to each other: none has
/// its name before those in front of it are on the disk. All are written before the disk is waited for,
/// so that the first wait serves all of them. Others may have made the directory: whatever has the name
/// of a file is replaced, nothing is written into a device or through a link.
///
/// # Errors
/// [`FileError::Io`]; some of the files, the first ones, may be there then.
pub fn write_in_order(files: &[(&Path, &[u8], Mode)]) -> Result<(), FileError> {
    let mut written = Vec::with_capacity(files.len());
    for (path, bytes, mode) in files {
        let file = Temporary::beside(path, *mode);
        let file = file.map_err(|source| FileError::io("create", path, source))?;
        let file = AtomicFile::of(path.to_path_buf(), file).with(bytes)?;
        file.begin_to_sync();
        written.push(file);
    }
    for file in &written {
        file.sync()?;
    }
    let mut files = written.into_iter().peekable();
    while let Some(file) = files.next() {
        let path = file.place()?;
        if files.peek().is_none_or(|next| parent(&next.target) != parent(&path)) {
            sync_parent(&path);
        }
    }
    Ok(())
}

/// Writes a file that must not exist yet, whole or not at all.
///
/// # Errors
/// [`FileError::Io`], of kind [`io::ErrorKind::AlreadyExists`] when there is something.
pub fn write_new(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    let failed = |action: &'static str| move |source| FileError::io(action, path, source);
    let mut file = Temporary::beside(path, mode).map_err(failed("create"))?;
    file.write_all(bytes).and_then(|()| file.sync()).map_err(failed("write"))?;
    file.create(path).map_err(failed("create"))?;
    sync_parent(path);
    Ok(())
}

/// A file that appears when it is complete. Dropped before [`AtomicFile::commit`] it leaves
/// nothing behind, and neither does a process that is killed, where a file can do without a name.
///
/// A target that exists and is no regular file (`/dev/null`, a pipe) is written directly: it could
/// not be replaced without destroying it. So is a file that this process has open (`/dev/stdout`), behind
/// what is in it.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Temporary(Temporary),
    Direct(File),
}

impl AtomicFile {
    /// Begins to write `path`.
    ///
    /// # Errors
    /// [`FileError::Io`] when the directory is not writable.
    pub fn create(path: &Path, mode: Mode) -> Result<Self, FileError> {
        let is_special = fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
        let inner = if is_special || is_descriptor(path) {
            let file = File::options().append(true).open(path);
            Inner::Direct(file.map_err(|source| FileError::io("open", path, source))?)
        } else {
            let file = Temporary::beside(path, mode);
            Inner::Temporary(file.map_err(|source| FileError::io("create", path, source))?)
        };
        Ok(Self { target: path.to_owned(), inner })
    }

    /// Goes on with a file that was begun for `target`.
    pub(super) fn of(target: PathBuf, file: Temporary) -> Self {
        Self { target, inner: Inner::Temporary(file) }
    }

    /// The file with more bytes.
    fn with(mut self, bytes: &[u8]) -> Result<Self, FileError> {
        let written = self.write_all(bytes);
        written.map_err(|source| FileError::io("write", &self.target, source))?;
        Ok(self)
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
                Inner::Temporary(file) => io::copy(&mut part, &mut file.file()),
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
        self.sync()?;
        let path = self.place()?;
        sync_parent(&path);
        Ok(())
    }

    /// Has what was written go to the disk, without waiting.
    fn begin_to_sync(&self) {
        if let Inner::Temporary(file) = &self.inner {
            file.begin_to_sync();
        }
    }

    /// Waits until what was written is on the disk.
    fn sync(&self) -> Result<(), FileError> {
        let synced = match &self.inner {
            // Whoever reads a pipe has it; devices need not be able to.
            Inner::Direct(_) => Ok(()),
            Inner::Temporary(file) => file.sync(),
        };
        synced.map_err(|source| FileError::io("write", &self.target, source))
    }

    /// Gives the file its name. A power failure may undo it until the directory is synced.
    fn place(self) -> Result<PathBuf, FileError> {
        if let Inner::Temporary(file) = self.inner {
            let placed = file.replace(&self.target);
            placed.map_err(|source| FileError::io("replace", &self.target, source))?;
        }
        Ok(self.target)
    }
}

/// Whether a path leads to what a process has open: `/dev/stdout` is a link to `/proc/self/fd/1`.
fn is_descriptor(path: &Path) -> bool {
    let mut path = path.to_owned();
    // As many links as Linux follows.
    for _ in 0..40 {
        if fs::canonicalize(parent(&path)).is_ok_and(|directory| directory.starts_with("/proc")) {
            return true;
        }
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => break,
        }
    }
    false
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsutil::{create_private_dir, read_bounded};

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

    /// As `/dev/stdout` is when a shell has sent it to a file.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_is_written_behind_what_is_in_it() {
        use std::os::fd::AsRawFd as _;

        let directory = tempfile::tempdir().unwrap();
        let [path, link, second] = ["a", "link", "second"].map(|name| directory.path().join(name));
        write_atomic(&path, b"one", Mode::Public).unwrap();
        let open = File::open(&path).unwrap();
        let descriptor = format!("/proc/self/fd/{}", open.as_raw_fd());
        std::os::unix::fs::symlink(&descriptor, &link).unwrap();
        std::os::unix::fs::symlink("link", &second).unwrap();
        for (to, expected) in
            [(Path::new(&descriptor), "one."), (&link, "one.."), (&second, "one...")]
        {
            write_atomic(to, b".", Mode::Public).unwrap();
            assert_eq!(read_bounded(&path, 10).unwrap(), expected.as_bytes());
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // Another link is replaced, as ever.
        let plain = directory.path().join("plain");
        std::os::unix::fs::symlink("a", &plain).unwrap();
        write_atomic(&plain, b"two", Mode::Public).unwrap();
        assert_eq!(read_bounded(&path, 10).unwrap(), b"one...");
        assert_eq!(read_bounded(&plain, 10).unwrap(), b"two");
    }

    /// Whoever made the directory must not have devices written, or this process wait for a reader.
    #[cfg(unix)]
    #[test]
    fn what_has_the_name_of_a_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let [pipe, device, link, other] =
            ["pipe", "device", "link", "other"].map(|name| directory.path().join(name));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write_atomic(&other, b"other", Mode::Public).unwrap();
        std::os::unix::fs::symlink("other", &link).unwrap();
        let files = [&pipe, &device, &link].map(|path| (&**path, &b"blob"[..], Mode::ReadOnly));
        write_in_order(&files).unwrap();
        for path in [&pipe, &device, &link] {
            assert!(fs::symlink_metadata(path).unwrap().is_file());
            assert_eq!(read_bounded(path, 10).unwrap(), b"blob");
        }
        assert_eq!(read_bounded(&other, 10).unwrap(), b"other");
        fs::remove_file(&pipe).unwrap();
        fs::create_dir(&pipe).unwrap();
        write_in_order(&files).unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4, "nothing is left behind");
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
