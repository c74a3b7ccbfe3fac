//! What an import would change on a host, before anything is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::fsutil::{self, FileError};
use crate::image::digest::Digest;
use crate::signature::x509;
use crate::trust::crls::{CrlBundle, MAX_ENTRY_BYTES, NotNewer};

use super::archive::Kit;
use super::document::{KitFile, Place};
use super::install::{self, Installed};
use super::{Host, KitError};

/// The largest file that is compared.
const MAX_BYTES: u64 = MAX_ENTRY_BYTES as u64;

/// What an import would do.
#[derive(Debug)]
pub struct Plan {
    /// Each file, in the order in which it would be done.
    pub changes: Vec<Change>,
    /// What would be remembered.
    pub(super) installed: Installed,
}

/// What would become of a file.
#[derive(Debug)]
pub struct Change {
    /// Which file.
    pub place: Place,
    /// What would become of it.
    pub action: Action,
    /// What that means, for people.
    pub notes: Vec<String>,
    /// Its new bytes, where it is written.
    pub(super) bytes: Vec<u8>,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// There is none yet.
    Add,
    /// There is another one.
    Change,
    /// An earlier kit of that name put it there, and this one has none.
    Remove,
    /// It is there as it is.
    Same,
    /// The host has a newer CRL, or the kit's has no number to tell: it stays.
    KeepNewer,
    /// An earlier kit put it there, but it was changed since or is another kit's, or the host's CRL is
    /// another issuer's: it stays.
    KeepForeign,
}

impl Action {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Same => "same",
            Self::KeepNewer => "keep-newer",
            Self::KeepForeign => "keep-foreign",
        }
    }

    /// Whether something happens.
    #[must_use]
    pub fn is_change(self) -> bool {
        matches!(self, Self::Add | Self::Change | Self::Remove)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether an older kit may replace a newer one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rollback {
    /// No.
    Refuse,
    /// Yes, and another issuer's CRL. CRLs are never replaced by older ones all the same.
    Allow,
}

/// Compares a kit with a host.
///
/// # Errors
/// [`KitError::Rollback`] and [`KitError::SameVersion`]; a file of the host that can't be read.
pub fn plan(host: &Host, kit: &Kit, rollback: Rollback) -> Result<Plan, KitError> {
    let (name, version) = (&kit.document.name, kit.document.version);
    let earlier = install::installed(host, name)?;
    if let (Some(earlier), Rollback::Refuse) = (&earlier, rollback) {
        let name = name.clone();
        if version < earlier.version {
            let installed = earlier.version;
            return Err(KitError::Rollback { name, installed, found: version });
        }
        if version == earlier.version && kit.digest().to_string() != earlier.digest {
            return Err(KitError::SameVersion { name, version });
        }
    }
    let mut changes = Vec::new();
    for file in &kit.files {
        changes.push(compare(host, file, rollback)?);
        if let Some(legacy) = legacy(host, file, rollback)? {
            changes.push(legacy);
        }
    }
    if let Some(earlier) = &earlier {
        removals(host, kit, earlier, &mut changes)?;
    }
    // Between two steps a host has to trust less, not more: CRLs come first, certificates go before
    // others come, and the policies are last.
    changes.sort_by_key(|change| {
        let is_removal = change.action == Action::Remove;
        (
            matches!(change.place, Place::Policy(_) | Place::LegacyPolicy),
            !is_removal,
            change.place.clone(),
        )
    });
    changes.sort_by_key(|change| !matches!(change.place, Place::Crl(_)));
    // What was there before all kits is none's.
    let was_put = |change: &Change| {
        let path = change.place.to_string();
        earlier.as_ref().is_some_and(|earlier| earlier.files.contains_key(&path))
    };
    let put = changes.iter().filter(|change| match change.action {
        _ if change.place == Place::LegacyPolicy => false,
        Action::Add | Action::Change => true,
        Action::Same => was_put(change),
        _ => false,
    });
    let files = put
        .map(|change| (change.place.to_string(), Digest::sha256(&change.bytes).hex().to_owned()));
    let files = files.collect();
    let installed = Installed::new(kit, files, earlier.and_then(|it| it.trust));
    Ok(Plan { changes, installed })
}

fn compare(host: &Host, file: &KitFile, rollback: Rollback) -> Result<Change, KitError> {
    let mut change = Change {
        place: file.place.clone(),
        action: Action::Same,
        notes: Vec::new(),
        bytes: file.bytes.clone(),
    };
    let existing = read(host, &file.place)?;
    change.action = match &existing {
        None => Action::Add,
        Some(existing) if *existing == file.bytes => Action::Same,
        Some(existing) => match (&file.crl, CrlBundle::from_json(existing)) {
            (Some(new), Ok(old)) => match (new.may_replace(&old), rollback) {
                (Ok(()), _) | (Err(NotNewer::OtherIssuer), Rollback::Allow) => Action::Change,
                (Err(NotNewer::OtherIssuer), Rollback::Refuse) => Action::KeepForeign,
                (Err(NotNewer::NoNumber | NotNewer::Older), _) => Action::KeepNewer,
            },
            _ => Action::Change,
        },
    };
    if change.action == Action::Same {
        return Ok(change);
    }
    change.notes = match &file.place {
        Place::Policy(_) | Place::LegacyPolicy => {
            policy_changes(existing.as_deref().unwrap_or(b"{}"), &file.bytes)
        }
        Place::Certificate { .. } => {
            let mut notes = Vec::new();
            notes.extend(existing.iter().flat_map(|old| subjects("-", old)));
            notes.extend(subjects("+", &file.bytes));
            notes
        }
        Place::Crl(_) => {
            let of = |crl: &CrlBundle| {
                format!("{}, issued {}", crl.base.issuer(), crl.base.this_update())
            };
            let old = existing.as_deref().and_then(|old| CrlBundle::from_json(old).ok());
            let old = old.iter().map(|old| format!("- {}", of(old)));
            old.chain(file.crl.iter().map(|new| format!("+ {}", of(new)))).collect()
        }
    };
    Ok(change)
}

/// A host that has the policy for notation 1.x as well must not have two policies.
fn legacy(host: &Host, file: &KitFile, rollback: Rollback) -> Result<Option<Change>, KitError> {
    let is_policy = file.place == Place::Policy(crate::trust::policy::PolicyKind::Oci);
    if !is_policy || read(host, &Place::LegacyPolicy)?.is_none() {
        return Ok(None);
    }
    let copy = KitFile { place: Place::LegacyPolicy, ..file.clone() };
    Ok(Some(Change { notes: Vec::new(), ..compare(host, &copy, rollback)? }))
}

fn removals(
    host: &Host,
    kit: &Kit,
    earlier: &Installed,
    changes: &mut Vec<Change>,
) -> Result<(), KitError> {
    let kept: BTreeSet<&str> = kit.document.files.iter().map(|file| file.path.as_str()).collect();
    let others = install::all(host)?;
    for (path, sha256) in earlier.files.iter().filter(|(path, _)| !kept.contains(path.as_str())) {
        let place = Place::parse(path).ok_or_else(|| KitError::Place { path: path.clone() })?;
        let Some(bytes) = read(host, &place)? else { continue };
        let is_ours = Digest::sha256(&bytes).hex() == sha256;
        let mut others = others.iter().filter(|other| other.name != kit.document.name);
        let action = if is_ours && !others.any(|other| other.files.contains_key(path)) {
            Action::Remove
        } else {
            Action::KeepForeign
        };
        let notes = match place {
            Place::Certificate { .. } => subjects("-", &bytes),
            _ => Vec::new(),
        };
        changes.push(Change { place, action, notes, bytes: Vec::new() });
    }
    Ok(())
}

/// What is there; a link is nothing that could be replaced.
fn read(host: &Host, place: &Place) -> Result<Option<Vec<u8>>, KitError> {
    let path = host.path(place);
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::io("read", &path, error).into()),
        Ok(metadata) if !metadata.is_file() => Err(KitError::NotRegular { path }),
        Ok(_) => Ok(Some(fsutil::read_bounded(&path, MAX_BYTES)?)),
    }
}

fn subjects(sign: &str, bytes: &[u8]) -> Vec<String> {
    let Ok(certificates) = x509::certificates_from_bytes(bytes) else {
        return vec![format!("{sign} no certificates")];
    };
    let describe = |certificate: &x509::Certificate| {
        let fingerprint = crate::image::digest::hex(&certificate.sha256_fingerprint());
        format!("{sign} {} (sha256 {fingerprint})", certificate.subject())
    };
    certificates.iter().map(describe).collect()
}

/// The differences of two policies: by the names of statements, and then by member.
fn policy_changes(old: &[u8], new: &[u8]) -> Vec<String> {
    let statements = |bytes: &[u8]| -> BTreeMap<String, Value> {
        let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let list = document["trustPolicies"].as_array().cloned().unwrap_or_default();
        let named = list.into_iter().map(|statement| {
            (statement["name"].as_str().unwrap_or_default().to_owned(), statement)
        });
        named.collect()
    };
    let (old, new) = (statements(old), statements(new));
    let mut lines = Vec::new();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old != new => {
                lines.push(format!("~ statement {name:?}"));
                lines.extend(members(old, new).into_iter().map(|line| format!("    {line}")));
            }
            (None, Some(new)) => {
                lines.push(format!("+ statement {name:?}"));
                let nothing = Value::Object(serde_json::Map::new());
                lines.extend(members(&nothing, new).into_iter().map(|line| format!("    {line}")));
            }
            (Some(_), None) => lines.push(format!("- statement {name:?}")),
            _ => {}
        }
    }
    lines
}

fn members(old: &Value, new: &Value) -> Vec<String> {
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().map(|it| it.keys().cloned().collect()).unwrap_or_default()
    };
    let all: BTreeSet<String> = keys(old).into_iter().chain(keys(new)).collect();
    let changed = all.into_iter().filter(|key| key != "name" && old.get(key) != new.get(key));
    changed
        .map(|key| match (old.get(&key), new.get(&key)) {
            (Some(old), Some(new)) => format!("{key}: {old} -> {new}"),
            (None, Some(new)) => format!("{key}: {new}"),
            (Some(old), None) => format!("{key}: {old} -> nothing"),
            (None, None) => key,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_compared_by_statement() {
        let old = br#"{"trustPolicies":[{"name":"a","trustStores":["ca:x"],"x":1},{"name":"b"}]}"#;
        let new =
            br#"{"trustPolicies":[{"name":"c","y":["*"]},{"name":"a","trustStores":["ca:z"]}]}"#;
        assert_eq!(
            policy_changes(old, new),
            [
                "~ statement \"a\"",
                "    trustStores: [\"ca:x\"] -> [\"ca:z\"]",
                "    x: 1 -> nothing",
                "- statement \"b\"",
                "+ statement \"c\"",
                "    y: [\"*\"]",
            ]
        );
        assert_eq!(policy_changes(old, old), Vec::<String>::new());
    }
}
