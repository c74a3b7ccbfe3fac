//! The buckets of `meta.db` (spec/containerd.md §3.1):
//!
//! ```text
//! v1/version                          varint: 3 (containerd 1.6, 1.7), 4 (2.x)
//! v1/<namespace>/images/<name>/       target/{digest, mediatype, size}, labels/, annotations/
//! v1/<namespace>/content/blob/<digest>/   size, labels/
//! ```
//!
//! Numbers are Go's varints: zig-zag, seven bits a byte.

use std::io::{Read, Seek};

use super::super::bolt::{BoltError, Bucket, Snapshot, Value};
use super::super::{BlobInfo, ImageRecord, Labels, Namespace};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;

/// Most image records of a namespace. Nodes have some thousand.
const MAX_IMAGES: usize = 1_000_000;
/// Most blobs of a namespace.
const MAX_BLOBS: usize = 1_000_000;
/// Most labels of one record; containerd's limit for each is 4096 bytes.
const MAX_LABELS: usize = 100_000;

/// What a version of `meta.db` says.
pub(super) struct Metadata<'s, 'r, R> {
    pub(super) snapshot: &'s mut Snapshot<'r, R>,
}

/// Why `meta.db` can't be understood.
#[derive(Debug)]
pub(super) enum SchemaError {
    Bolt(BoltError),
    Record { what: String, problem: &'static str },
}

impl From<BoltError> for SchemaError {
    fn from(error: BoltError) -> Self {
        Self::Bolt(error)
    }
}

impl<R: Read + Seek> Metadata<'_, '_, R> {
    /// The schema version.
    pub(super) fn version(&mut self) -> Result<Option<i64>, SchemaError> {
        let what = || "the schema version".to_owned();
        let Some(v1) = self.below(&[b"v1"])? else { return Ok(None) };
        let Some(bytes) = self.snapshot.bytes(&v1, b"version")? else { return Ok(None) };
        varint(&bytes).map(Some).ok_or_else(|| bad(what(), NO_NUMBER))
    }

    /// The namespaces: every bucket in `v1`.
    pub(super) fn namespaces(&mut self) -> Result<Vec<Namespace>, SchemaError> {
        let mut namespaces = Vec::new();
        let Some(v1) = self.below(&[b"v1"])? else { return Ok(namespaces) };
        self.snapshot.scan(&v1, &mut |_, key, value| {
            if let Value::Bucket(_) = value {
                let name = text(key).and_then(|name| name.parse().ok());
                let what = || format!("the namespace {:?}", String::from_utf8_lossy(key));
                namespaces.push(name.ok_or_else(|| bad(what(), "has no legal name"))?);
            }
            Ok::<_, SchemaError>(())
        })?;
        Ok(namespaces)
    }

    pub(super) fn image(
        &mut self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<ImageRecord>, SchemaError> {
        let path = [b"v1", namespace.as_str().as_bytes(), b"images", name.as_bytes()];
        match self.below(&path)? {
            Some(bucket) => image(self.snapshot, &bucket, name).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn images(
        &mut self,
        namespace: &Namespace,
    ) -> Result<Vec<ImageRecord>, SchemaError> {
        let mut images = Vec::new();
        let path: [&[u8]; 3] = [b"v1", namespace.as_str().as_bytes(), b"images"];
        let Some(bucket) = self.below(&path)? else { return Ok(images) };
        self.snapshot.scan(&bucket, &mut |snapshot, key, value| {
            let what = || format!("the image {:?}", String::from_utf8_lossy(key));
            let name = text(key).ok_or_else(|| bad(what(), "has a name that is not UTF-8"))?;
            let Value::Bucket(inner) = value else { return Err(bad(what(), "is no bucket")) };
            if images.len() == MAX_IMAGES {
                return Err(bad(format!("namespace {namespace}"), "has more than 1000000 images"));
            }
            images.push(image(snapshot, &inner, name)?);
            Ok(())
        })?;
        Ok(images)
    }

    pub(super) fn blob(
        &mut self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, SchemaError> {
        let key = digest.to_string();
        let path = [b"v1", namespace.as_str().as_bytes(), b"content", b"blob", key.as_bytes()];
        let Some(bucket) = self.below(&path)? else { return Ok(None) };
        blob(self.snapshot, &bucket, &key).map(Some)
    }

    pub(super) fn blobs(
        &mut self,
        namespace: &Namespace,
    ) -> Result<Vec<(Digest, BlobInfo)>, SchemaError> {
        let mut blobs = Vec::new();
        let path: [&[u8]; 4] = [b"v1", namespace.as_str().as_bytes(), b"content", b"blob"];
        let Some(bucket) = self.below(&path)? else { return Ok(blobs) };
        self.snapshot.scan(&bucket, &mut |snapshot, key, value| {
            let what = || format!("the content {:?}", String::from_utf8_lossy(key));
            let digest = text(key).and_then(|key| key.parse::<Digest>().ok());
            let digest = digest.ok_or_else(|| bad(what(), "has no legal digest"))?;
            let Value::Bucket(inner) = value else { return Err(bad(what(), "is no bucket")) };
            if blobs.len() == MAX_BLOBS {
                return Err(bad(format!("namespace {namespace}"), "has more than 1000000 blobs"));
            }
            let info = blob(snapshot, &inner, &digest.to_string())?;
            blobs.push((digest, info));
            Ok(())
        })?;
        Ok(blobs)
    }

    fn below(&mut self, path: &[&[u8]]) -> Result<Option<Bucket>, SchemaError> {
        let root = self.snapshot.root();
        // bolt has no empty keys.
        if path.iter().any(|key| key.is_empty()) {
            return Ok(None);
        }
        Ok(self.snapshot.bucket(&root, path)?)
    }
}

fn image<R: Read + Seek>(
    snapshot: &mut Snapshot<'_, R>,
    bucket: &Bucket,
    name: &str,
) -> Result<ImageRecord, SchemaError> {
    let what = format!("the image {name:?}");
    let target = snapshot.bucket(bucket, &[b"target"])?;
    let target = target.ok_or_else(|| bad(what.clone(), "has no target"))?;
    let mut string = |key: &[u8]| -> Result<Option<String>, SchemaError> {
        match snapshot.bytes(&target, key)? {
            Some(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| bad(what.clone(), "has a target that is not UTF-8")),
            None => Ok(None),
        }
    };
    let digest = string(b"digest")?.and_then(|digest| digest.parse().ok());
    let digest: Digest =
        digest.ok_or_else(|| bad(what.clone(), "has no legal digest as its target"))?;
    let media_type = string(b"mediatype")?.unwrap_or_default();
    Ok(ImageRecord {
        name: name.to_owned(),
        target: Descriptor::new(media_type, digest, size(snapshot, &target, &what)?),
        labels: labels(snapshot, bucket, &what)?,
    })
}

fn blob<R: Read + Seek>(
    snapshot: &mut Snapshot<'_, R>,
    bucket: &Bucket,
    digest: &str,
) -> Result<BlobInfo, SchemaError> {
    let what = format!("the content {digest}");
    let size = size(snapshot, bucket, &what)?;
    Ok(BlobInfo { size, labels: labels(snapshot, bucket, &what)? })
}

const NO_NUMBER: &str = "is no number";

fn size<R: Read + Seek>(
    snapshot: &mut Snapshot<'_, R>,
    bucket: &Bucket,
    what: &str,
) -> Result<u64, SchemaError> {
    let bytes = snapshot.bytes(bucket, b"size")?;
    let size = bytes.and_then(|bytes| varint(&bytes)).and_then(|size| u64::try_from(size).ok());
    size.ok_or_else(|| bad(what.to_owned(), "has no legal size"))
}

fn labels<R: Read + Seek>(
    snapshot: &mut Snapshot<'_, R>,
    bucket: &Bucket,
    what: &str,
) -> Result<Labels, SchemaError> {
    let mut labels = Labels::new();
    let Some(bucket) = snapshot.bucket(bucket, &[b"labels"])? else { return Ok(labels) };
    snapshot.scan(&bucket, &mut |_, key, value| {
        let malformed = || bad(what.to_owned(), "has labels that are no texts");
        let Value::Bytes(value) = value else { return Err(malformed()) };
        let key = text(key).ok_or_else(malformed)?.to_owned();
        if labels.len() == MAX_LABELS {
            return Err(bad(what.to_owned(), "has more than 100000 labels"));
        }
        labels.insert(key, String::from_utf8(value).map_err(|_| malformed())?);
        Ok(())
    })?;
    Ok(labels)
}

fn bad(what: String, problem: &'static str) -> SchemaError {
    SchemaError::Record { what, problem }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Go's `binary.Varint`, all of `bytes`, in its shortest form or not.
fn varint(bytes: &[u8]) -> Option<i64> {
    let mut unsigned = 0_u64;
    for (at, byte) in bytes.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = u32::try_from(at).ok()?.checked_mul(7)?;
        // The tenth byte has room for one bit.
        if shift > 63 || (shift == 63 && bits > 1) {
            return None;
        }
        unsigned |= bits << shift;
        let is_last = at + 1 == bytes.len();
        match (byte & 0x80 == 0, is_last) {
            (true, true) => {
                let half = i64::try_from(unsigned >> 1).ok()?;
                return Some(if unsigned & 1 == 0 { half } else { !half });
            }
            (false, false) => {}
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::varint;

    /// Go: `binary.PutVarint`.
    #[test]
    fn varints() {
        for (bytes, number) in [
            (&[0][..], Some(0)),
            (&[6], Some(3)),
            (&[1], Some(-1)),
            (&[3], Some(-2)),
            (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some(i64::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some(i64::MIN)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], None),
            (&[0x80], None),
            (&[], None),
            (&[0, 0], None),
            (&[0x80; 11], None),
        ] {
            assert_eq!(varint(bytes), number, "{bytes:x?}");
        }
    }
}
