//! A file that is being written: it has no name, so that it is gone with the process however that ends.
//!
//! Linux makes such files (`O_TMPFILE`) and names them when they are complete (`linkat` of the open file,
//! or of its entry in `/proc`, which needs no capability before Linux 6.10). Where a file system or a
//! container can't, the file has the temporary name `.dockseal-*` from the beginning, and a process that
//! is killed leaves it behind.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Mode, parent};

const PREFIX: &str = ".dockseal-";

/// Most bytes of a file's name.
const MAX_NAME: usize = 255;

/// A file that is being written, in the directory it is meant for.
#[derive(Debug)]
pub(super) struct Temporary {
    state: State,
    /// The name it has for the moment before it replaces another; one that nobody has where absent.
    name: Option<OsString>,
}

#[derive(Debug)]
enum State {
    Unnamed(File),
    Named(NamedTempFile),
}

impl Temporary {
    /// Begins a file that is to be `target`.
    ///
    /// # Errors
    /// When its directory is not writable.
    pub(super) fn beside(target: &Path, mode: Mode) -> io::Result<Self> {
        Self::begin(target, mode, None, unnamed)
    }

    /// Begins a file that is to replace `target`, for its owner only. Nobody else does so at the same
    /// time: what has its temporary name is of one that was killed, and goes.
    ///
    /// # Errors
    /// When the directory is not writable.
    pub(super) fn leaving(target: &Path) -> io::Result<Self> {
        let name = temporary_name(target);
        match fs::remove_file(target.with_file_name(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Self::begin(target, Mode::Private, Some(name), unnamed)
    }

    fn begin(
        target: &Path,
        mode: Mode,
        name: Option<OsString>,
        unnamed: fn(&Path, Mode) -> io::Result<Option<File>>,
    ) -> io::Result<Self> {
        let state = if let Some(file) = unnamed(parent(target), mode)? {
            State::Unnamed(file)
        } else {
            #[cfg(unix)]
            let permissions = {
                use std::os::unix::fs::PermissionsExt as _;
                fs::Permissions::from_mode(mode.bits())
            };
            let mut builder = tempfile::Builder::new();
            #[cfg(unix)]
            builder.permissions(permissions);
            State::Named(named(&mut builder, &name).tempfile_in(parent(target))?)
        };
        Ok(Self { state, name })
    }

    pub(super) fn file(&self) -> &File {
        match &self.state {
            State::Unnamed(file) => file,
            State::Named(file) => file.as_file(),
        }
    }

    /// Has what was written go to the disk, without waiting. Only a wish.
    pub(super) fn begin_to_sync(&self) {
        // That its pages are not needed any more begins to write them on Linux.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(self.file(), 0, None, rustix::fs::Advice::DontNeed);
    }

    /// Waits until what was written is on the disk.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file().sync_all()
    }

    /// Gives the file its name, which must not exist.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when it does.
    pub(super) fn create(self, target: &Path) -> io::Result<()> {
        let file = match self.state {
            State::Named(file) => return place_new(file, target),
            State::Unnamed(file) => file,
        };
        match link(&file, target) {
            Ok(()) => sync_linked(&file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => place_new(copy(file, &self.name, target)?, target),
        }
    }

    /// Gives the file its name, whatever had it.
    ///
    /// # Errors
    /// When it can't; what was there is unchanged.
    pub(super) fn replace(self, target: &Path) -> io::Result<()> {
        let file = match self.state {
            State::Named(file) => return place(file, target),
            State::Unnamed(file) => file,
        };
        match link(&file, target) {
            Ok(()) => return sync_linked(&file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => return place(copy(file, &self.name, target)?, target),
        }
        // No call names a file that has none in the place of another.
        let mut builder = tempfile::Builder::new();
        let builder = named(&mut builder, &self.name);
        place(builder.make_in(parent(target), |path| link(&file, path))?, target)?;
        sync_linked(&file)
    }
}

fn place<F>(file: NamedTempFile<F>, target: &Path) -> io::Result<()> {
    file.persist(target).map(drop).map_err(|it| it.error)
}

fn place_new<F>(file: NamedTempFile<F>, target: &Path) -> io::Result<()> {
    file.persist_noclobber(target).map(drop).map_err(|it| it.error)
}

/// A copy that has a name, of a file that can't be given one: not everything that knows such files
/// (containers, filters of system calls) lets one name them.
fn copy(mut file: File, name: &Option<OsString>, target: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let mut copy = named(&mut builder, name).tempfile_in(parent(target))?;
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut file, copy.as_file_mut())?;
    let metadata = file.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let _ =
            std::os::unix::fs::fchown(copy.as_file(), Some(metadata.uid()), Some(metadata.gid()));
    }
    copy.as_file().set_permissions(metadata.permissions())?;
    copy.as_file().sync_all()?;
    Ok(copy)
}

/// Before Linux 6.16 Btrfs does not log what has no name: synced before it had one, a file could be
/// empty after a power failure.
#[cfg(target_os = "linux")]
fn sync_linked(file: &File) -> io::Result<()> {
    const BTRFS: u32 = 0x9123_683e;

    match rustix::fs::fstatfs(file) {
        Ok(about) if about.f_type.cast_unsigned() & 0xffff_ffff == u64::from(BTRFS) => {
            file.sync_all()
        }
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn sync_linked(_: &File) -> io::Result<()> {
    Ok(())
}

/// The name that a file has before it replaces `target`. Long ones are cut: a name has at most 255 bytes.
fn temporary_name(target: &Path) -> OsString {
    let mut name = OsString::from(PREFIX);
    let own = target.file_name().unwrap_or_default();
    if own.len() + PREFIX.len() <= MAX_NAME {
        name.push(own);
    } else {
        let text: String = own.to_string_lossy().chars().take(MAX_NAME / 8).collect();
        name.push(text);
    }
    name
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

/// The temporary name, or one that nobody has.
fn named<'a, 'name>(
    builder: &'a mut tempfile::Builder<'name, 'static>,
    name: &'name Option<OsString>,
) -> &'a mut tempfile::Builder<'name, 'static> {
    match name {
        Some(name) => builder.prefix(name).rand_bytes(0),
        None => builder.prefix(PREFIX),
    }
}

/// Whether `/proc` knows what this process has open.
#[cfg(target_os = "linux")]
static HAS_PROC: std::sync::LazyLock<bool> =
    std::sync::LazyLock::new(|| fs::symlink_metadata("/proc/self/fd").is_ok());

/// A file without a name in a directory, where there are such.
#[cfg(target_os = "linux")]
fn unnamed(directory: &Path, mode: Mode) -> io::Result<Option<File>> {
    use rustix::fs::OFlags;
    use rustix::io::Errno;

    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags, rustix::fs::Mode::from_raw_mode(mode.bits())) {
        // Without it there might be no way to name the file.
        Ok(file) => Ok(HAS_PROC.then(|| File::from(file))),
        // What file systems, kernels and filters of system calls answer that know no such files.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path, _: Mode) -> io::Result<Option<File>> {
    Ok(None)
}

/// Gives a file that has no name a first one.
#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use rustix::io::Errno;

    match linkat(file, "", CWD, path, AtFlags::EMPTY_PATH) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(Errno::EXIST.into()),
        // Most likely the capability is missing, which is told as if there were no such file.
        Err(_) => link_entry(file, path),
    }
}

/// The same by way of `/proc`.
#[cfg(target_os = "linux")]
fn link_entry(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};

    Ok(linkat(CWD, entry(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What `/proc` calls an open file.
#[cfg(target_os = "linux")]
fn entry(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd as _;

    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each way of beginning a file: as this system has it, and as those have it that know no better.
    fn ways(target: &Path, name: Option<&str>) -> Vec<Temporary> {
        let begin = |unnamed| Temporary::begin(target, Mode::Public, name.map(Into::into), unnamed);
        vec![begin(unnamed).unwrap(), begin(|_, _| Ok(None)).unwrap()]
    }

    #[test]
    fn a_temporary_name_is_no_longer_than_names_may_be() {
        for (name, expected) in [
            ("a".to_owned(), ".dockseal-a".to_owned()),
            ("b".repeat(245), format!(".dockseal-{}", "b".repeat(245))),
            ("c".repeat(246), format!(".dockseal-{}", "c".repeat(31))),
            ("\u{1f600}".repeat(63), format!(".dockseal-{}", "\u{1f600}".repeat(31))),
        ] {
            assert_eq!(temporary_name(&Path::new("d").join(name)), *expected);
        }
    }

    /// What can't be named is copied.
    #[test]
    fn a_copy_has_the_content_and_the_mode() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a");
        let mut file = tempfile::tempfile_in(directory.path()).unwrap();
        file.write_all(b"content").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            file.set_permissions(fs::Permissions::from_mode(0o640)).unwrap();
        }
        // It had a name once, or never: either way it gets none here.
        let copied = copy(file.try_clone().unwrap(), &None, &target).unwrap();
        let permissions = copied.as_file().metadata().unwrap().permissions();
        assert_eq!(permissions, file.metadata().unwrap().permissions());
        place(copied, &target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"content");
        assert_eq!(names(directory.path()), ["a"]);
    }

    /// As one is named without the capability.
    #[cfg(target_os = "linux")]
    #[test]
    fn proc_names_what_has_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let Some(mut file) = unnamed(directory.path(), Mode::Public).unwrap() else {
            eprintln!("SKIPPED: {} has no files without a name", directory.path().display());
            return;
        };
        file.write_all(b"content").unwrap();
        link_entry(&file, &directory.path().join("a")).unwrap();
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"content");
        let again = link_entry(&file, &directory.path().join("a")).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_complete() {
        for name in [None, Some(".dockseal-a")] {
            for way in 0..2 {
                let directory = tempfile::tempdir().unwrap();
                let target = directory.path().join("a");
                let begin = |content: &[u8]| {
                    let mut file = ways(&target, name).remove(way);
                    file.write_all(content).unwrap();
                    file.begin_to_sync();
                    file.sync().unwrap();
                    file
                };
                begin(b"one").create(&target).unwrap();
                let again = begin(b"two").create(&target).unwrap_err();
                assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
                assert_eq!(fs::read(&target).unwrap(), b"one");
                drop(begin(b"dropped"));
                for content in [b"three", b"fours"] {
                    begin(content).replace(&target).unwrap();
                    assert_eq!(fs::read(&target).unwrap(), content);
                }
                fs::remove_file(&target).unwrap();
                begin(b"five").replace(&target).unwrap();
                assert_eq!(names(directory.path()), ["a"], "nothing else is left");
                assert_eq!(fs::read(&target).unwrap(), b"five");
                fs::remove_file(&target).unwrap();
                fs::create_dir(&target).unwrap();
                begin(b"six").replace(&target).unwrap_err();
                assert_eq!(names(directory.path()), ["a"], "nothing else is left");
            }
        }
    }

    /// Killed now, a process would leave nothing behind. Every file system that people have on Linux
    /// can do it, but not every one.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_being_written_has_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a");
        if unnamed(directory.path(), Mode::Public).unwrap().is_none() {
            eprintln!("SKIPPED: {} has no files without a name", directory.path().display());
            return;
        }
        let mut file = Temporary::beside(&target, Mode::Public).unwrap();
        let mut other = Temporary::leaving(&target).unwrap();
        file.write_all(b"one").unwrap();
        other.write_all(b"two").unwrap();
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_error_has_a_temporary_name() {
        let directory = tempfile::tempdir().unwrap();
        let error = Temporary::beside(&directory.path().join("none/a"), Mode::Public).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(PREFIX), "{error}");
    }

    #[test]
    fn what_a_killed_process_left_goes() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a");
        fs::write(directory.path().join(".dockseal-a"), b"half").unwrap();
        let mut file = Temporary::leaving(&target).unwrap();
        file.write_all(b"whole").unwrap();
        file.replace(&target).unwrap();
        assert_eq!(names(directory.path()), ["a"]);
    }
}
