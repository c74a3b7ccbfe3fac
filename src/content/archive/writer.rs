//! Who wrote an archive with both views: a graph-driver engine or containerd's exporter.
//!
//! It decides everything: a graph-driver push makes a new manifest and compresses every layer
//! again, a containerd push sends the stored bytes. The OCI manifest in a graph-driver archive is
//! invented by `docker save`; nothing ever pushes it from that engine.

use super::docker_view::DockerView;
use super::error::ArchiveError;
use super::oci_view::OciView;
use super::scan::Archive;
use crate::image::media_type;

/// Length of `{"imageLayoutVersion": "1.0.0"}`, with a space: graph-driver engines since 25.0.
const GRAPH_LAYOUT_BYTES: usize = 31;

/// The writer of an archive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writer {
    /// containerd's exporter, or anything else whose archive holds the real manifests.
    Containerd,
    /// A graph-driver engine, or anything else that writes a docker-archive.
    Graph,
}

/// Why the writer was taken for what it is.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The verdict.
    pub writer: Writer,
    /// The signals for it.
    pub signals: Vec<&'static str>,
}

impl Evidence {
    /// Classifies an archive by its views; at least one must be there.
    ///
    /// # Errors
    /// When the signals contradict each other.
    pub fn of(
        archive: &Archive,
        docker: Option<&DockerView>,
        oci: Option<&OciView>,
    ) -> Result<Self, ArchiveError> {
        let (docker, oci) = match (docker, oci) {
            (Some(docker), Some(oci)) => (docker, oci),
            (Some(_), None) => {
                let signals = vec!["manifest.json without index.json"];
                return Ok(Self { writer: Writer::Graph, signals });
            }
            _ => {
                let signals = vec!["index.json without manifest.json"];
                return Ok(Self { writer: Writer::Containerd, signals });
            }
        };
        let graph = graph_signals(docker, oci);
        let containerd = containerd_signals(archive, oci);
        let decisive = docker.has_layer_sources || oci.layout_bytes == GRAPH_LAYOUT_BYTES;
        match (decisive, containerd.is_empty()) {
            (true, true) => Ok(Self { writer: Writer::Graph, signals: graph }),
            (true, false) => Err(ArchiveError::Writer {
                graph: graph.join(", "),
                containerd: containerd.join(", "),
            }),
            (false, _) => {
                let mut signals = containerd;
                signals.push("no LayerSources, a compact oci-layout");
                Ok(Self { writer: Writer::Containerd, signals })
            }
        }
    }
}

fn graph_signals(docker: &DockerView, oci: &OciView) -> Vec<&'static str> {
    [
        (docker.has_layer_sources, "LayerSources for every layer"),
        (oci.layout_bytes == GRAPH_LAYOUT_BYTES, "oci-layout with a space"),
        (docker.ends_with_newline, "manifest.json ends with a newline"),
    ]
    .into_iter()
    .filter_map(|(holds, signal)| holds.then_some(signal))
    .collect()
}

/// Signals that a graph-driver engine never gives.
fn containerd_signals(archive: &Archive, oci: &OciView) -> Vec<&'static str> {
    let never_graph = |media: &str| media != media_type::OCI_MANIFEST;
    let exported = archive
        .members()
        .filter(|(name, _)| name.starts_with("blobs/"))
        .all(|(_, member)| member.mode & 0o777 == 0o444);
    let foreign_top = oci.entries.iter().any(|e| never_graph(&e.descriptor.media_type));
    [
        (oci.has_containerd_annotations, "containerd's annotations in index.json"),
        (foreign_top, "an index or docker manifest in index.json"),
        (exported && oci.layout_bytes != GRAPH_LAYOUT_BYTES, "blobs of mode 0444"),
    ]
    .into_iter()
    .filter_map(|(holds, signal)| holds.then_some(signal))
    .collect()
}
