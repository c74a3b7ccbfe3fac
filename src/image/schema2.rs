//! The manifest that a graph-driver `docker push` makes, byte for byte.
//!
//! `docker push` of the graph-driver store renders a Docker schema 2 manifest with Go's
//! `json.MarshalIndent(m, "", "   ")`: three spaces a level, `": "` after keys, no newline at the
//! end, members in the order of the Go structs. It is the same since docker 1.10 and has only
//! strings that need no escaping (media types and digests), so the rendering is a template.

use std::fmt::Write as _;

use super::descriptor::Descriptor;
use super::digest::Digest;
use super::media_type;

/// Digest and length in bytes of a layer's gzip, as push sends it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blob {
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// Renders the manifest for a config and the gzipped layers, base layer first.
#[must_use]
pub fn render(config: &Blob, layers: &[Blob]) -> Vec<u8> {
    let mut text = format!(
        "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{}\",\n   \"config\": {},\n   \"layers\": ",
        media_type::DOCKER_MANIFEST,
        descriptor(media_type::DOCKER_CONFIG, config, "   "),
    );
    if layers.is_empty() {
        text.push_str("[]");
    } else {
        text.push('[');
        for (i, layer) in layers.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let layer = descriptor(media_type::DOCKER_LAYER_GZIP, layer, "      ");
            // Writing to a String can't fail.
            let _ = write!(text, "{comma}\n      {layer}");
        }
        text.push_str("\n   ]");
    }
    text.push_str("\n}");
    text.into_bytes()
}

/// Renders the manifest that containerd's importer makes of a docker-archive without an OCI view:
/// compact, the layers as they are in the archive.
#[must_use]
pub fn render_imported(config: &Blob, layers: &[Descriptor]) -> Vec<u8> {
    let compact = |media_type: &str, digest: &Digest, size: u64| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
    };
    let layers: Vec<String> =
        layers.iter().map(|l| compact(&l.media_type, &l.digest, l.size)).collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        media_type::DOCKER_MANIFEST,
        compact(media_type::DOCKER_CONFIG, &config.digest, config.size),
        layers.join(","),
    )
    .into_bytes()
}

fn descriptor(media_type: &str, blob: &Blob, indent: &str) -> String {
    format!(
        "{{\n{indent}   \"mediaType\": \"{media_type}\",\n{indent}   \"size\": {},\n{indent}   \"digest\": \"{}\"\n{indent}}}",
        blob.size, blob.digest
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(content: &[u8]) -> Blob {
        Blob { digest: Digest::sha256(content), size: content.len() as u64 }
    }

    #[test]
    fn no_layers_stay_on_one_line() {
        let text = String::from_utf8(render(&blob(b"{}"), &[])).unwrap();
        assert!(text.ends_with("   },\n   \"layers\": []\n}"), "{text}");
    }

    #[test]
    fn rendering_is_gos() {
        // The form of spec 4.1, checked against pushed manifests in tests/fixtures.rs.
        let a = blob(b"a");
        let expected = format!(
            "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{}\",\n   \"config\": {{\n      \
             \"mediaType\": \"{}\",\n      \"size\": 1,\n      \"digest\": \"{d}\"\n   }},\n   \
             \"layers\": [\n      {{\n         \"mediaType\": \"{}\",\n         \"size\": 1,\n         \
             \"digest\": \"{d}\"\n      }}\n   ]\n}}",
            media_type::DOCKER_MANIFEST,
            media_type::DOCKER_CONFIG,
            media_type::DOCKER_LAYER_GZIP,
            d = a.digest,
        );
        assert_eq!(String::from_utf8(render(&a, std::slice::from_ref(&a))).unwrap(), expected);
    }
}
