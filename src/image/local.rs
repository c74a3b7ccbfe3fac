//! The descriptor of a document that is given as bytes, without a store that knows its media type.
//!
//! The media type is signed and compared, so a wrong guess makes signatures that nothing verifies
//! against. The rule (spec/notation.md §10.3): what the caller says, else the document's own
//! `mediaType`, else what its members show. A contradiction between the first two is an error, and
//! so is a document that is a manifest and an index at once (CVE-2021-41190).

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::descriptor::Descriptor;
use super::digest::Algorithm;
use super::json::{self, ReadError, Rules};
use super::manifest::MAX_BYTES;
use super::media_type;

/// How the media type was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaTypeSource {
    /// The caller said it.
    Caller,
    /// The document says it.
    Document,
    /// The document's members show it.
    Members,
    /// Nothing shows it: it is the default of the original offline-signing design.
    Default,
}

/// Whether what the caller says has to agree with the document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Agreement {
    /// It has to.
    Required,
    /// It need not: the caller insists.
    Waived,
}

/// A descriptor computed from bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalDocument {
    /// Media type, digest and size of the bytes.
    pub descriptor: Descriptor,
    /// How the media type was found.
    pub source: MediaTypeSource,
}

const RULES: Rules = Rules {
    max_bytes: MAX_BYTES,
    max_depth: Rules::MAX_DEPTH,
    known: &["mediaType", "manifests", "layers", "config", "schemaVersion"],
    free_maps: &["annotations"],
};

/// The members that show what a document is. Other members, and other types, are not judged here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: Option<String>,
}

impl LocalDocument {
    /// Describes `bytes`; `named` is the media type that the caller says.
    ///
    /// # Errors
    /// [`LocalError`]. Bytes that are no JSON need a media type from the caller, and one that is
    /// not that of a manifest or an index.
    pub fn describe(
        bytes: &[u8],
        algorithm: Algorithm,
        named: Option<&str>,
        agreement: Agreement,
    ) -> Result<Self, LocalError> {
        let (media_type, source) = media_type_of(bytes, named, agreement)?;
        Ok(Self { descriptor: Descriptor::of(media_type, algorithm, bytes), source })
    }
}

fn media_type_of(
    bytes: &[u8],
    named: Option<&str>,
    agreement: Agreement,
) -> Result<(String, MediaTypeSource), LocalError> {
    let named = match (named, agreement) {
        (Some(named), Agreement::Waived) => {
            return Ok((named.to_owned(), MediaTypeSource::Caller));
        }
        (named, _) => named,
    };
    let shape: Shape = match (json::read(bytes, &RULES), named) {
        (Ok(shape), _) => shape,
        (Err(_), Some(named))
            if !media_type::is_manifest(named) && !media_type::is_index(named) =>
        {
            return Ok((named.to_owned(), MediaTypeSource::Caller));
        }
        (Err(error), _) => return Err(error.into()),
    };
    if shape.manifests.is_some() && (shape.layers.is_some() || shape.config.is_some()) {
        return Err(LocalError::Ambiguous);
    }
    match (named, shape.media_type) {
        (Some(named), Some(own)) if named != own => {
            Err(LocalError::Contradiction { named: named.to_owned(), own })
        }
        (Some(named), _) => Ok((named.to_owned(), MediaTypeSource::Caller)),
        (None, Some(own)) => Ok((own, MediaTypeSource::Document)),
        (None, None) if shape.manifests.is_some() => {
            Ok((media_type::OCI_INDEX.to_owned(), MediaTypeSource::Members))
        }
        (None, None) => Ok(match shape.config.and_then(|config| config.media_type).as_deref() {
            None => (media_type::DOCKER_MANIFEST.to_owned(), MediaTypeSource::Default),
            Some(media_type::DOCKER_CONFIG) => {
                (media_type::DOCKER_MANIFEST.to_owned(), MediaTypeSource::Members)
            }
            Some(_) => (media_type::OCI_MANIFEST.to_owned(), MediaTypeSource::Members),
        }),
    }
}

/// Why a document can't be described.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The document is a manifest to one reader and an index to another.
    #[error("document has both \"manifests\" and \"layers\" or \"config\"")]
    Ambiguous,
    /// The caller says another media type than the document.
    #[error("the document says its media type is {own:?}, not {named:?}")]
    Contradiction {
        /// What the caller says.
        named: String,
        /// What the document says.
        own: String,
    },
    /// The document is no strict JSON.
    #[error("not a manifest: {0}")]
    Json(#[from] ReadError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = media_type::OCI_INDEX;
    const OCI: &str = media_type::OCI_MANIFEST;
    const DOCKER: &str = media_type::DOCKER_MANIFEST;

    fn describe(text: &str, named: Option<&str>) -> Result<(String, MediaTypeSource), LocalError> {
        LocalDocument::describe(text.as_bytes(), Algorithm::Sha256, named, Agreement::Required)
            .map(|document| (document.descriptor.media_type, document.source))
    }

    #[test]
    fn the_caller_then_the_document_then_its_members() {
        use MediaTypeSource::{Caller, Default, Document, Members};
        let own = format!(r#"{{"mediaType":"{OCI}","config":{{}},"layers":[]}}"#);
        let config = |kind: &str| format!(r#"{{"config":{{"mediaType":"{kind}"}}}}"#);
        for (text, named, expected, source) in [
            (own.as_str(), None, OCI, Document),
            (&own, Some(OCI), OCI, Caller),
            (r#"{"manifests":[]}"#, None, INDEX, Members),
            (&config(media_type::DOCKER_CONFIG), None, DOCKER, Members),
            (&config(media_type::OCI_CONFIG), None, OCI, Members),
            (&config("application/x"), None, OCI, Members),
            ("{}", None, DOCKER, Default),
            ("{}", Some(INDEX), INDEX, Caller),
            ("no json", Some("text/plain"), "text/plain", Caller),
        ] {
            assert_eq!(describe(text, named).unwrap(), (expected.to_owned(), source), "{text}");
        }
    }

    #[test]
    fn s8_ambiguous_and_contradictory_documents_are_refused() {
        for (text, named) in [
            (r#"{"manifests":[],"layers":[]}"#, None),
            (r#"{"manifests":[],"config":{}}"#, Some(OCI)),
            (r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#, Some(OCI)),
            (r#"{"mediaType":"a","mediatype":"b"}"#, None),
            (r#"{"mediaType":"a","mediaType":"a"}"#, None),
            (r#"{"mediaType":1}"#, None),
            ("no json", None),
            ("no json", Some(OCI)),
            ("", None),
        ] {
            assert!(describe(text, named).is_err(), "{text} {named:?}");
        }
        let forced = LocalDocument::describe(
            br#"{"mediaType":"a"}"#,
            Algorithm::Sha512,
            Some("b"),
            Agreement::Waived,
        );
        let descriptor = forced.unwrap().descriptor;
        assert_eq!(descriptor.media_type, "b");
        assert_eq!(descriptor.digest.algorithm(), Algorithm::Sha512);
    }
}
