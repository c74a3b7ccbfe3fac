//! What a graph-driver push will really send: layers that the engine pulled or pushed before may be
//! referenced by the digest that the registry has (spec/docker.md §4.5, §4.6).
//!
//! An engine that knows nothing of a layer compresses it: that is certain. If all it knows is the
//! digest that it would make itself, that is certain too. Else it asks the registry, and nobody can
//! say today what that will answer: a repository on a registry that has the layer most probably
//! gives its digest, another registry most probably does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{BoundBlob, BoundBy, Generated, Note, Origin};
use crate::content::distribution::{Record, Records};
use crate::image::descriptor::Descriptor;
use crate::image::digest::{Algorithm, Digest};
use crate::image::media_type;
use crate::image::reference::Reference;
use crate::image::schema2::{self, Blob};

/// How sure it is what a push sends for a layer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// Nothing else is possible.
    Certain,
    /// The registry can still decide otherwise.
    Predicted,
    /// The engine knows several digests, or it depends on what is not known.
    Conflicting,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certain => "certain",
            Self::Predicted => "predicted",
            Self::Conflicting => "conflicting",
        })
    }
}

/// Why.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The engine's records can't be read.
    NoRecords,
    /// The engine never pulled or pushed the layer.
    Unknown,
    /// It knows the layer by the digest that it would make itself.
    Same,
    /// Registries have it by another digest, and it was not said where the push goes.
    NoTarget(BTreeSet<Digest>),
    /// The registry has it by this digest.
    SameRegistry(String),
    /// That registry is not known to have it; others are.
    OtherRegistry(BTreeSet<Digest>),
    /// That registry has it by several digests.
    Several(BTreeSet<Digest>),
    /// The engine recorded a manifest of exactly these bytes for a repository.
    Recorded(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |digests: &BTreeSet<Digest>| {
            digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::NoRecords => f.write_str("what the engine pulled or pushed before is not known"),
            Self::Unknown => f.write_str("the engine never pulled or pushed it"),
            Self::Same => f.write_str("the engine knows it by the digest that it makes itself"),
            Self::NoTarget(digests) => {
                write!(f, "registries have it as {}; where the push goes decides", list(digests))
            }
            Self::SameRegistry(repository) => write!(f, "{repository} has it by that digest"),
            Self::OtherRegistry(digests) => {
                write!(f, "compressed again, unless the target has it already as {}", list(digests))
            }
            Self::Several(digests) => write!(f, "the registry has it as {}", list(digests)),
            Self::Recorded(reference) => write!(f, "recorded by the engine as {reference}"),
        }
    }
}

/// What a push sends for a layer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayerVerdict {
    /// The layer.
    pub diff_id: Digest,
    /// The digest that is sent.
    pub digest: Digest,
    /// How sure that is.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for LayerVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { diff_id, digest, verdict, reason } = self;
        write!(f, "layer {digest} (DiffID {diff_id}) is {verdict}: {reason}")
    }
}

/// What a push to `target` sends for a layer that the engine would compress to `fresh`.
#[must_use]
pub fn predict(
    diff_id: &Digest,
    fresh: &Digest,
    records: Option<&[Record]>,
    target: Option<&Reference>,
) -> LayerVerdict {
    let sends = |digest: &Digest, verdict, reason| LayerVerdict {
        diff_id: diff_id.clone(),
        digest: digest.clone(),
        verdict,
        reason,
    };
    let Some(records) = records else {
        return sends(fresh, Verdict::Predicted, Reason::NoRecords);
    };
    let all: BTreeSet<Digest> = records.iter().map(|record| record.digest.clone()).collect();
    if all.is_empty() {
        return sends(fresh, Verdict::Certain, Reason::Unknown);
    }
    if all.iter().eq([fresh]) {
        return sends(fresh, Verdict::Certain, Reason::Same);
    }
    let Some(target) = target else {
        return sends(fresh, Verdict::Conflicting, Reason::NoTarget(all));
    };
    let repository = target.repository();
    let registry = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    // The newest record of the repository itself comes first, then those of its registry.
    let near: Vec<&Record> = records
        .iter()
        .rev()
        .filter(|record| registry(&record.repository) == registry(&repository))
        .collect();
    let digests: BTreeSet<Digest> = near.iter().map(|record| record.digest.clone()).collect();
    let Some(first) = near.iter().find(|it| it.repository == repository).or_else(|| near.first())
    else {
        return sends(fresh, Verdict::Predicted, Reason::OtherRegistry(all));
    };
    if digests.len() > 1 {
        // Whose credentials pushed what decides between them.
        return sends(&first.digest, Verdict::Conflicting, Reason::Several(digests));
    }
    sends(&first.digest, Verdict::Predicted, Reason::SameRegistry(first.repository.clone()))
}

/// What a push sends, layer by layer.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The layers, base first.
    pub layers: Vec<LayerVerdict>,
    /// The repository that the push goes to, if that is known.
    target: Option<String>,
}

impl Prediction {
    /// Predicts from a manifest that was made as if the engine compressed every layer.
    #[must_use]
    pub fn of(fresh: &Generated, records: Option<&Records>, target: Option<&Reference>) -> Self {
        let layers = layers(fresh)
            .map(|(diff_id, blob)| {
                let own = records.map(|all| all.get(diff_id).map_or(&[][..], Vec::as_slice));
                predict(diff_id, &blob.descriptor.digest, own, target)
            })
            .collect();
        Self { layers, target: target.map(Reference::repository) }
    }

    /// Whether nothing else can be sent.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.layers.iter().all(|layer| layer.verdict == Verdict::Certain)
    }

    /// The digests of which a manifest needs the size, beside those that were computed.
    #[must_use]
    pub fn unsized_layers(&self, fresh: &Generated) -> BTreeMap<Digest, Digest> {
        let computed: BTreeSet<&Digest> =
            layers(fresh).map(|(_, blob)| &blob.descriptor.digest).collect();
        self.layers
            .iter()
            .filter(|layer| !computed.contains(&layer.digest))
            .map(|layer| (layer.digest.clone(), layer.diff_id.clone()))
            .collect()
    }

    /// The manifest that is sent; `sizes` are of digests that were not computed.
    ///
    /// # Errors
    /// The digests whose size is not known.
    pub fn manifest(
        mut self,
        fresh: Generated,
        sizes: &BTreeMap<Digest, KnownSize>,
        recorded: &[String],
    ) -> Result<Generated, BTreeSet<Digest>> {
        let mut missing = BTreeSet::new();
        let mut predicted = Vec::new();
        for ((_, blob), layer) in layers(&fresh).zip(&self.layers) {
            if blob.descriptor.digest == layer.digest {
                predicted.push(blob.clone());
                continue;
            }
            let Some(known) = sizes.get(&layer.digest) else {
                missing.insert(layer.digest.clone());
                continue;
            };
            // A push gives every layer this type, whatever the registry has (§4.5, a).
            let gzip = media_type::DOCKER_LAYER_GZIP;
            let descriptor = Descriptor::new(gzip, layer.digest.clone(), known.size);
            predicted.push(BoundBlob { descriptor, by: known.by, ..blob.clone() });
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        let mut generated = fresh;
        let config = generated.blobs.iter().find(|blob| blob.diff_id.is_none()).cloned();
        if let Some(config) = config {
            let blob = |it: &BoundBlob| Blob {
                digest: it.descriptor.digest.clone(),
                size: it.descriptor.size,
            };
            let layers: Vec<Blob> = predicted.iter().map(blob).collect();
            generated.bytes = schema2::render(&blob(&config), &layers);
            generated.descriptor =
                Descriptor::of(media_type::DOCKER_MANIFEST, Algorithm::Sha256, &generated.bytes);
            generated.blobs = std::iter::once(config).chain(predicted).collect();
        }
        self.prove(&generated, recorded);
        generated.notes.extend(self.layers.into_iter().map(Note::Layer));
        Ok(generated)
    }

    /// A manifest that the engine recorded for the target, or without one for any repository, is
    /// what was pushed or pulled there.
    fn prove(&mut self, generated: &Generated, recorded: &[String]) {
        let is_proof = |text: &&String| {
            let Ok(reference) = text.parse::<Reference>() else { return false };
            let is_there = self.target.as_ref().is_none_or(|it| *it == reference.repository());
            is_there && reference.digest() == Some(&generated.descriptor.digest)
        };
        let Some(reference) = recorded.iter().find(is_proof) else { return };
        for layer in &mut self.layers {
            if layer.verdict != Verdict::Certain {
                layer.verdict = Verdict::Certain;
                layer.reason = Reason::Recorded(reference.clone());
            }
        }
    }
}

/// The size of a compressed layer, and how it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownSize {
    /// Bytes.
    pub size: u64,
    /// What ties it to the layer.
    pub by: BoundBy,
}

/// Sizes that another encoder generation gives.
#[must_use]
pub fn sizes_of(other: &Generated) -> BTreeMap<Digest, KnownSize> {
    layers(other)
        .map(|(_, blob)| {
            let size = blob.descriptor.size;
            (blob.descriptor.digest.clone(), KnownSize { size, by: BoundBy::Compression })
        })
        .collect()
}

/// The layers of a manifest that was rendered here, with their DiffIDs.
fn layers(generated: &Generated) -> impl Iterator<Item = (&Digest, &BoundBlob)> {
    debug_assert!(matches!(generated.origin, Origin::Rendered(_)));
    generated.blobs.iter().filter_map(|blob| Some((blob.diff_id.as_ref()?, blob)))
}

#[cfg(test)]
#[path = "push_cache_tests.rs"]
mod tests;
