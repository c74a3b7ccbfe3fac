//! Changes of a kit on a host: all or none.
//!
//! ```text
//! {config}/kits/lock                 held while something changes
//! {config}/kits/installed/NAME.json  version, digest, files and trust of the last kit of that name
//! {config}/kits/staged/N             new files, complete
//! {config}/kits/journal.json         there while they are being put in their places
//! ```
//!
//! Files in several directories can't be replaced at once. So the new ones are written aside, then
//! the journal: when it is there the import is decided. Every step of it may be done again, and the
//! next command that imports ends what was interrupted. Who verifies meanwhile sees the journal
//! ([`pending`]) and refuses; before it, a host is as it was, and behind it, as the kit wants it.
//! Nothing but the journal is atomic for other programs (notation): between two steps they see less
//! trust rather than more ([`super::plan`]).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::fsutil::{self, FileError, Locked, Mode};
use crate::image::digest::Digest;
use crate::image::json::{self, Rules};
use crate::trust::crls::MAX_ENTRY_BYTES;

use super::archive::Kit;
use super::document::{LEGACY, Place, is_kit_name};
use super::plan::{Action, Plan};
use super::{Host, KitError};

const KITS: &str = "kits";
const MAX_STATE_BYTES: usize = 8 << 20;

/// What is remembered of the last kit of a name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Installed {
    schema_version: u32,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// The digest of its `kit.json`.
    pub digest: String,
    /// When it was made.
    pub created: String,
    /// Its files as they are on the host: path and sha256.
    pub files: BTreeMap<String, String>,
    /// Whose kits of that name are believed, where the policy does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Remembered>,
}

/// Whose kits are believed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remembered {
    /// The root certificate, as it was given.
    pub root: String,
    /// The identity of the signer, as policies have it.
    pub identity: String,
}

impl Installed {
    pub(super) fn new(
        kit: &Kit,
        files: BTreeMap<String, String>,
        trust: Option<Remembered>,
    ) -> Self {
        Self {
            schema_version: 1,
            name: kit.document.name.clone(),
            version: kit.document.version,
            digest: kit.digest().to_string(),
            created: kit.document.created.clone(),
            files,
            trust,
        }
    }
}

/// An import that is decided.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Journal {
    steps: Vec<Step>,
    installed: Installed,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    path: String,
    /// The sha256 of the staged file; none where the file goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Step {
    fn place(&self) -> Result<Place, KitError> {
        if self.path == LEGACY {
            return Ok(Place::LegacyPolicy);
        }
        Place::parse(&self.path).ok_or_else(|| KitError::Place { path: self.path.clone() })
    }
}

fn kits(host: &Host) -> PathBuf {
    host.config.join(KITS)
}

fn journal(config: &Path) -> PathBuf {
    config.join(KITS).join("journal.json")
}

fn state(host: &Host, name: &str) -> PathBuf {
    kits(host).join("installed").join(format!("{name}.json"))
}

/// Whether an import was decided and is not complete: what a host trusts is undecided.
///
/// # Errors
/// [`FileError`] when that can't be told.
pub fn pending(config: &Path) -> Result<bool, FileError> {
    let path = journal(config);
    match std::fs::symlink_metadata(&path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::io("look for", &path, error)),
    }
}

/// What is remembered of the last kit of a name.
///
/// # Errors
/// [`KitError::State`] when that is damaged.
pub fn installed(host: &Host, name: &str) -> Result<Option<Installed>, KitError> {
    if !is_kit_name(name) {
        return Err(KitError::Name { name: name.to_owned() });
    }
    read_json(&state(host, name))
}

/// What is remembered of all kits.
///
/// # Errors
/// As [`installed`].
pub fn all(host: &Host) -> Result<Vec<Installed>, KitError> {
    let entries = match fsutil::entries(&kits(host).join("installed")) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        entries => entries?,
    };
    let is_state = |path: &&PathBuf| path.extension().is_some_and(|it| it == "json");
    let states = entries.iter().filter(is_state).map(|path| read_json(path));
    states.filter_map(Result::transpose).collect()
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, KitError> {
    let bytes = match fsutil::read_bounded(path, MAX_STATE_BYTES as u64) {
        Err(error) if error.is_not_found() => return Ok(None),
        bytes => bytes?,
    };
    let rules = Rules { free_maps: &["files"], ..Rules::limited(MAX_STATE_BYTES) };
    let damaged = |error: json::ReadError| KitError::State {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    json::read(&bytes, &rules).map(Some).map_err(damaged)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), KitError> {
    let bytes = serde_json::to_vec_pretty(value).expect("texts and numbers are always JSON");
    Ok(fsutil::write_atomic(path, &bytes, Mode::Private)?)
}

/// The host's kits, held against others who change them.
#[derive(Debug)]
pub struct Installer<'a> {
    host: &'a Host,
    _lock: Locked,
}

impl<'a> Installer<'a> {
    /// Waits for others, and completes what they left. Says which kit that was.
    ///
    /// # Errors
    /// [`KitError`] when something can't be read or written.
    pub fn open(host: &'a Host) -> Result<(Self, Option<Installed>), KitError> {
        fsutil::create_private_dir(&kits(host).join("installed"))?;
        let lock = kits(host).join("lock");
        match fsutil::write_new(&lock, b"", Mode::Private) {
            Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            result => result?,
        }
        let installer = Self { host, _lock: Locked::open(&lock)? };
        let completed = installer.complete()?;
        Ok((installer, completed))
    }

    /// Does what was planned, which nobody else can have changed since: plans are made while the
    /// host is held. `trust` is remembered with it.
    ///
    /// # Errors
    /// [`KitError`]; nothing is changed then, or the next [`Self::open`] ends it.
    pub fn install(&self, plan: &Plan, trust: Option<Remembered>) -> Result<(), KitError> {
        let staged = self.staged();
        remove_directory(&staged)?;
        fsutil::create_private_dir(&staged)?;
        let mut steps = Vec::new();
        for change in plan.changes.iter().filter(|change| change.action.is_change()) {
            let sha256 = match change.action {
                Action::Remove => None,
                _ => {
                    let path = staged.join(steps.len().to_string());
                    fsutil::write_new(&path, &change.bytes, Mode::Private)?;
                    Some(Digest::sha256(&change.bytes).hex().to_owned())
                }
            };
            steps.push(Step { path: change.place.to_string(), sha256 });
        }
        let mut installed = plan.installed.clone();
        installed.trust = trust.or(installed.trust);
        write_json(&journal(&self.host.config), &Journal { steps, installed })?;
        self.complete().map(drop)
    }

    fn staged(&self) -> PathBuf {
        kits(self.host).join("staged")
    }

    /// Ends what the journal says, if there is one.
    fn complete(&self) -> Result<Option<Installed>, KitError> {
        let path = journal(&self.host.config);
        let Some(journal) = read_json::<Journal>(&path)? else { return Ok(None) };
        for (index, step) in journal.steps.iter().enumerate() {
            let place = step.place()?;
            let target = self.host.path(&place);
            let Some(expected) = &step.sha256 else {
                remove(&target, &place)?;
                continue;
            };
            let staged = self.staged().join(index.to_string());
            let is_it = |path: &Path| -> Result<bool, FileError> {
                match fsutil::read_bounded(path, MAX_ENTRY_BYTES as u64) {
                    Err(error) if error.is_not_found() => Ok(false),
                    bytes => Ok(Digest::sha256(&bytes?).hex() == expected),
                }
            };
            if is_it(&staged)? {
                put(&staged, &target, &place)?;
            } else if !is_it(&target)? {
                let problem = "it is not what the journal says".to_owned();
                return Err(KitError::State { path: staged, problem });
            }
        }
        write_json(&state(self.host, &journal.installed.name), &journal.installed)?;
        std::fs::remove_file(&path).map_err(|error| FileError::io("remove", &path, error))?;
        remove_directory(&self.staged())?;
        Ok(Some(journal.installed))
    }
}

/// Puts a staged file in its place. In a trust store every file counts, also one that is being
/// written: there it is renamed. The cache may be on another file system.
fn put(staged: &Path, target: &Path, place: &Place) -> Result<(), KitError> {
    if let Some(directory) = target.parent() {
        fsutil::create_private_dir(directory)?;
    }
    match fsutil::rename(staged, target) {
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::CrossesDevices => {
            if let Place::Certificate { .. } = place {
                return Err(FileError::io("replace", target, source).into());
            }
            let bytes = fsutil::read_bounded(staged, MAX_ENTRY_BYTES as u64)?;
            Ok(fsutil::write_atomic(target, &bytes, Mode::Private)?)
        }
        result => Ok(result?),
    }
}

/// Removes a file, and the trust store it was the last one of: an empty store is an error.
fn remove(path: &Path, place: &Place) -> Result<(), KitError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::io("remove", path, error).into());
        }
        _ => {}
    }
    if let (Place::Certificate { .. }, Some(store)) = (place, path.parent()) {
        // Other files may be in it: that is the one reason why this can fail here.
        let _ = std::fs::remove_dir(store);
    }
    Ok(())
}

fn remove_directory(path: &Path) -> Result<(), KitError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::io("remove", path, error).into())
        }
        _ => Ok(()),
    }
}
