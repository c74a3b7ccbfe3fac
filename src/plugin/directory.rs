//! The directory of plugins: `{plugins}/{name}/notation-{name}`.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Plugin, PluginError, install};
use crate::fsutil::FileError;

/// What the name of a plugin's program begins with.
pub(super) const PREFIX: &str = "notation-";

/// The longest name of a plugin: with its prefix it is still the name of a file.
const MAX_NAME_BYTES: usize = 255 - PREFIX.len();

/// A name that is safe in paths and as an argument (rule N-02; notation checks nothing).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PluginName(String);

impl PluginName {
    /// Checks a name: `^[A-Za-z0-9][A-Za-z0-9_.-]*$` without `..`.
    ///
    /// # Errors
    /// [`PluginError::Name`].
    pub fn new(name: &str) -> Result<Self, PluginError> {
        let mut bytes = name.bytes();
        let is_name = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
            && !name.contains("..")
            && name.len() <= MAX_NAME_BYTES;
        match is_name {
            true => Ok(Self(name.to_owned())),
            false => Err(PluginError::Name { name: name.to_owned() }),
        }
    }

    /// The name of the plugin whose program has this file name, or `None` if it is none's.
    pub(super) fn of_program(file_name: &str) -> Option<Self> {
        Self::new(file_name.strip_prefix(PREFIX)?).ok()
    }

    /// The file name of the program.
    pub(super) fn program(&self) -> String {
        format!("{PREFIX}{self}{}", if cfg!(windows) { ".exe" } else { "" })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where plugins are.
#[derive(Clone, Debug)]
pub struct PluginDirectory {
    path: PathBuf,
    timeout: Duration,
}

impl PluginDirectory {
    /// The plugins of a directory. Each command of one may take as long as `timeout`.
    pub fn new(path: PathBuf, timeout: Duration) -> Self {
        Self { path, timeout }
    }

    /// The directory of one plugin.
    pub(super) fn of(&self, name: &PluginName) -> PathBuf {
        self.path.join(name.as_str())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Finds a plugin. Nothing is run.
    ///
    /// # Errors
    /// [`PluginError`]: the name is none, there is no such plugin, or it is nothing that may be run
    /// (rule N-02): directory and program are no links, belong to root or to who runs this, nobody
    /// else may change them, and the program is executable.
    pub fn find(&self, name: &str) -> Result<Plugin, PluginError> {
        let name = PluginName::new(name)?;
        let directory = self.of(&name);
        let path = directory.join(name.program());
        let look = |at: &Path| match fs::symlink_metadata(at) {
            Ok(metadata) => Ok(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(PluginError::NotFound { name: name.to_string(), path: path.clone() })
            }
            Err(source) => Err(FileError::io("read", at, source).into()),
        };
        let metadata = look(&directory)?;
        if !metadata.is_dir() {
            return Err(PluginError::NotRegular { path: directory, expected: "a directory" });
        }
        refuse_others(&directory, &metadata)?;
        check_program(&path, &look(&path)?)?;
        Ok(Plugin { name, path, timeout: self.timeout })
    }

    /// The names of all plugins, sorted. Links and files are none, as in notation; names that
    /// can't be plugins are listed so that they are noticed.
    ///
    /// # Errors
    /// [`FileError`] when the directory is there and can't be read.
    pub fn names(&self) -> Result<Vec<String>, FileError> {
        let unreadable = |source| FileError::io("read", &self.path, source);
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // What an installation that was interrupted left behind.
            if entry.file_type().map_err(unreadable)?.is_dir() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a plugin with all of its files.
    ///
    /// # Errors
    /// [`PluginError::NotFound`] when it isn't there; [`PluginError::File`] when it can't be
    /// removed.
    pub fn remove(&self, name: &PluginName) -> Result<(), PluginError> {
        let directory = self.of(name);
        // One that a killed installation took away would come back with the next.
        let _lock = self.path().is_dir().then(|| install::lock(self)).transpose()?;
        if !self.has(name) {
            let path = directory.join(name.program());
            return Err(PluginError::NotFound { name: name.to_string(), path });
        }
        let failed = |source| FileError::io("remove", &directory, source);
        // A link is removed, not what it leads to.
        match fs::symlink_metadata(&directory).map_err(failed)?.is_dir() {
            true => fs::remove_dir_all(&directory).map_err(failed)?,
            false => fs::remove_file(&directory).map_err(failed)?,
        }
        Ok(())
    }

    /// Whether there is something of this name.
    pub fn has(&self, name: &PluginName) -> bool {
        fs::symlink_metadata(self.of(name)).is_ok()
    }
}

/// A program that may be run: a file, executable, and nobody else's.
pub(super) fn check_program(path: &Path, metadata: &Metadata) -> Result<(), PluginError> {
    if !metadata.is_file() {
        let expected = "a regular file";
        return Err(PluginError::NotRegular { path: path.to_owned(), expected });
    }
    if !is_executable(metadata) {
        return Err(PluginError::NotExecutable { path: path.to_owned() });
    }
    refuse_others(path, metadata)
}

#[cfg(unix)]
pub(super) fn is_executable(metadata: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
pub(super) fn is_executable(_: &Metadata) -> bool {
    true
}

/// Who could change a plugin could run anything as whoever uses it. A group is not nobody, but
/// many systems give every user a group of their own.
#[cfg(unix)]
fn refuse_others(path: &Path, metadata: &Metadata) -> Result<(), PluginError> {
    use std::os::unix::fs::MetadataExt as _;

    let owner = metadata.uid();
    let problem = if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if metadata.mode() & 0o002 != 0 {
        "can be changed by everybody"
    } else {
        return Ok(());
    };
    Err(PluginError::Unsafe { path: path.to_owned(), problem })
}

#[cfg(not(unix))]
fn refuse_others(_: &Path, _: &Metadata) -> Result<(), PluginError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n02_names_are_no_paths_and_no_options() {
        for name in ["a", "com.example.hsm", "azure-kv", "A_1.2-b", "0"] {
            assert_eq!(PluginName::new(name).unwrap().as_str(), name);
        }
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        for name in [
            "",
            ".",
            "..",
            "../../evil",
            "a/b",
            "/a",
            "-a",
            "_a",
            ".a",
            "a..b",
            "a b",
            "a\0",
            "a\n",
            "ä",
            "a\\b",
            &long,
        ] {
            assert!(matches!(PluginName::new(name), Err(PluginError::Name { .. })), "{name:?}");
        }
        assert_eq!(PluginName::of_program("notation-a.b").unwrap().as_str(), "a.b");
        assert_eq!(PluginName::of_program("notation-"), None);
        assert_eq!(PluginName::of_program("a"), None);
    }

    #[cfg(unix)]
    #[test]
    fn n02_what_others_may_change_or_lead_elsewhere_is_no_plugin() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let root = tempfile::tempdir().unwrap();
        let plugins = PluginDirectory::new(root.path().to_owned(), Duration::from_secs(1));
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let directory = root.path().join("p");
        let program = directory.join("notation-p");
        assert!(matches!(plugins.find("p"), Err(PluginError::NotFound { .. })));
        fs::create_dir(&directory).unwrap();
        mode(&directory, 0o755);
        assert!(matches!(plugins.find("p"), Err(PluginError::NotFound { .. })));
        crate::fsutil::write_new(&program, b"", crate::fsutil::Mode::Public).unwrap();
        assert!(matches!(plugins.find("p"), Err(PluginError::NotExecutable { .. })));
        mode(&program, 0o755);
        assert_eq!(plugins.find("p").unwrap().path(), program);
        for (path, bits) in [(&program, 0o757), (&directory, 0o777)] {
            mode(path, bits);
            assert!(matches!(plugins.find("p"), Err(PluginError::Unsafe { .. })), "{path:?}");
            mode(path, 0o755);
        }
        symlink(&directory, root.path().join("q")).unwrap();
        assert!(matches!(plugins.find("q"), Err(PluginError::NotRegular { .. })));
        assert_eq!(plugins.names().unwrap(), ["p"]);
        plugins.remove(&PluginName::new("q").unwrap()).unwrap();
        assert!(program.exists(), "a link is removed alone");
        fs::rename(&program, root.path().join("elsewhere")).unwrap();
        symlink(root.path().join("elsewhere"), &program).unwrap();
        assert!(matches!(plugins.find("p"), Err(PluginError::NotRegular { .. })));
        plugins.remove(&PluginName::new("p").unwrap()).unwrap();
        assert!(root.path().join("elsewhere").exists());
        assert!(plugins.names().unwrap().is_empty());
        assert!(matches!(
            plugins.remove(&PluginName::new("p").unwrap()),
            Err(PluginError::NotFound { .. })
        ));
    }
}
