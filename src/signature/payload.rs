//! The signed payload: the descriptor of the artifact, and the user's metadata (spec §1).
//!
//! ```json
//! {"targetArtifact":{"mediaType":"…","digest":"<alg>:<hex>","size":247,"annotations":{"k":"v"}}}
//! ```
//!
//! Only media type, digest and size of a descriptor are signed; annotations are what the signer
//! said, never what stood in an index. Members of `targetArtifact` that nobody interprets are
//! ignored on verification, as notation does; everything around it is strict (N-10 to N-13).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::image::json::{self, ReadError, Rules};

/// Media type of the payload: JWS `cty`, COSE label 3. Nothing else is accepted.
pub const MEDIA_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";

/// Annotation keys with this prefix are reserved.
pub const RESERVED_PREFIX: &str = "io.cncf.notary";

/// Largest size that can be signed: notation reads it into an int64 (N-21).
const MAX_SIZE: u64 = i64::MAX.unsigned_abs();

const RULES: Rules = Rules {
    max_bytes: super::envelope::MAX_ENVELOPE_BYTES,
    max_depth: super::envelope::MAX_DEPTH,
    known: &["targetArtifact", "mediaType", "digest", "size", "annotations"],
    free_maps: &["annotations"],
};

/// What a signature says: this content, with these annotations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payload {
    target: Descriptor,
    annotations: BTreeMap<String, String>,
}

/// Why something can't be signed, or is not a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Not the JSON of a payload.
    #[error("payload: {0}")]
    Json(#[from] ReadError),
    /// The size does not fit into an int64 (N-21).
    #[error("size {size} of the target is larger than {MAX_SIZE}")]
    Size {
        /// The size in bytes.
        size: u64,
    },
    /// The descriptor has no media type.
    #[error("media type of the target is empty")]
    NoMediaType,
    /// An annotation key that the specification keeps for itself.
    #[error("metadata key {key:?} has the reserved prefix {RESERVED_PREFIX:?}")]
    ReservedKey {
        /// The key.
        key: String,
    },
}

/// Order of members in the JSON; both are what notation writes, and verifiers accept either.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MemberOrder {
    /// As in JWS envelopes.
    Alphabetical,
    /// As in COSE envelopes.
    Declaration,
}

impl Payload {
    /// The payload that signs `target` with the user's metadata. Annotations of the descriptor
    /// itself are dropped, like all of its members but media type, digest and size.
    ///
    /// # Errors
    /// When the media type is empty, the size too large or a key reserved.
    pub fn new(
        target: &Descriptor,
        annotations: BTreeMap<String, String>,
    ) -> Result<Self, PayloadError> {
        if let Some(key) = annotations.keys().find(|key| key.starts_with(RESERVED_PREFIX)) {
            return Err(PayloadError::ReservedKey { key: key.clone() });
        }
        if target.media_type.is_empty() {
            return Err(PayloadError::NoMediaType);
        }
        Self::checked(&target.media_type, &target.digest, target.size, annotations)
    }

    /// Reads the payload of an envelope.
    ///
    /// # Errors
    /// When it is not exactly one `targetArtifact` with media type, digest and size.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, PayloadError> {
        let WirePayload { target_artifact: target } = json::read(bytes, &RULES)?;
        Self::checked(&target.media_type, &target.digest, target.size, target.annotations)
    }

    /// Refuses payloads whose target has members beyond the four that are signed on purpose. Only
    /// for envelopes made on our own behalf; verifiers ignore them.
    pub(crate) fn refuse_unknown_members(bytes: &[u8]) -> Result<(), PayloadError> {
        json::read::<ExactPayload>(bytes, &RULES)?;
        Ok(())
    }

    fn checked(
        media_type: &str,
        digest: &Digest,
        size: u64,
        annotations: BTreeMap<String, String>,
    ) -> Result<Self, PayloadError> {
        if size > MAX_SIZE {
            return Err(PayloadError::Size { size });
        }
        Ok(Self { target: Descriptor::new(media_type, digest.clone(), size), annotations })
    }

    /// The JSON that is signed.
    pub(crate) fn to_json(&self, order: MemberOrder) -> Vec<u8> {
        let media_type = &self.target.media_type;
        let digest = &self.target.digest;
        let size = self.target.size;
        let annotations = &self.annotations;
        let json = match order {
            MemberOrder::Alphabetical => serde_json::to_vec(&TargetArtifact {
                target_artifact: Alphabetical { annotations, digest, media_type, size },
            }),
            MemberOrder::Declaration => serde_json::to_vec(&TargetArtifact {
                target_artifact: Declaration { media_type, digest, size, annotations },
            }),
        };
        json.expect("strings, numbers and maps with string keys are JSON")
    }

    /// The content that is signed: media type, digest and size, nothing else.
    #[must_use]
    pub fn target(&self) -> &Descriptor {
        &self.target
    }

    /// The signer's annotations ("user metadata").
    #[must_use]
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePayload {
    #[serde(rename = "targetArtifact")]
    target_artifact: WireTarget,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTarget {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// [`WirePayload`] without tolerance.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only which members there are is of interest")]
struct ExactPayload {
    #[serde(rename = "targetArtifact")]
    target_artifact: ExactTarget,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "only which members there are is of interest")]
struct ExactTarget {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct TargetArtifact<T> {
    #[serde(rename = "targetArtifact")]
    target_artifact: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alphabetical<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    digest: &'a Digest,
    media_type: &'a str,
    size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn payload(annotations: &[(&str, &str)]) -> Result<Payload, PayloadError> {
        let target = Descriptor::new("a/b", DIGEST.parse().unwrap(), 7);
        let pairs = annotations.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        Payload::new(&target, pairs.collect())
    }

    #[test]
    fn byte_forms_of_the_two_envelopes() {
        let payload = payload(&[("k", "v")]).unwrap();
        let text = |order| String::from_utf8(payload.to_json(order)).unwrap();
        assert_eq!(
            text(MemberOrder::Alphabetical),
            format!(
                r#"{{"targetArtifact":{{"annotations":{{"k":"v"}},"digest":"{DIGEST}","mediaType":"a/b","size":7}}}}"#
            )
        );
        assert_eq!(
            text(MemberOrder::Declaration),
            format!(
                r#"{{"targetArtifact":{{"mediaType":"a/b","digest":"{DIGEST}","size":7,"annotations":{{"k":"v"}}}}}}"#
            )
        );
        for order in [MemberOrder::Alphabetical, MemberOrder::Declaration] {
            assert_eq!(Payload::from_json(&payload.to_json(order)).unwrap(), payload);
        }
    }

    #[test]
    fn reserved_metadata_keys_are_refused() {
        assert!(matches!(
            payload(&[("io.cncf.notary.x", "v")]),
            Err(PayloadError::ReservedKey { .. })
        ));
        payload(&[("io.cncf", "v")]).unwrap();
    }

    #[test]
    fn n13_members_around_the_target_are_refused_and_within_ignored() {
        let target = format!(r#""mediaType":"a/b","digest":"{DIGEST}","size":7"#);
        let read = |json: &str| Payload::from_json(json.as_bytes());
        read(&format!(r#"{{"targetArtifact":{{{target}}}}}"#)).unwrap();
        read(&format!(r#" {{"targetArtifact":{{{target},"artifactType":"x","urls":[]}}}} "#))
            .unwrap();
        for refused in [
            format!(r#"{{"targetArtifact":{{{target}}},"x":1}}"#),
            format!(r#"{{"targetArtifact":{{{target}}}}}x"#),
            format!(r#"{{"targetArtifact":{{{target},"Size":8}}}}"#),
            format!(r#"{{"targetArtifact":{{{target},"size":7}}}}"#),
            format!(r#"{{"TargetArtifact":{{{target}}}}}"#),
            format!(r#"{{"targetArtifact":{{{target},"annotations":null}}}}"#),
            format!(r#"{{"targetArtifact":{{{target},"annotations":{{"a":1}}}}}}"#),
            r#"{"targetArtifact":null}"#.to_owned(),
            "null".to_owned(),
            String::new(),
        ] {
            read(&refused).unwrap_err();
        }
    }

    #[test]
    fn n21_sizes_and_digests() {
        let read = |digest: &str, size: &str| {
            Payload::from_json(
                format!(
                    r#"{{"targetArtifact":{{"mediaType":"a/b","digest":"{digest}","size":{size}}}}}"#
                )
                .as_bytes(),
            )
        };
        read(DIGEST, "0").unwrap();
        read(DIGEST, "9223372036854775807").unwrap();
        for size in ["-1", "7.0", "7e0", "\"7\"", "null", "9223372036854775808", "07"] {
            read(DIGEST, size).unwrap_err();
        }
        for digest in ["sha1:00", "sha256:00", "", &DIGEST.to_uppercase()] {
            read(digest, "7").unwrap_err();
        }
    }
}
