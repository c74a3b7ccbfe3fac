//! Adding a signature to a layout.
//!
//! First the blobs (config, envelope, manifest), each whole under its digest, then `index.json`:
//! read, one entry inserted behind the last one, every other byte as it was, replaced by a rename.
//! The lock `index.json.lock` makes concurrent writers take turns. A crash before the rename leaves
//! blobs that nothing leads to, never a layout that does not open.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fsutil::{self, FileError, Mode};
use crate::image::descriptor::Descriptor;
use crate::image::digest::{Algorithm, Digest};
use crate::image::manifest::{Index, MAX_BYTES};
use crate::image::media_type;
use crate::store::{Added, NewSignature};

use super::{LayoutError, OciLayout, SIGNATURE_TYPE, SignatureManifest, create_dir};

/// The content of every signature's config.
const EMPTY_CONFIG: &[u8] = b"{}";

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
struct Plain<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
}

impl<'a> Plain<'a> {
    fn new(descriptor: &'a Descriptor) -> Self {
        let Descriptor { media_type, digest, size, .. } = descriptor;
        Self { media_type, digest, size: *size }
    }
}

/// An entry of `index.json`; members in the order notation writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
}

/// Where the entries stand in the bytes of an index.
#[derive(Deserialize)]
struct Positions<'a> {
    #[serde(borrow)]
    manifests: &'a RawValue,
}

impl OciLayout {
    pub(super) fn add_signature(
        &self,
        subject: &Descriptor,
        envelope: &NewSignature,
    ) -> Result<Added, LayoutError> {
        let config = Digest::sha256(EMPTY_CONFIG);
        let layer = Descriptor::of(envelope.media_type, Algorithm::Sha256, &envelope.bytes);
        let is_legacy = self.form == SignatureManifest::Legacy;
        let artifact_type = (!is_legacy).then_some(SIGNATURE_TYPE);
        let manifest = Manifest {
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
        };
        let manifest = to_json(&manifest);
        let descriptor = Descriptor::of(media_type::OCI_MANIFEST, Algorithm::Sha256, &manifest);
        self.put_blob(&config, EMPTY_CONFIG)?;
        self.put_blob(&layer.digest, &envelope.bytes)?;
        self.put_blob(&descriptor.digest, &manifest)?;
        self.append(&Entry {
            media_type: &descriptor.media_type,
            digest: &descriptor.digest,
            size: descriptor.size,
            annotations: &envelope.annotations,
            artifact_type,
        })?;
        let location = format!("{}@{}", self.root.display(), descriptor.digest).into();
        Ok(Added { location, digest: layer.digest })
    }

    fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), LayoutError> {
        let path = self.blob_path(digest);
        // The config is the same for all signatures; writing it anew would cost two fsyncs.
        if fsutil::read_bounded(&path, bytes.len() as u64).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        if let Some(directory) = path.parent() {
            create_dir(directory)?;
        }
        Ok(fsutil::write_atomic(&path, bytes, Mode::ReadOnly)?)
    }

    /// Appends an entry to `index.json`, under the lock.
    fn append(&self, entry: &Entry<'_>) -> Result<(), LayoutError> {
        let _lock = Lock::take(&self.root.join("index.json.lock"))?;
        let path = self.index_path();
        let bytes = fsutil::read_bounded(&path, MAX_BYTES as u64)?;
        let updated = insert(&bytes, &to_json(entry))?;
        if updated.len() > MAX_BYTES {
            return Err(FileError::TooLarge { path, limit: MAX_BYTES as u64 }.into());
        }
        Ok(fsutil::write_atomic(&path, &updated, Mode::Public)?)
    }
}

/// The index with another entry behind the last one; every other byte stays.
fn insert(index: &[u8], entry: &[u8]) -> Result<Vec<u8>, LayoutError> {
    let is_empty = Index::of_layout(index)?.manifests.is_empty();
    let wire: Positions<'_> = serde_json::from_slice(index)
        .map_err(|error| crate::image::manifest::ManifestError::Json(error.into()))?;
    let manifests = wire.manifests.get();
    // The raw value is a part of `index`: its distance is its position.
    let start = manifests.as_ptr().addr() - index.as_ptr().addr();
    let closing = start + manifests.len() - 1;
    let content = index[..closing].trim_ascii_end().len();
    let mut updated = Vec::with_capacity(index.len() + entry.len() + 1);
    updated.extend_from_slice(&index[..content]);
    if !is_empty {
        updated.push(b',');
    }
    updated.extend_from_slice(entry);
    updated.extend_from_slice(&index[content..]);
    Ok(updated)
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts, numbers and maps with text keys are JSON")
}

/// An advisory lock, held until dropped. The file stays: removing it would let two writers lock
/// two files of the same name.
struct Lock {
    _file: File,
}

impl Lock {
    fn take(path: &Path) -> Result<Self, LayoutError> {
        let refused = |source| LayoutError::Lock { path: path.to_owned(), source };
        let file =
            File::options().create(true).truncate(false).write(true).open(path).map_err(refused)?;
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
            (r#"{"schemaVersion":2,"manifests":[]}"#, r#"{"schemaVersion":2,"manifests":[E]}"#),
            (
                r#"{"schemaVersion":2, "manifests" : [ ] ,"x":[1]}"#,
                r#"{"schemaVersion":2, "manifests" : [E ] ,"x":[1]}"#,
            ),
            (
                "{\n  \"schemaVersion\": 2,\n  \"a\": {\"manifests\": []},\n  \"manifests\": [\n    D\n  ],\n  \"z\": \"<\"\n}\n",
                "{\n  \"schemaVersion\": 2,\n  \"a\": {\"manifests\": []},\n  \"manifests\": [\n    D,E\n  ],\n  \"z\": \"<\"\n}\n",
            ),
        ] {
            let entry =
                format!(r#"{{"mediaType":"a/b","digest":"{}","size":1}}"#, Digest::sha256(b"x"));
            let [index, expected] = [index, expected].map(|it| it.replace('D', &entry));
            let updated = insert(index.as_bytes(), b"E").unwrap();
            assert_eq!(String::from_utf8(updated).unwrap(), expected);
        }
        for bad in ["[]", "{}", r#"{"manifests":{}}"#, r#"{"manifests":[],"layers":[]}"#, ""] {
            assert!(insert(bad.as_bytes(), b"E").is_err(), "{bad}");
        }
    }
}
