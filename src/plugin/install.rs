//! Installing a plugin: from an archive or a program into the directory of plugins, whole or not at
//! all (spec/notation.md §8.4).
//!
//! ```text
//! source -> spooled and hashed -> unpacked beside the plugins -> asked who it is -> compared with
//! the installed one -> put in its place by one rename
//! ```
//!
//! Asking means running it, so that comes when everything else is as it must be.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::archive::{self, ArchiveError, MAX_BYTES};
use super::directory::{self, PREFIX};
use super::protocol::Version;
use super::{Plugin, PluginConfig, PluginDirectory, PluginError, PluginName};
use crate::fsutil::{self, AtomicFile, FileError, Locked, Mode};
use crate::image::digest::{Algorithm, Digest, DigestError};

/// Directories with this prefix are being installed from; nothing else looks at them.
const STAGING: &str = ".dockseal-";

/// In them, with the name of the plugin behind it: the one that was installed.
const TAKEN: &str = "old-";

/// Which installed plugins may be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replace {
    /// Those of a lower version.
    Older,
    /// Any, also those that don't run.
    Any,
}

/// A plugin that was installed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the plugin that was replaced; empty when that said none.
    pub replaced: Option<String>,
}

/// Why a plugin was not installed. What was there is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The source or the directory of plugins can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The source is no file.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The source.
        path: PathBuf,
    },
    /// The source is larger than a plugin may be.
    #[error("{} is larger than the limit of {} MiB", path.display(), MAX_BYTES >> 20)]
    TooLarge {
        /// The source.
        path: PathBuf,
    },
    /// The expected checksum is none.
    #[error("SHA-256 checksum: {0}")]
    Checksum(DigestError),
    /// The source is another one than expected.
    #[error(
        "plugin SHA-256 checksum does not match user input. Expecting {expected}, found {found}"
    )]
    OtherChecksum {
        /// What was expected.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The archive is not as it must be.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Neither an archive nor a program that can be a plugin.
    #[error(
        "{name:?} is neither a .zip or .tar.gz archive nor an executable file whose name has the \
         format notation-{{plugin-name}}"
    )]
    NotAPlugin {
        /// The file name.
        name: String,
    },
    /// There is no program in the archive.
    #[error(
        "no plugin executable file was found; its name has the format notation-{{plugin-name}}"
    )]
    NoProgram,
    /// There are several.
    #[error("found more than one plugin executable file: {}", names.join(", "))]
    Programs {
        /// Their names.
        names: Vec<String>,
    },
    /// The new plugin doesn't say who it is.
    #[error("failed to get metadata of new plugin: {0}")]
    Metadata(PluginError),
    /// The installed plugin doesn't say which version it is.
    #[error("the plugin that is installed can't be compared with: {0}")]
    Existing(PluginError),
    /// The installed plugin has this version too.
    #[error("plugin {name} with version {version} already exists")]
    Exists {
        /// The plugin.
        name: String,
        /// The version.
        version: String,
    },
    /// The installed plugin is newer.
    #[error(
        "the installing plugin {name} has version {version}, which is lower than the existing \
         version {existing}"
    )]
    Newer {
        /// The plugin.
        name: String,
        /// The new version.
        version: String,
        /// The installed version.
        existing: String,
    },
    /// A version is no SemVer, so nobody knows which one is newer.
    #[error("versions {version:?} (new) and {existing:?} (installed) can't be compared as SemVer")]
    Versions {
        /// The new version.
        version: String,
        /// The installed version.
        existing: String,
    },
}

impl InstallError {
    /// A command that helps, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. }
            | Self::Newer { .. }
            | Self::Versions { .. }
            | Self::Existing(_) => Some("to replace what is installed: --force".to_owned()),
            Self::Metadata(error) => error.hint(),
            _ => None,
        }
    }
}

/// Installs a plugin from `source`, whose SHA-256 is `checksum` if one is given.
///
/// # Errors
/// [`InstallError`]; nothing has changed then.
pub fn install(
    plugins: &PluginDirectory,
    source: &Path,
    checksum: Option<&str>,
    replace: Replace,
) -> Result<Installed, InstallError> {
    let expected = checksum
        .map(|hex| Digest::from_hex(Algorithm::Sha256, &hex.to_ascii_lowercase()))
        .transpose()
        .map_err(InstallError::Checksum)?;
    fsutil::create_private_dir(plugins.path())?;
    let unusable = |error| FileError::io("write to", plugins.path(), error);
    let (spool, found) = spool(source, plugins.path())?;
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        let (expected, found) = (expected.hex().to_owned(), found.hex().to_owned());
        return Err(InstallError::OtherChecksum { expected, found });
    }
    let _lock = lock(plugins)?;
    // Dropped, it takes everything with it.
    let staging =
        tempfile::Builder::new().prefix(STAGING).tempdir_in(plugins.path()).map_err(unusable)?;
    let new = staging.path().join("new");
    fsutil::create_public_dir(&new)?;
    let name = unpack(source, spool, &new)?;
    let plugin = Plugin { path: new.join(name.program()), name, timeout: plugins.timeout() };
    let metadata = fs::symlink_metadata(plugin.path())
        .map_err(|error| FileError::io("read", plugin.path(), error))?;
    directory::check_program(plugin.path(), &metadata).map_err(InstallError::Metadata)?;
    let version = plugin.metadata(&PluginConfig::new()).map_err(InstallError::Metadata)?.version;
    let replaced = may_replace(plugins, &plugin.name, &version, replace)?;
    put(staging, &new, &plugin.name, plugins)?;
    Ok(Installed { name: plugin.name.to_string(), version, replaced })
}

/// Makes others who change plugins wait, and ends what killed installations began: a plugin that one
/// took away is put back, and the rest goes.
pub(super) fn lock(plugins: &PluginDirectory) -> Result<Locked, FileError> {
    let lock = Locked::open(plugins.path())?;
    for path in fsutil::entries(plugins.path())? {
        if name_behind(STAGING, &path).is_none() || !path.is_dir() {
            continue;
        }
        for taken in fsutil::entries(&path)? {
            let name = name_behind(TAKEN, &taken).and_then(|name| PluginName::new(name).ok());
            let Some(target) = name.map(|name| plugins.of(&name)) else { continue };
            if is_absent(&target) {
                fsutil::rename(&taken, &target)?;
            }
        }
        fs::remove_dir_all(&path).map_err(|error| FileError::io("remove", &path, error))?;
    }
    Ok(lock)
}

/// What stands behind `prefix` in a file's name.
fn name_behind<'a>(prefix: &str, path: &'a Path) -> Option<&'a str> {
    path.file_name()?.to_str()?.strip_prefix(prefix)
}

fn is_absent(path: &Path) -> bool {
    matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Copies the source to where nobody changes it any more, and hashes it.
fn spool(source: &Path, directory: &Path) -> Result<(File, Digest), InstallError> {
    let failed = |error| FileError::io("read", source, error);
    let path = || source.to_owned();
    if !fs::metadata(source).map_err(failed)?.is_file() {
        return Err(InstallError::NotRegular { path: path() });
    }
    let mut input = fsutil::open(source)?.take(MAX_BYTES.saturating_add(1));
    let mut copy = tempfile::tempfile_in(directory)
        .map_err(|error| FileError::io("write to", directory, error))?;
    let mut hasher = Algorithm::Sha256.hasher();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = input.read(&mut buffer).map_err(failed)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        copy.write_all(bytes).map_err(|error| FileError::io("write to", directory, error))?;
    }
    if input.limit() == 0 {
        return Err(InstallError::TooLarge { path: path() });
    }
    copy.rewind().map_err(failed)?;
    Ok((copy, hasher.finish()))
}

/// Writes the files of the source to a directory; says whose program is among them.
fn unpack(source: &Path, mut spool: File, new: &Path) -> Result<PluginName, InstallError> {
    let failed = |error| InstallError::from(FileError::io("read", source, error));
    let mut start = [0; 4];
    let count = spool.read(&mut start).map_err(failed)?;
    spool.rewind().map_err(failed)?;
    let mut programs = Vec::new();
    let mut sink = |name: &str, is_executable: bool, content: &mut dyn Read| {
        let program = PluginName::of_program(name);
        let path = new.join(name);
        // Programs are made executable, as notation does.
        let mode = match is_executable || program.is_some() {
            true => Mode::Executable,
            false => Mode::Public,
        };
        let mut file = AtomicFile::create(&path, mode)?;
        io::copy(content, &mut file)?;
        file.commit()?;
        programs.extend(program.map(|name| (name, is_executable)));
        Ok::<(), ArchiveError>(())
    };
    match start.get(..count).unwrap_or_default() {
        [b'P', b'K', 3, 4] => archive::unzip(spool, &mut sink)?,
        [0x1f, 0x8b, ..] => archive::untar(spool, &mut sink)?,
        _ => {
            let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let metadata = fs::metadata(source).map_err(failed)?;
            if PluginName::of_program(&name).is_none() || !directory::is_executable(&metadata) {
                return Err(InstallError::NotAPlugin { name });
            }
            sink(&name, true, &mut spool)?;
        }
    }
    // Where none is executable, the archive may not be able to say so.
    if programs.iter().any(|(_, is_executable)| *is_executable) {
        programs.retain(|(_, is_executable)| *is_executable);
    }
    match programs.as_slice() {
        [] => Err(InstallError::NoProgram),
        [(name, _)] => Ok(name.clone()),
        several => {
            let names = several.iter().map(|(name, _)| format!("{PREFIX}{name}")).collect();
            Err(InstallError::Programs { names })
        }
    }
}

/// The version that is replaced, if there is a plugin and it may be.
fn may_replace(
    plugins: &PluginDirectory,
    name: &PluginName,
    version: &str,
    replace: Replace,
) -> Result<Option<String>, InstallError> {
    if !plugins.has(name) {
        return Ok(None);
    }
    let existing = plugins
        .find(name.as_str())
        .and_then(|plugin| plugin.metadata(&PluginConfig::new()))
        .map(|metadata| metadata.version);
    let existing = match (replace, existing) {
        (Replace::Any, existing) => return Ok(Some(existing.unwrap_or_default())),
        (Replace::Older, existing) => existing.map_err(InstallError::Existing)?,
    };
    let (Ok(new), Ok(old)) = (Version::parse(version), Version::parse(&existing)) else {
        return Err(InstallError::Versions { version: version.to_owned(), existing });
    };
    let (name, version) = (name.to_string(), version.to_owned());
    match new.cmp_precedence(&old) {
        std::cmp::Ordering::Greater => Ok(Some(existing)),
        std::cmp::Ordering::Equal => Err(InstallError::Exists { name, version }),
        std::cmp::Ordering::Less => Err(InstallError::Newer { name, version, existing }),
    }
}

/// Puts a directory in its place. Where what was there can't be swapped with it, that is taken away
/// under a name that tells where it belongs: [`lock`] puts it back if the rest does not come.
fn put(
    staging: TempDir,
    new: &Path,
    name: &PluginName,
    plugins: &PluginDirectory,
) -> Result<(), FileError> {
    let target = &plugins.of(name);
    if is_absent(target) {
        return fsutil::rename(new, target);
    }
    if exchange(new, target) {
        return Ok(());
    }
    let taken = staging.path().join(format!("{TAKEN}{name}"));
    fsutil::rename(target, &taken)?;
    fsutil::rename(new, target).inspect_err(|_| {
        // As it was, if that can be; else it is kept for the next installation.
        if fsutil::rename(&taken, target).is_err() {
            let _ = staging.keep();
        }
    })
}

/// Swaps two directories in one step, where the system can.
#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}
