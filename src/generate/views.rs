//! The two views of an archive must lead to the same images (`security.md` S4).
//!
//! docker's graph-driver engines read `manifest.json`, containerd reads `index.json`. An archive
//! whose views differ is one image to one engine and another to the next.

use std::collections::HashSet;

use super::Note;
use crate::content::archive::{
    Archive, ArchiveError, DockerImage, DockerView, OciEntry, OciView, Walk,
};
use crate::image::config::ImageConfig;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::manifest::{Document, Manifest};
use crate::image::media_type;

/// The views that an archive has: at least one, and if both, they agree.
pub(super) struct Views {
    pub(super) docker: Option<DockerView>,
    pub(super) oci: Option<OciView>,
}

impl Views {
    pub(super) fn read(archive: &Archive) -> Result<Self, ArchiveError> {
        let (docker, oci) = (DockerView::read(archive)?, OciView::read(archive)?);
        match (&docker, &oci) {
            (None, None) => return Err(not_an_image(archive)),
            (Some(docker), Some(oci)) => agree(archive, docker, oci)?,
            _ => {}
        }
        Ok(Self { docker, oci })
    }

    /// What the archive holds beside the images that engines load.
    pub(super) fn beside_images(&self, archive: &Archive) -> Result<Vec<Note>, ArchiveError> {
        let (referrers, disguised) =
            self.oci.as_ref().map_or((0, 0), |oci| (oci.referrers.len(), oci.disguised));
        let unreferenced = self.unreferenced(archive)?;
        let notes = [
            (referrers, Note::Referrers(referrers)),
            (disguised, Note::Disguised(disguised)),
            (unreferenced, Note::Unreferenced(unreferenced)),
        ];
        Ok(notes.into_iter().filter_map(|(n, note)| (n > 0).then_some(note)).collect())
    }

    /// The number of configs of images that neither view leads to.
    fn unreferenced(&self, archive: &Archive) -> Result<usize, ArchiveError> {
        let mut known: HashSet<Digest> = HashSet::new();
        known.extend(
            self.docker.iter().flat_map(|it| &it.images).map(|it| it.config.digest.clone()),
        );
        let mut walk = archive.walk();
        for entry in self.oci.iter().flat_map(|view| &view.entries) {
            let images = images_below(archive, &entry.descriptor, &mut walk)?;
            known.extend(images.into_iter().map(|manifest| manifest.config.digest));
        }
        for referrer in self.oci.iter().flat_map(|view| &view.referrers) {
            // What can't be read is none of an image either.
            let images = images_below(archive, referrer, &mut walk);
            let images = walk.if_readable(images)?.into_iter().flatten();
            known.extend(images.map(|manifest| manifest.config.digest));
        }
        let configs = archive.members().filter_map(|(_, member)| member.document.as_deref());
        let configs = configs.filter_map(|bytes| ImageConfig::parse(bytes).ok());
        // The same config may be there twice.
        let unknown: HashSet<_> =
            configs.map(|it| it.digest).filter(|digest| !known.contains(digest)).collect();
        Ok(unknown.len())
    }
}

/// Checks that whatever name an engine looks up, it finds the same config and layers in both.
///
/// Genuine writers leave untagged images out of `index.json`, leave images out of
/// `manifest.json` that have no platform of the host, and docker 25.0.0 wrote the layers of its
/// `index.json` manifests in random order, without duplicates. That is not ambiguity.
fn agree(archive: &Archive, docker: &DockerView, oci: &OciView) -> Result<(), ArchiveError> {
    let mut walk = archive.walk();
    let entries = oci
        .entries
        .iter()
        .map(|entry| Ok((entry, images_below(archive, &entry.descriptor, &mut walk)?)))
        .collect::<Result<Vec<_>, ArchiveError>>()?;
    for image in &docker.images {
        for tag in &image.tags {
            let mut named = entries.iter().filter(|(entry, _)| is_named(entry, tag)).peekable();
            if named.peek().is_none() {
                return Err(differ(tag, "index.json does not have it".to_owned()));
            }
            for (_, manifests) in named {
                same_image(archive, tag, image, manifests, docker.has_layer_sources)?;
            }
        }
        let has_config = |m: &Manifest| m.config.digest == image.config.digest;
        let anywhere = entries.iter().any(|(_, manifests)| manifests.iter().any(has_config));
        if image.tags.is_empty() && !anywhere && !docker.has_layer_sources {
            let what = "no manifest below index.json has its config".to_owned();
            return Err(differ(&image.config.digest, what));
        }
    }
    if docker.has_layer_sources {
        known_to_docker(docker, &entries)?;
    }
    Ok(())
}

/// A graph-driver engine lists in `index.json` nothing that is not in `manifest.json`.
fn known_to_docker(
    docker: &DockerView,
    entries: &[(&OciEntry, Vec<Manifest>)],
) -> Result<(), ArchiveError> {
    for (entry, manifests) in entries {
        for manifest in manifests {
            if !docker.images.iter().any(|image| image.config.digest == manifest.config.digest) {
                let what = "manifest.json does not have it".to_owned();
                return Err(differ(&entry.descriptor.digest, what));
            }
        }
    }
    Ok(())
}

fn is_named(entry: &OciEntry, tag: &crate::image::reference::Reference) -> bool {
    let bare = entry.names.is_empty()
        && entry.ref_names.iter().any(|name| Some(name.as_str()) == tag.tag());
    entry.names.contains(tag) || bare
}

fn same_image(
    archive: &Archive,
    tag: &crate::image::reference::Reference,
    image: &DockerImage,
    manifests: &[Manifest],
    unordered: bool,
) -> Result<(), ArchiveError> {
    let config = &image.config.digest;
    let Some(manifest) = manifests.iter().find(|m| m.config.digest == *config) else {
        let found: Vec<String> = manifests.iter().map(|m| m.config.digest.to_string()).collect();
        let what = format!("manifest.json has config {config}, index.json {}", found.join(", "));
        return Err(differ(tag, what));
    };
    let name = |layer: &Descriptor| archive.blob(&layer.digest).unwrap_or_default().to_owned();
    let listed: Vec<String> = manifest.layers.iter().map(name).collect();
    if listed == image.layers {
        return Ok(());
    }
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        names
    };
    if unordered && sorted(&listed) == sorted(&image.layers) {
        return Ok(());
    }
    Err(differ(tag, "their layers differ".to_owned()))
}

fn differ(image: &dyn std::fmt::Display, what: String) -> ArchiveError {
    ArchiveError::Ambiguous { image: image.to_string(), what }
}

/// The image manifests at or below a descriptor that are in the archive.
pub(super) fn images_below(
    archive: &Archive,
    descriptor: &Descriptor,
    walk: &mut Walk,
) -> Result<Vec<Manifest>, ArchiveError> {
    let mut images = Vec::new();
    add_images(archive, descriptor, 0, walk, &mut images)?;
    Ok(images)
}

fn add_images(
    archive: &Archive,
    descriptor: &Descriptor,
    depth: usize,
    walk: &mut Walk,
    images: &mut Vec<Manifest>,
) -> Result<(), ArchiveError> {
    walk.at_depth(depth)?;
    match archive.manifest(descriptor, walk)?.document {
        Document::Manifest(manifest) => images.push(manifest),
        Document::Index(index) => {
            for child in &index.manifests {
                let known = media_type::is_manifest(&child.media_type)
                    || media_type::is_index(&child.media_type);
                if known && archive.blob(&child.digest).is_some() {
                    add_images(archive, child, depth + 1, walk, images)?;
                }
            }
        }
    }
    Ok(())
}

/// Says what an archive without any view seems to be.
pub(super) fn not_an_image(archive: &Archive) -> ArchiveError {
    let names: Vec<&str> = archive.members().map(|(name, _)| name).collect();
    let any = |test: &dyn Fn(&str) -> bool| names.iter().any(|name| test(name));
    let has_layers = any(&|name| name.ends_with("/layer.tar"));
    if names == ["repositories"]
        || has_layers && any(&|name| name == "repositories" || name.ends_with("/json"))
    {
        return ArchiveError::TooOld;
    }
    let found = if names.is_empty() {
        "a tar without members".to_owned()
    } else if any(&|name| name == ".dockerenv")
        || any(&|name| name.starts_with("etc/")) && any(&|name| name.starts_with("usr/"))
    {
        "a root filesystem, as `docker export` writes it".to_owned()
    } else if let Some(nested) = names.iter().find_map(|name| {
        name.strip_suffix("/manifest.json").or_else(|| name.strip_suffix("/oci-layout"))
    }) {
        format!("the image is inside the directory {nested:?}: its files must be at the top")
    } else {
        "no manifest.json, and no index.json with oci-layout".to_owned()
    };
    ArchiveError::NotAnImage { found }
}

/// Compares a measured digest with the one that names it.
pub(super) fn bound(what: String, expected: &Digest, found: &Digest) -> Result<(), ArchiveError> {
    if expected == found {
        return Ok(());
    }
    Err(ArchiveError::Mismatch { what, expected: expected.clone(), found: found.clone() })
}
