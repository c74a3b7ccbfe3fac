//! The OCI view: `oci-layout` and `index.json`, which containerd reads.

use serde::Deserialize;

use super::error::ArchiveError;
use super::scan::Archive;
use super::walk::Walk;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::json;
use crate::image::manifest::{Document, Index, RawManifest};
use crate::image::media_type;
use crate::image::reference::Reference;

/// Full name of an image, written by docker and containerd.
const IMAGE_NAME: &str = "io.containerd.image.name";
/// Tag, or with podman the full name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Marks a referrer in an index (engines since 29.1).
const SUBJECT: &str = "io.containerd.manifest.subject";
/// Prefix of labels that only containerd's exporter writes.
const DISTRIBUTION_SOURCE: &str = "containerd.io/distribution.source.";

/// What `index.json` lists.
#[derive(Clone, Debug)]
pub struct OciView {
    /// The images, in the order of the file: referrers are left out.
    pub entries: Vec<OciEntry>,
    /// The entries that are no images (signatures, attestations of other images).
    pub referrers: Vec<Descriptor>,
    /// Number of entries without a name that say they are no images, and are.
    pub disguised: usize,
    /// Number of bytes of `oci-layout`: 31 from a graph driver, 30 from containerd and others.
    pub layout_bytes: usize,
    /// Whether an entry carries an annotation that only containerd's exporter writes.
    pub has_containerd_annotations: bool,
}

/// One image of an OCI layout.
#[derive(Clone, Debug)]
pub struct OciEntry {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its names: several entries for one digest are one image.
    pub names: Vec<Reference>,
    /// Names that are just tags or free text, from `org.opencontainers.image.ref.name`.
    pub ref_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

impl OciView {
    /// Reads the view; `None` if the archive has no `index.json` or no `oci-layout`.
    ///
    /// # Errors
    /// When one of the two is malformed.
    pub fn read(archive: &Archive) -> Result<Option<Self>, ArchiveError> {
        if archive.get("index.json").is_none() || archive.get("oci-layout").is_none() {
            return Ok(None);
        }
        let layout_name = archive.resolve("document", "oci-layout")?;
        let layout_bytes = archive.document("document", layout_name)?;
        let document = |source| ArchiveError::Document { name: "oci-layout".to_owned(), source };
        let layout: Layout =
            json::read(layout_bytes, &json::Rules::limited(4096)).map_err(document)?;
        if layout.image_layout_version != "1.0.0" {
            let found = format!("OCI layout of version {:?}", layout.image_layout_version);
            return Err(ArchiveError::NotAnImage { found });
        }
        let index_name = archive.resolve("document", "index.json")?;
        let index = Index::of_layout(archive.document("document", index_name)?)
            .map_err(|source| ArchiveError::Manifest { name: "index.json".to_owned(), source })?;
        Self::of(archive, &index, layout_bytes.trim_ascii_end().len()).map(Some)
    }

    fn of(archive: &Archive, index: &Index, layout_bytes: usize) -> Result<Self, ArchiveError> {
        let mut entries: Vec<OciEntry> = Vec::new();
        let mut referrers = Vec::new();
        let mut disguised = 0;
        let mut has_containerd_annotations = false;
        let mut walk = archive.walk();
        for descriptor in &index.manifests {
            let annotations = &descriptor.annotations;
            let says_referrer =
                annotations.contains_key(SUBJECT) || descriptor.artifact_type.is_some();
            // Engines make an image of everything that has a name, whatever else it says.
            let is_named = [IMAGE_NAME, REF_NAME].iter().any(|it| annotations.contains_key(*it));
            let nature = Nature::of(archive, descriptor, &mut walk)?;
            // Signatures are put into archives of all engines.
            has_containerd_annotations |= nature != Nature::Referrer
                && annotations
                    .keys()
                    .any(|key| key == SUBJECT || key.starts_with(DISTRIBUTION_SOURCE));
            if nature == Nature::Referrer || says_referrer && !is_named {
                referrers.push(descriptor.clone());
                disguised += usize::from(nature == Nature::Image);
                continue;
            }
            let at = entries.iter().position(|e| e.descriptor.same_content(descriptor));
            let at = at.unwrap_or_else(|| {
                entries.push(OciEntry {
                    descriptor: descriptor.clone(),
                    names: Vec::new(),
                    ref_names: Vec::new(),
                });
                entries.len() - 1
            });
            entries[at].add_names(descriptor);
        }
        Ok(Self { entries, referrers, disguised, layout_bytes, has_containerd_annotations })
    }
}

/// What an entry is, by its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Nature {
    /// An image.
    Image,
    /// An index, an attestation, an artifact, or nothing that can be read.
    Other,
    /// A manifest that has a subject, and no config of an image: no engine makes an image of it.
    Referrer,
}

impl Nature {
    fn of(
        archive: &Archive,
        descriptor: &Descriptor,
        walk: &mut Walk,
    ) -> Result<Self, ArchiveError> {
        let read = archive.manifest(descriptor, walk).map(|raw| raw.document);
        let Some(Document::Manifest(manifest)) = walk.if_readable(read)? else {
            return Ok(Self::Other);
        };
        if !media_type::is_config(&manifest.config.media_type) {
            let is_referrer = manifest.subject.is_some();
            return Ok(if is_referrer { Self::Referrer } else { Self::Other });
        }
        let Some(name) = archive.blob(&manifest.config.digest) else { return Ok(Self::Other) };
        let config = archive.config(name, walk);
        match walk.if_readable(config)? {
            Some(config) if !config.platform.is_unknown() => Ok(Self::Image),
            _ => Ok(Self::Other),
        }
    }
}

impl OciEntry {
    fn add_names(&mut self, descriptor: &Descriptor) {
        let annotation = |key| descriptor.annotations.get(key);
        if let Some(name) = annotation(IMAGE_NAME).and_then(|n| n.parse::<Reference>().ok()) {
            self.names.push(name.with_default_tag());
        }
        if let Some(name) = annotation(REF_NAME) {
            // podman writes full names here.
            if name.contains('/')
                && let Ok(reference) = name.parse::<Reference>()
            {
                self.names.push(reference.with_default_tag());
            }
            self.ref_names.push(name.clone());
        }
    }
}

/// Where an OCI archive keeps a blob.
#[must_use]
pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

impl Archive {
    /// Resolved name of the member that holds a blob; `None` if the archive has no such member.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<&str> {
        self.resolve("blob", &blob_name(digest)).ok()
    }

    /// Reads the manifest or index that a descriptor names, and checks that it is that one.
    ///
    /// # Errors
    /// When it is missing, another one, malformed, or more than the walk may read.
    pub fn manifest(
        &self,
        descriptor: &Descriptor,
        walk: &mut Walk,
    ) -> Result<RawManifest, ArchiveError> {
        let name = blob_name(&descriptor.digest);
        let resolved = self.resolve("manifest", &name)?;
        let bytes = self.document("manifest", resolved)?;
        walk.read(bytes)?;
        check(
            &name,
            descriptor,
            &Digest::of(descriptor.digest.algorithm(), bytes),
            bytes.len() as u64,
        )?;
        let known = media_type::is_manifest(&descriptor.media_type)
            || media_type::is_index(&descriptor.media_type);
        if !known {
            let found = format!("{name} of media type {}", descriptor.media_type);
            return Err(ArchiveError::NotAnImage { found });
        }
        let mut raw = RawManifest::parse(bytes.to_vec(), Some(&descriptor.media_type))
            .map_err(|source| ArchiveError::Manifest { name, source })?;
        // The descriptor's own algorithm, which need not be sha256.
        raw.descriptor.digest = descriptor.digest.clone();
        Ok(raw)
    }
}

/// Compares content with the descriptor that names it.
pub(super) fn check(
    what: &str,
    expected: &Descriptor,
    digest: &Digest,
    size: u64,
) -> Result<(), ArchiveError> {
    let what = what.to_owned();
    if *digest != expected.digest {
        let (expected, found) = (expected.digest.clone(), digest.clone());
        return Err(ArchiveError::Mismatch { what, expected, found });
    }
    if size != expected.size {
        return Err(ArchiveError::Size { what, expected: expected.size, found: size });
    }
    Ok(())
}
