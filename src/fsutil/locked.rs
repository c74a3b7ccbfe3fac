//! Files that are replaced by one writer after the other.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::temporary::Temporary;
use super::{AtomicFile, FileError, open};

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
        let temporary = Temporary::leaving(&self.path).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            // Only root may give files away; others own what they replace, as a rule.
            let (owner, group) = (metadata.uid(), metadata.gid());
            let _ = std::os::unix::fs::fchown(temporary.file(), Some(owner), Some(group));
        }
        temporary.file().set_permissions(metadata.permissions()).map_err(failed)?;
        Ok(AtomicFile::of(self.path.clone(), temporary))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::fsutil::{Mode, read_bounded, write_atomic};

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
}
