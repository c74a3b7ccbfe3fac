//! Layouts inside an image archive: an OCI archive, or what `docker save` wrote.
//!
//! ```text
//! index.json, blobs/            the archive's own layout, if it has one
//! signatures/oci-layout         another layout, for manifests that the archive does not hold
//! signatures/index.json         entries: those manifests, their signatures
//! signatures/blobs/<alg>/<hex>  those manifests, their configs, signatures
//! ```
//!
//! **Where a signature goes.** What `index.json` leads to is signed there, as in any layout: OCI
//! archives, and what containerd's exporter wrote. The entry tells engines what it is
//! (`io.containerd.manifest.subject`, spec/containerd.md §7.4).
//!
//! A graph-driver engine pushes a manifest that its archive does not hold, and whose compressed
//! layers it does not hold either. That manifest can't be an entry of `index.json`: docker with the
//! containerd store makes an image record of every entry, and would keep one of a manifest without
//! layers (seen with 26.1.5 and 28.5.2), podman and skopeo refuse two images where there was one. An
//! archive without a layout (docker before 25) must not become one either: containerd would import
//! that in place of `manifest.json`. So these lie in a layout of their own in a directory that no
//! engine looks into. It is whole as far as signatures go: unpacked, `notation verify --oci-layout
//! signatures@DIGEST` finds all it needs, and `oras cp -r` brings the signatures to a registry that
//! has the image.
//!
//! **How it is written.** The archive is replaced by a new one: a copy of everything that stays, and
//! behind it what is new (`content::archive::amend`). The lock on the file makes writers take turns,
//! whoever waited reads it anew; until the rename the old archive is there, untouched. What a killed
//! writer leaves beside it, the next one removes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::content::archive::{Archive, ArchiveError, Jobs, NoEncoders, Source, Work, amend};
use crate::content::limits::{DOCUMENT_BYTES, Limits};
use crate::fsutil::{self, FileError, Locked};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::manifest::MAX_BYTES;
use crate::progress::Progress;

use super::discover::Signed;
use super::files::{Files, blob_name};
use super::write::{Plain, Signature, cut, insert};
use super::{LayoutError, OciLayout, SIGNATURE_TYPE};

/// The archive's own layout.
const OWN: &str = "";

/// The layout for what the archive does not hold.
pub(super) const SIGNATURES: &str = "signatures/";

/// Tells engines that an entry is no image (docker since 29.1).
const SUBJECT: &str = "io.containerd.manifest.subject";

/// How much of an archive is copied at once.
const PIECE: usize = 16 << 20;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

const INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// Documents that are carried along with an image: the manifest that is signed, those below it if it
/// is an index, and the config.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    documents: BTreeMap<Digest, Vec<u8>>,
}

/// An archive as it was when it was read.
#[derive(Debug)]
pub(super) struct ArchiveFiles {
    path: PathBuf,
    archive: Archive,
    limits: Limits,
    parts: Vec<&'static str>,
    signatures: OnceLock<Arc<[Signed]>>,
}

impl ArchiveFiles {
    pub(super) fn read(path: &Path, source: Source, limits: Limits) -> Result<Self, LayoutError> {
        let encoders = &NoEncoders;
        let threads = NonZero::<usize>::MIN;
        let jobs = Jobs { work: Work::Nothing, encoders, threads, memo: None, progress: &() };
        let archive = Archive::read(source, &jobs, limits).map_err(|error| refused(path, error))?;
        let has = |part: &&str| {
            ["oci-layout", "index.json"]
                .iter()
                .all(|name| archive.get(&format!("{part}{name}")).is_some())
        };
        let parts: Vec<_> = [OWN, SIGNATURES].into_iter().filter(has).collect();
        if parts.is_empty() && archive.get("manifest.json").is_none() {
            return Err(LayoutError::NotALayout { path: path.to_owned() });
        }
        let (path, signatures) = (path.to_owned(), OnceLock::new());
        Ok(Self { path, archive, limits, parts, signatures })
    }

    pub(super) fn parts(&self) -> &[&'static str] {
        &self.parts
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The signatures in it, once they were looked for.
    pub(super) fn signatures(&self) -> &OnceLock<Arc<[Signed]>> {
        &self.signatures
    }

    pub(super) fn member(&self, name: &str, limit: u64) -> Result<Vec<u8>, LayoutError> {
        let path = || self.path.join(name);
        let found = match self.archive.resolve("member", name) {
            Err(ArchiveError::Missing { .. }) => {
                let missing = std::io::ErrorKind::NotFound.into();
                return Err(FileError::io("open", &path(), missing).into());
            }
            found => found.map_err(|error| refused(&self.path, error))?,
        };
        let reader = self.archive.open(found).map_err(|error| refused(&self.path, error))?;
        match fsutil::read_to_limit(reader, limit) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(FileError::TooLarge { path: path(), limit }.into()),
            Err(source) => Err(FileError::io("read", &path(), source).into()),
        }
    }

    /// Adds a signature.
    pub(super) fn add(
        &self,
        subject: &Descriptor,
        signature: &Signature<'_>,
        carried: &Carried,
        progress: &dyn Progress,
    ) -> Result<(), LayoutError> {
        self.update(progress, |layout, changes| {
            let mut entry = signature.entry.clone();
            let has_own = changes.now.parts.contains(&OWN);
            let part = if has_own && layout.leads_to(OWN, subject)? { OWN } else { SIGNATURES };
            if part == OWN {
                entry.annotations.insert(SUBJECT.to_owned(), subject.digest.to_string());
                entry.artifact_type = Some(SIGNATURE_TYPE);
            } else if !changes.now.parts.contains(&part) {
                changes.members.insert(format!("{part}oci-layout"), LAYOUT.to_vec());
                changes.members.insert(format!("{part}index.json"), INDEX.to_vec());
                changes.carry(part, subject, carried)?;
            } else if !layout.leads_to(part, subject)? {
                changes.carry(part, subject, carried)?;
            }
            for (digest, bytes) in signature.blobs {
                changes.put_blob(part, digest, bytes);
            }
            changes.index(part, |index| insert(index, &entry))
        })
    }

    /// Takes the entries of a digest out.
    pub(super) fn remove(
        &self,
        digest: &Digest,
        progress: &dyn Progress,
    ) -> Result<(), LayoutError> {
        self.update(progress, |_, changes| {
            let now = changes.now.clone();
            for part in now.parts() {
                let index = changes.read_index(part)?;
                if let Some(shorter) = cut(&index, digest)? {
                    changes.index(part, |_| Ok(shorter))?;
                }
            }
            match changes.members.is_empty() {
                true => Err(LayoutError::NoEntry { digest: digest.clone() }),
                false => Ok(()),
            }
        })
    }

    /// Replaces the archive by one with changed members, under the lock.
    fn update(
        &self,
        progress: &dyn Progress,
        change: impl FnOnce(&OciLayout, &mut Changes) -> Result<(), LayoutError>,
    ) -> Result<(), LayoutError> {
        let locked = Locked::open(&self.path)?;
        let source = locked.file().try_clone();
        let source = source.map_err(|source| FileError::io("open", &self.path, source))?;
        let now = Arc::new(Self::read(&self.path, Source::File(source), self.limits)?);
        let layout = OciLayout::of(Files::Archive(now.clone()));
        let mut changes = Changes { now, members: BTreeMap::new() };
        change(&layout, &mut changes)?;
        let amended = amend(locked.file(), self.limits, &changes.members);
        let amended = amended.map_err(|error| refused(&self.path, error))?;
        let mut new = locked.replacement()?;
        let size = amended.kept.iter().map(|part| part.end - part.start).sum();
        progress.begin("archives", 1, size);
        let step = progress.step(&self.path.to_string_lossy(), Some(size));
        for part in amended.kept {
            for start in part.clone().step_by(PIECE) {
                let piece = start..part.end.min(start + PIECE as u64);
                let length = piece.end - piece.start;
                new.copy(locked.file(), piece)?;
                step.advance(length);
            }
        }
        new.write_all(&amended.tail)
            .map_err(|source| FileError::io("write", &self.path, source))?;
        Ok(new.commit()?)
    }
}

fn refused(path: &Path, source: ArchiveError) -> LayoutError {
    LayoutError::Archive { path: path.to_owned(), source: Box::new(source) }
}

/// Members that are new or take the place of what is there now.
struct Changes {
    now: Arc<ArchiveFiles>,
    members: BTreeMap<String, Vec<u8>>,
}

impl Changes {
    /// Puts what is signed into a part, and of what is below it as much as is at hand.
    fn carry(
        &mut self,
        part: &str,
        subject: &Descriptor,
        carried: &Carried,
    ) -> Result<(), LayoutError> {
        let documents = carried.documents.values();
        let algorithm = subject.digest.algorithm();
        let target = documents.into_iter().find(|it| Digest::of(algorithm, it) == subject.digest);
        let Some(target) = target else {
            let (path, digest) = (self.now.path.clone(), subject.digest.clone());
            return Err(LayoutError::NotCarried { path, digest });
        };
        self.put_blob(part, &subject.digest, target);
        for (digest, bytes) in &carried.documents {
            self.put_blob(part, digest, bytes);
        }
        self.index(part, |index| insert(index, &Plain::new(subject)))
    }

    fn put_blob(&mut self, part: &str, digest: &Digest, bytes: &[u8]) {
        let name = format!("{part}{}", blob_name(digest));
        // An altered one is replaced.
        let is_there = self.now.member(&name, bytes.len() as u64).is_ok_and(|it| it == bytes);
        if !is_there {
            self.members.insert(name, bytes.to_vec());
        }
    }

    fn read_index(&self, part: &str) -> Result<Vec<u8>, LayoutError> {
        let name = format!("{part}index.json");
        match self.members.get(&name) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.now.member(&name, MAX_BYTES as u64),
        }
    }

    fn index(
        &mut self,
        part: &str,
        change: impl FnOnce(&[u8]) -> Result<Vec<u8>, LayoutError>,
    ) -> Result<(), LayoutError> {
        let name = format!("{part}index.json");
        let updated = change(&self.read_index(part)?)?;
        if updated.len() > MAX_BYTES {
            let (path, limit) = (self.now.path.join(name), MAX_BYTES as u64);
            return Err(FileError::TooLarge { path, limit }.into());
        }
        self.members.insert(name, updated);
        Ok(())
    }
}

impl OciLayout {
    /// The same layout, which puts `documents`, and the `members` of the archive of these names, into
    /// the archive with the first signature of a manifest that it does not hold.
    ///
    /// # Errors
    /// [`LayoutError`] when there is no such member.
    pub fn carrying<'a>(
        mut self,
        documents: impl IntoIterator<Item = Vec<u8>>,
        members: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, LayoutError> {
        let mut documents: Vec<_> = documents.into_iter().collect();
        for member in members {
            documents.push(self.files.read(member, DOCUMENT_BYTES as u64)?);
        }
        let named = documents.into_iter().map(|bytes| (Digest::sha256(&bytes), bytes));
        self.carried = Carried { documents: named.collect() };
        Ok(self)
    }
}
