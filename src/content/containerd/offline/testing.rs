//! Makes containerd's files, for tests only.

use std::fs;
use std::path::Path;

use super::super::bolt::testing::{Item, Items, file};
use super::{BLOBS, META_DB};
use crate::image::digest::Digest;

/// A containerd that never ran.
pub(in crate::content::containerd) struct Store {
    v1: Items,
    blobs: Vec<(Digest, Vec<u8>)>,
}

impl Store {
    pub(in crate::content::containerd) fn new(version: i64) -> Self {
        let v1 = items([("version", Item::Bytes(varint(version)))]);
        Self { v1, blobs: Vec::new() }
    }

    /// Records content and keeps its bytes.
    pub(in crate::content::containerd) fn content(
        &mut self,
        namespace: &str,
        bytes: &[u8],
    ) -> Digest {
        let digest = Digest::sha256(bytes);
        self.blobs.push((digest.clone(), bytes.to_vec()));
        let labels = Item::Bucket(items([("containerd.io/x", text("y"))]));
        let size = Item::Bytes(varint(bytes.len().try_into().unwrap()));
        let info = Item::Bucket(items([("labels", labels), ("size", size)]));
        let path = [namespace, "content", "blob"];
        bucket(&mut self.v1, &path).insert(digest.to_string().into_bytes(), info);
        digest
    }

    /// Records an image.
    pub(in crate::content::containerd) fn image(
        &mut self,
        namespace: &str,
        name: &str,
        media_type: &str,
        digest: &str,
        size: i64,
    ) {
        let target = items([
            ("digest", text(digest)),
            ("mediatype", text(media_type)),
            ("size", Item::Bytes(varint(size))),
        ]);
        let target = Item::Bucket(items([("target", Item::Bucket(target))]));
        bucket(&mut self.v1, &[namespace, "images"]).insert(name.as_bytes().to_vec(), target);
    }

    /// Anything at all, at a path below `v1`.
    pub(in crate::content::containerd) fn raw(&mut self, path: &[&str], key: &str, item: Item) {
        bucket(&mut self.v1, path).insert(key.as_bytes().to_vec(), item);
    }

    pub(in crate::content::containerd) fn write(&self, root: &Path) {
        let meta_db = root.join(META_DB);
        fs::create_dir_all(meta_db.parent().unwrap()).unwrap();
        let v1 = items([("v1", Item::Bucket(self.v1.clone()))]);
        crate::fsutil::write_atomic(&meta_db, &file(&v1, 4096), crate::fsutil::Mode::Public)
            .unwrap();
        let blobs = root.join(BLOBS).join("sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (digest, bytes) in &self.blobs {
            let path = blobs.join(digest.hex());
            crate::fsutil::write_atomic(&path, bytes, crate::fsutil::Mode::ReadOnly).unwrap();
        }
    }
}

fn bucket<'a>(root: &'a mut Items, path: &[&str]) -> &'a mut Items {
    path.iter().fold(root, |items, key| {
        let empty = || Item::Bucket(Items::new());
        match items.entry(key.as_bytes().to_vec()).or_insert_with(empty) {
            Item::Bucket(inner) => inner,
            Item::Bytes(_) => panic!("{key} is no bucket"),
        }
    })
}

pub(in crate::content::containerd) fn text(text: &str) -> Item {
    Item::Bytes(text.as_bytes().to_vec())
}

fn items<const N: usize>(rows: [(&str, Item); N]) -> Items {
    rows.into_iter().map(|(key, item)| (key.as_bytes().to_vec(), item)).collect()
}

/// Go's `binary.PutVarint`.
pub(in crate::content::containerd) fn varint(number: i64) -> Vec<u8> {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}
