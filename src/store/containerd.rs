//! Signatures beside the image in containerd (spec/containerd.md §7).
//!
//! ```text
//! subject             label gc.ref.content.referrer.sha256.<first 12 of the manifest's hex>  ->
//! signature manifest  labels gc.ref.content.config, gc.ref.content.0  ->  config, envelope
//!                     label gc.bref.content  ->  subject (containerd 2.2 and newer)
//! ```
//!
//! The labels are what garbage collection follows, so that a signature lives as long as its image,
//! through restarts, another import of it, and `ctr content prune references`, which takes labels
//! called `gc.ref.content.l.`. They belong to one namespace.
//!
//! Found is what has the image as its subject: where labels of the image lead, else records called
//! `REPOSITORY@DIGEST` or `REPOSITORY:sha256-HEX`, else among all small content of the namespace.
//! Labels and names are hints; every byte is hashed.

use std::collections::HashSet;
use std::fmt;
use std::io::Read as _;
use std::rc::Rc;

use crate::content::containerd::read::document;
use crate::content::containerd::{
    Addition, ContainerdError, ContentStore, ContentWriter, ImageRecord, Labels, Namespace, NewBlob,
};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::manifest::MAX_BYTES;
use crate::image::media_type;
use crate::image::reference::Reference;

use super::layout::{EMPTY_CONFIG, Node, SignatureDocument, SignatureManifest};
use super::{
    Added, MAX_ENVELOPE_BYTES, MAX_LISTED, NewSignature, SignatureStore, StoreError,
    StoredSignature,
};

/// Labels that lead from content to content begin so.
const REFERENCE: &str = "containerd.io/gc.ref.content.";
/// Label that leads from a child to what keeps it.
const BACK_REFERENCE: &str = "containerd.io/gc.bref.content";
/// Largest content that is taken for a signature manifest where nothing says that it is one.
const MAX_UNNAMED: u64 = 1 << 20;

/// The signatures in one or more namespaces of a containerd.
#[derive(Clone)]
pub struct ContainerdSignatures {
    store: Rc<dyn ContentStore>,
    namespaces: Vec<Namespace>,
    form: SignatureManifest,
    lease_until: String,
    record: Option<String>,
}

impl fmt::Debug for ContainerdSignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerdSignatures")
            .field("store", &self.store.place())
            .field("namespaces", &self.namespaces)
            .finish_non_exhaustive()
    }
}

impl ContainerdSignatures {
    /// The signatures in these namespaces. New ones are held until `lease_until` (RFC 3339) should
    /// this process die while it writes.
    pub fn new(
        store: Rc<dyn ContentStore>,
        namespaces: Vec<Namespace>,
        lease_until: String,
    ) -> Self {
        let form = SignatureManifest::default();
        Self { store, namespaces, form, lease_until, record: None }
    }

    /// The same place, writing signatures in another form.
    #[must_use]
    pub fn writing(self, form: SignatureManifest) -> Self {
        Self { form, ..self }
    }

    /// The same place, making an image record `REPOSITORY@DIGEST` for each new signature, so that
    /// it can be exported and pushed.
    #[must_use]
    pub fn recording(self, repository: String) -> Self {
        Self { record: Some(repository), ..self }
    }

    /// Whether signatures can be added at all.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.writer().map(drop)
    }

    fn writer(&self) -> Result<&dyn ContentWriter, StoreError> {
        self.store.writer().ok_or_else(|| StoreError::ReadOnly { place: self.store.place() })
    }

    /// The signatures in one namespace.
    fn in_namespace(
        &self,
        namespace: &Namespace,
        subject: &Descriptor,
    ) -> Result<Vec<StoredSignature>, ContainerdError> {
        let mut named = Vec::new();
        if let Some(info) = self.store.info(namespace, &subject.digest)? {
            named.extend(info.labels.iter().filter_map(|(key, value)| leads_on(key, value)));
        }
        for image in self.store.images(namespace)? {
            if image.target.digest != subject.digest && may_sign(&image, subject) {
                named.push(image.target.digest);
            }
        }
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        named.retain(|digest| seen.insert(digest.clone()));
        for digest in named.into_iter().take(MAX_LISTED) {
            match document(&*self.store, namespace, &digest, MAX_BYTES as u64) {
                Ok(Some(bytes)) => {
                    found.extend(self.signature(namespace, subject, &digest, &bytes));
                }
                // A referrer that was never fetched.
                Ok(None) => {}
                // Whose signature it is, only the manifest would say.
                Err(error @ (ContainerdError::Mismatch { .. } | ContainerdError::Size { .. })) => {
                    let defect = Some(error.to_string());
                    found.push(StoredSignature { defect, ..self.stored(namespace, &digest) });
                }
                Err(ContainerdError::Limit { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if found.is_empty() { self.among_all(namespace, subject) } else { Ok(found) }
    }

    /// The slow way: reads all small content that may be a manifest.
    fn among_all(
        &self,
        namespace: &Namespace,
        subject: &Descriptor,
    ) -> Result<Vec<StoredSignature>, ContainerdError> {
        let config = Digest::sha256(EMPTY_CONFIG).to_string();
        let mut found = Vec::new();
        for (digest, info) in self.store.blobs(namespace)? {
            // containerd labels what it knows to be a manifest with its config.
            let is_other = info
                .labels
                .get("containerd.io/gc.ref.content.config")
                .is_some_and(|labelled| *labelled != config);
            if info.size > MAX_UNNAMED || is_other || found.len() >= MAX_LISTED {
                continue;
            }
            // One byte tells a layer from a document.
            let mut first = [0];
            let is_document = match self.store.open(namespace, &digest)? {
                Some(mut reader) => reader.read(&mut first).is_ok_and(|read| read == 1),
                None => false,
            };
            if !is_document || !matches!(first, [b'{' | b' ' | b'\n' | b'\r' | b'\t']) {
                continue;
            }
            if let Ok(Some(bytes)) = document(&*self.store, namespace, &digest, MAX_UNNAMED) {
                found.extend(self.signature(namespace, subject, &digest, &bytes));
            }
        }
        Ok(found)
    }

    /// The signature that a document is, if it is one of the subject.
    fn signature(
        &self,
        namespace: &Namespace,
        subject: &Descriptor,
        digest: &Digest,
        bytes: &[u8],
    ) -> Option<StoredSignature> {
        let node = Node::parse(bytes).ok()?;
        let is_of = node.subject.as_ref().is_some_and(|it| it.same_content(subject));
        if !node.is_signature() || !is_of {
            return None;
        }
        let stored = self.stored(namespace, digest);
        let annotations = node.annotations.clone().unwrap_or_default();
        let media_type = node.media_type.as_deref().unwrap_or(media_type::OCI_MANIFEST);
        Some(match node.envelope(media_type) {
            Ok(envelope) => StoredSignature {
                digest: Some(envelope.digest.clone()),
                media_type: Some(envelope.media_type.clone()),
                size: Some(envelope.size),
                annotations,
                ..stored
            },
            Err(defect) => StoredSignature { annotations, defect: Some(defect), ..stored },
        })
    }

    fn stored(&self, namespace: &Namespace, manifest: &Digest) -> StoredSignature {
        StoredSignature {
            location: location(namespace, manifest).into(),
            manifest: Some(manifest.clone()),
            ..StoredSignature::default()
        }
    }

    fn add_to(
        &self,
        namespace: &Namespace,
        subject: &Descriptor,
        envelope: &NewSignature,
        document: &SignatureDocument,
    ) -> Result<Digest, StoreError> {
        let manifest = Descriptor::of(
            media_type::OCI_MANIFEST,
            crate::image::digest::Algorithm::Sha256,
            &document.manifest,
        );
        let leads_to =
            |name: &str, digest: &Digest| (format!("{REFERENCE}{name}"), digest.to_string());
        let labels = Labels::from([
            leads_to("config", &document.config),
            // Not l.0: `ctr content prune references` takes labels of layers.
            leads_to("0", &document.envelope.digest),
            (BACK_REFERENCE.to_owned(), subject.digest.to_string()),
        ]);
        let blob = |digest, bytes| NewBlob { digest, bytes, labels: Labels::new() };
        let addition = Addition {
            blobs: vec![
                blob(&document.config, EMPTY_CONFIG),
                blob(&document.envelope.digest, &envelope.bytes),
                NewBlob { digest: &manifest.digest, bytes: &document.manifest, labels },
            ],
            anchor: (
                &subject.digest,
                Labels::from([leads_to(&referrer(&manifest.digest), &manifest.digest)]),
            ),
            image: self.record.as_ref().map(|repository| ImageRecord {
                name: format!("{repository}@{}", manifest.digest),
                target: manifest.clone(),
                labels: Labels::new(),
            }),
            lease_until: self.lease_until.clone(),
        };
        self.writer()?.add(namespace, &addition)?;
        Ok(manifest.digest)
    }
}

impl SignatureStore for ContainerdSignatures {
    fn list(&self, subject: &Descriptor) -> Result<Vec<StoredSignature>, StoreError> {
        let mut listed: Vec<StoredSignature> = Vec::new();
        for namespace in &self.namespaces {
            for signature in self.in_namespace(namespace, subject)? {
                if !listed.iter().any(|other| other.manifest == signature.manifest) {
                    listed.push(signature);
                }
            }
        }
        Ok(listed)
    }

    fn read(&self, signature: &StoredSignature) -> Result<Vec<u8>, StoreError> {
        let defective = |problem: &str| StoreError::Defective {
            location: signature.location.clone(),
            problem: problem.to_owned(),
        };
        if let Some(problem) = &signature.defect {
            return Err(defective(problem));
        }
        let digest =
            signature.digest.as_ref().ok_or_else(|| defective("the envelope has no digest"))?;
        for namespace in &self.namespaces {
            if let Some(bytes) = document(&*self.store, namespace, digest, MAX_ENVELOPE_BYTES)? {
                return match signature.size {
                    Some(size) if size != bytes.len() as u64 => {
                        Err(defective("the envelope has another size than its manifest says"))
                    }
                    _ => Ok(bytes),
                };
            }
        }
        Err(defective(&format!("its envelope {digest} is not there")))
    }

    fn add(&self, subject: &Descriptor, envelope: &NewSignature) -> Result<Added, StoreError> {
        let document = SignatureDocument::new(subject, envelope, self.form);
        let mut location = String::new();
        for namespace in &self.namespaces {
            let manifest = self.add_to(namespace, subject, envelope, &document)?;
            if !location.is_empty() {
                location.push_str(", ");
            }
            location.push_str(&self::location(namespace, &manifest));
        }
        Ok(Added { location: location.into(), digest: document.envelope.digest })
    }

    fn remove(&self, signature: &StoredSignature) -> Result<(), StoreError> {
        let writer = self.writer()?;
        let not_found = || StoreError::Defective {
            location: signature.location.clone(),
            problem: "it is not there".to_owned(),
        };
        let digest = signature.manifest.as_ref().ok_or_else(not_found)?;
        let mut is_found = false;
        for namespace in &self.namespaces {
            let Some(bytes) = document(&*self.store, namespace, digest, MAX_BYTES as u64)? else {
                continue;
            };
            is_found = true;
            let subject = Node::parse(&bytes).ok().and_then(|node| node.subject);
            if let Some(subject) = subject
                && let Some(info) = self.store.info(namespace, &subject.digest)?
            {
                let leading = info.labels.into_iter().filter(|(key, value)| {
                    leads_on(key, value).is_some_and(|target| target == *digest)
                });
                let labels: Labels = leading.map(|(key, _)| (key, String::new())).collect();
                if !labels.is_empty() {
                    writer.label(namespace, &subject.digest, &labels)?;
                }
            }
            for image in self.store.images(namespace)? {
                if image.target.digest == *digest {
                    writer.remove_image(namespace, &image.name)?;
                }
            }
            // Not only what led to it: whoever looks at all content would find it until it is
            // collected. What it leads to is collected with it.
            writer.remove_content(namespace, digest)?;
        }
        if is_found { Ok(()) } else { Err(not_found()) }
    }
}

fn location(namespace: &Namespace, manifest: &Digest) -> String {
    format!("containerd, namespace {namespace}, {manifest}")
}

/// containerd's own name for the label that leads to a referrer.
fn referrer(manifest: &Digest) -> String {
    let hex = manifest.hex();
    format!("referrer.{}.{}", manifest.algorithm(), hex.get(..12).unwrap_or(hex))
}

/// Where a label leads, unless it leads to a part of the image as containerd names those.
fn leads_on(key: &str, value: &str) -> Option<Digest> {
    let name = key.strip_prefix(REFERENCE)?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_part = name == "config"
        || is_number(name)
        || ["l.", "m."].iter().any(|kind| name.strip_prefix(kind).is_some_and(is_number));
    if is_part { None } else { value.parse().ok() }
}

/// Whether the name of a record says that it may be a signature of the subject.
fn may_sign(image: &ImageRecord, subject: &Descriptor) -> bool {
    let Ok(reference) = image.name.parse::<Reference>() else { return false };
    let tag = format!("{}-{}", subject.digest.algorithm(), subject.digest.hex());
    image.target.size <= MAX_UNNAMED
        && (reference.digest().is_some_and(|digest| *digest == image.target.digest)
            || reference.tag().is_some_and(|it| it.strip_suffix(".sig").unwrap_or(it) == tag))
}

#[cfg(test)]
mod tests;
