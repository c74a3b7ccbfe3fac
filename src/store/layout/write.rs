//! Adding a signature to a layout, and removing one.
//!
//! In a directory: first the blobs (config, envelope, manifest), each whole under its digest, then `index.json`:
//! read, one entry inserted behind the last one, every other byte as it was, replaced by a rename.
//! The lock `index.json.lock` makes concurrent writers take turns. A crash before the rename leaves
//! blobs that nothing leads to, never a layout that does not open. Removing takes the entry out and
//! leaves the blobs: another writer may just have found that it need not write them. What is done in
//! an archive instead is in `archive`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fsutil::{self, FileError, Mode};
use crate::image::descriptor::Descriptor;
use crate::image::digest::{Algorithm, Digest};
use crate::image::manifest::{Index, MAX_BYTES, ManifestError};
use crate::image::media_type;
use crate::store::{Added, NewSignature};

use super::files::Files;
use super::{LayoutError, OciLayout, SIGNATURE_TYPE, SignatureManifest, create_dir};

/// The content of every signature's config.
pub(in crate::store) const EMPTY_CONFIG: &[u8] = b"{}";

/// Media type of the empty config (form B).
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// [`EMPTY_CONFIG`] in base64.
const EMPTY_DATA: &str = "e30=";

/// A signature manifest; members in the order notation writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    config: Config<'a>,
    layers: [Plain<'a>; 1],
    subject: Plain<'a>,
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(rename = "mediaType")]
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
}

/// Media type, digest and size.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plain<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
}

impl<'a> Plain<'a> {
    pub(super) fn new(descriptor: &'a Descriptor) -> Self {
        let Descriptor { media_type, digest, size, .. } = descriptor;
        Self { media_type, digest, size: *size }
    }
}

/// An entry of `index.json`; members in the order notation writes them.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    pub(super) media_type: &'a str,
    pub(super) digest: &'a Digest,
    pub(super) size: u64,
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<&'a str>,
}

/// Where the entries stand in the bytes of an index.
#[derive(Deserialize)]
struct Positions<'a> {
    #[serde(borrow)]
    manifests: &'a RawValue,
}

/// A signature manifest and what it names.
pub(in crate::store) struct SignatureDocument {
    /// Its bytes.
    pub(in crate::store) manifest: Vec<u8>,
    /// The digest of its config, [`EMPTY_CONFIG`].
    pub(in crate::store) config: Digest,
    /// Its only layer.
    pub(in crate::store) envelope: Descriptor,
    artifact_type: Option<&'static str>,
}

impl SignatureDocument {
    pub(in crate::store) fn new(
        subject: &Descriptor,
        envelope: &NewSignature,
        form: SignatureManifest,
    ) -> Self {
        let config = Digest::sha256(EMPTY_CONFIG);
        let layer = Descriptor::of(envelope.media_type, Algorithm::Sha256, &envelope.bytes);
        let is_legacy = form == SignatureManifest::Legacy;
        let artifact_type = (!is_legacy).then_some(SIGNATURE_TYPE);
        let manifest = to_json(&Manifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST,
            artifact_type,
            config: Config {
                media_type: if is_legacy { SIGNATURE_TYPE } else { EMPTY_TYPE },
                digest: &config,
                size: EMPTY_CONFIG.len() as u64,
                data: (!is_legacy).then_some(EMPTY_DATA),
            },
            layers: [Plain::new(&layer)],
            subject: Plain::new(subject),
            annotations: &envelope.annotations,
        });
        Self { manifest, config, envelope: layer, artifact_type }
    }
}

impl OciLayout {
    pub(super) fn add_signature(
        &self,
        subject: &Descriptor,
        envelope: &NewSignature,
    ) -> Result<Added, LayoutError> {
        let SignatureDocument { manifest, config, envelope: layer, artifact_type } =
            SignatureDocument::new(subject, envelope, self.form);
        let descriptor = Descriptor::of(media_type::OCI_MANIFEST, Algorithm::Sha256, &manifest);
        let signature = Signature {
            blobs: [
                (&config, EMPTY_CONFIG),
                (&layer.digest, &envelope.bytes),
                (&descriptor.digest, &manifest),
            ],
            entry: Entry {
                media_type: &descriptor.media_type,
                digest: &descriptor.digest,
                size: descriptor.size,
                annotations: envelope.annotations.clone(),
                artifact_type,
            },
        };
        match &self.files {
            Files::Archive(archive) => {
                archive.add(subject, &signature, &self.carried, &*self.progress)?;
            }
            Files::Directory(root) => {
                let missing = self.missing(root, &signature.blobs)?;
                update(root, &missing, |index| insert(index, &signature.entry))?;
            }
        }
        let location = format!("{}@{}", self.root().display(), descriptor.digest).into();
        Ok(Added { location, digest: layer.digest })
    }

    /// The blobs that are not there yet, and where they go. All have SHA-256 digests, so one directory.
    fn missing<'a>(
        &self,
        root: &Path,
        blobs: &[(&Digest, &'a [u8])],
    ) -> Result<Vec<(PathBuf, &'a [u8])>, LayoutError> {
        create_dir(&root.join("blobs").join(Algorithm::Sha256.name()))?;
        let files = blobs.iter().map(|(digest, bytes)| (self.blob_path(digest), *bytes));
        // The config is the same for all signatures; writing it anew would cost an fsync.
        let missing = files.filter(|(path, bytes)| {
            !fsutil::read_regular(path, bytes.len() as u64).is_ok_and(|found| found == *bytes)
        });
        Ok(missing.collect())
    }

    /// Takes the entries of a digest out of `index.json`.
    pub(super) fn remove_entry(&self, digest: &Digest) -> Result<(), LayoutError> {
        match &self.files {
            Files::Archive(archive) => archive.remove(digest, &*self.progress),
            Files::Directory(root) => update(root, &[], |index| {
                let shorter = cut(index, digest)?;
                shorter.ok_or_else(|| LayoutError::NoEntry { digest: digest.clone() })
            }),
        }
    }
}

/// What is written of a signature: blobs, the manifest last, and the entry that leads to them.
pub(super) struct Signature<'a> {
    pub(super) blobs: [(&'a Digest, &'a [u8]); 3],
    pub(super) entry: Entry<'a>,
}

/// Writes blobs and replaces the `index.json` of a directory, under the lock.
fn update(
    root: &Path,
    blobs: &[(PathBuf, &[u8])],
    change: impl FnOnce(&[u8]) -> Result<Vec<u8>, LayoutError>,
) -> Result<(), LayoutError> {
    let _lock = Lock::take(&root.join("index.json.lock"))?;
    let path = root.join("index.json");
    let bytes = fsutil::read_regular(&path, MAX_BYTES as u64)?;
    let updated = change(&bytes)?;
    if updated.len() > MAX_BYTES {
        return Err(FileError::TooLarge { path, limit: MAX_BYTES as u64 }.into());
    }
    let blobs = blobs.iter().map(|(path, bytes)| (&**path, *bytes, Mode::ReadOnly));
    let files: Vec<_> = blobs.chain([(&*path, &*updated, Mode::Public)]).collect();
    Ok(fsutil::write_in_order(&files)?)
}

/// The index with another entry behind the last one; every other byte stays.
pub(super) fn insert(index: &[u8], entry: &impl Serialize) -> Result<Vec<u8>, LayoutError> {
    let entry = to_json(entry);
    let is_empty = Index::of_layout(index)?.manifests.is_empty();
    let closing = span(index, positions(index)?.manifests).end - 1;
    let content = index[..closing].trim_ascii_end().len();
    let mut updated = Vec::with_capacity(index.len() + entry.len() + 1);
    updated.extend_from_slice(&index[..content]);
    if !is_empty {
        updated.push(b',');
    }
    updated.extend_from_slice(&entry);
    updated.extend_from_slice(&index[content..]);
    Ok(updated)
}

/// The index without the entries of a digest, each with one comma beside it; every other byte stays.
/// Nothing when there is none.
pub(super) fn cut(index: &[u8], digest: &Digest) -> Result<Option<Vec<u8>>, LayoutError> {
    let entries = Index::of_layout(index)?.manifests;
    let raw: Vec<&RawValue> = from_json(positions(index)?.manifests.get().as_bytes())?;
    let spans: Vec<_> = raw.into_iter().map(|entry| span(index, entry)).collect();
    let goes = |at: usize| entries.get(at).is_some_and(|entry| entry.digest == *digest);
    let mut shorter = Vec::with_capacity(index.len());
    let mut copied = 0;
    // Those in front of the first one that stays take the comma behind them with them.
    let leading = (0..spans.len()).take_while(|at| goes(*at)).count();
    if let (1.., Some(first)) = (leading, spans.first()) {
        shorter.extend_from_slice(&index[..first.start]);
        copied = spans.get(leading).map_or(spans[leading - 1].end, |stays| stays.start);
    }
    for at in (leading + 1..spans.len()).filter(|at| goes(*at)) {
        shorter.extend_from_slice(&index[copied..spans[at - 1].end]);
        copied = spans[at].end;
    }
    shorter.extend_from_slice(&index[copied..]);
    Ok((shorter.len() != index.len()).then_some(shorter))
}

fn positions(index: &[u8]) -> Result<Positions<'_>, LayoutError> {
    from_json(index)
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, LayoutError> {
    Ok(serde_json::from_slice(bytes).map_err(|error| ManifestError::Json(error.into()))?)
}

/// Where a raw value stands in the bytes it is a part of.
fn span(whole: &[u8], part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.get().len()
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts, numbers and maps with text keys are JSON")
}

/// `O_NOFOLLOW | O_NONBLOCK`.
#[cfg(unix)]
#[expect(clippy::cast_possible_wrap, reason = "flags are bits")]
const LOCK_FLAGS: i32 =
    rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;

/// An advisory lock, held until dropped. The file stays: removing it would let two writers lock
/// two files of the same name.
struct Lock {
    _file: File,
}

impl Lock {
    fn take(path: &Path) -> Result<Self, LayoutError> {
        let refused = |source| LayoutError::Lock { path: path.to_owned(), source };
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        // Whoever made the layout must not have other files made, or this one wait for a reader.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, LOCK_FLAGS);
        let file = options.open(path).map_err(refused)?;
        if !file.metadata().map_err(refused)?.is_file() {
            return Err(refused(io::Error::other("it is no regular file")));
        }
        #[cfg(unix)]
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| refused(error.into()))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_inserted_and_every_other_byte_stays() {
        for (index, expected) in [
            (r#"{"schemaVersion":2,"manifests":[]}"#, r#"{"schemaVersion":2,"manifests":[7]}"#),
            (
                r#"{"schemaVersion":2, "manifests" : [ ] ,"x":[1]}"#,
                r#"{"schemaVersion":2, "manifests" : [7 ] ,"x":[1]}"#,
            ),
            (
                "{\n  \"schemaVersion\": 2,\n  \"a\": {\"manifests\": []},\n  \"manifests\": [\n    D\n  ],\n  \"z\": \"<\"\n}\n",
                "{\n  \"schemaVersion\": 2,\n  \"a\": {\"manifests\": []},\n  \"manifests\": [\n    D,7\n  ],\n  \"z\": \"<\"\n}\n",
            ),
        ] {
            let entry =
                format!(r#"{{"mediaType":"a/b","digest":"{}","size":1}}"#, Digest::sha256(b"x"));
            let [index, expected] = [index, expected].map(|it| it.replace('D', &entry));
            let updated = insert(index.as_bytes(), &7).unwrap();
            assert_eq!(String::from_utf8(updated).unwrap(), expected);
        }
        for bad in ["[]", "{}", r#"{"manifests":{}}"#, r#"{"manifests":[],"layers":[]}"#, ""] {
            assert!(insert(bad.as_bytes(), &7).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_entry_is_cut_out_and_every_other_byte_stays() {
        let entry = |content: &[u8]| {
            let digest = Digest::sha256(content);
            format!(r#"{{"mediaType":"a/b","digest":"{digest}", "size":1}}"#)
        };
        let [x, y, z] = [entry(b"x"), entry(b"y"), entry(b"z")];
        for (index, expected) in [
            ("[X]", "[]"),
            ("[ X ]", "[  ]"),
            ("[X,Y]", "[Y]"),
            ("[Y,X]", "[Y]"),
            ("[Y , X ,Z]", "[Y ,Z]"),
            ("[ X\n,\n Y]", "[ Y]"),
            ("[X,X]", "[]"),
            ("[X,X , Y]", "[Y]"),
            ("[X,Y,X,Z,X]", "[Y,Z]"),
        ] {
            let [index, expected] = [index, expected].map(|it| {
                let entries = it.replace('X', &x).replace('Y', &y).replace('Z', &z);
                format!("{{\"schemaVersion\":2,  \"manifests\": {entries},\"a\":[1]}}\n")
            });
            let shorter = cut(index.as_bytes(), &Digest::sha256(b"x")).unwrap().unwrap();
            assert_eq!(String::from_utf8(shorter).unwrap(), expected);
            assert_eq!(cut(index.as_bytes(), &Digest::sha256(b"w")).unwrap(), None);
        }
    }
}
