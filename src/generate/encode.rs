//! Layers through Go's gzip, as `docker push` writes them.

use std::io::{self, Read, Write};
use std::num::NonZero;

use super::cache::LayerCache;
use crate::content::archive::{Encoder, Encoders};
use crate::gogzip::boundaries::DockerWriter;
use crate::gogzip::{Generation, Options, Writer};
use crate::image::digest::{Algorithm, Digest, Hasher};
use crate::image::schema2::Blob;

/// Makes encoders of one generation, for the layers that the cache does not know.
#[derive(Clone, Debug)]
pub(super) struct GzipLayers {
    pub(super) generation: Generation,
    pub(super) cache: Option<LayerCache>,
}

impl GzipLayers {
    /// What a layer compresses to, if the cache knows.
    pub(super) fn known(&self, diff_id: &Digest) -> Option<Blob> {
        self.cache.as_ref()?.get(self.generation, diff_id)
    }

    /// Remembers a result. A cache that can't be written is no reason to fail.
    pub(super) fn remember(&self, diff_id: &Digest, blob: &Blob) {
        if let Some(cache) = &self.cache {
            let _ = cache.put(self.generation, diff_id, blob);
        }
    }
}

impl Encoders for GzipLayers {
    fn encoder(&self, threads: NonZero<usize>) -> Option<Box<dyn Encoder>> {
        let sink = Sink { hasher: Algorithm::Sha256.hasher(), size: 0 };
        let gzip = Options::new(self.generation).threads(threads).writer(sink);
        Some(Box::new(GzipLayer(DockerWriter::new(gzip))))
    }

    fn name(&self) -> &'static str {
        self.generation.as_str()
    }

    /// A stream shows its layers before its config. Most writers name them by their DiffIDs, and
    /// the cache may know that one.
    fn can_wait(&self, name: &str) -> bool {
        named_diff_id(name).is_some_and(|diff_id| self.known(&diff_id).is_some())
    }
}

/// The DiffID in a name: `blobs/sha256/<hex>` (docker 25+) or `<hex>.tar` (podman, skopeo).
fn named_diff_id(name: &str) -> Option<Digest> {
    let hex = name.strip_prefix("blobs/sha256/").or_else(|| name.strip_suffix(".tar"))?;
    Digest::from_hex(Algorithm::Sha256, hex).ok()
}

/// One layer on its way: cut as dockerd cuts it, compressed, hashed and counted.
struct GzipLayer(DockerWriter<Writer<Sink>>);

impl Encoder for GzipLayer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn finish(self: Box<Self>) -> io::Result<Blob> {
        // Where the layer is no tar that dockerd could have cut, plain pieces are the rule.
        let (gzip, _fallback) = self.0.finish()?;
        let sink = gzip.finish()?;
        Ok(Blob { digest: sink.hasher.finish(), size: sink.size })
    }
}

/// Compresses a layer as `docker push` of an engine of that generation does.
///
/// # Errors
/// What the reader and the writer return.
pub fn compress_layer(
    generation: Generation,
    threads: NonZero<usize>,
    layer: &mut dyn Read,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut gzip = DockerWriter::new(Options::new(generation).threads(threads).writer(out));
    io::copy(layer, &mut gzip)?;
    let (gzip, _fallback) = gzip.finish()?;
    gzip.finish()?.flush()
}

/// What [`compress_layer`] writes, if that is all that is asked.
///
/// # Errors
/// What the reader returns.
pub fn compressed_layer(
    generation: Generation,
    threads: NonZero<usize>,
    layer: &mut dyn Read,
) -> io::Result<Blob> {
    let mut sink = Sink { hasher: Algorithm::Sha256.hasher(), size: 0 };
    compress_layer(generation, threads, layer, &mut sink)?;
    Ok(Blob { digest: sink.hasher.finish(), size: sink.size })
}

/// Hashes and counts; keeps nothing.
struct Sink {
    hasher: Hasher,
    size: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The empty layer's digests, known from many registries (spec/docker.md 4.2).
    #[test]
    fn empty_layer() {
        for (generation, data, hex, size) in [
            (Generation::Go1_8, 1024, "4f4fb700ef54461c", 32),
            (Generation::Go1_27, 1024, "9addb4c7f3afa99b", 29),
            (Generation::Go1_8, 0, "30e6fa98", 23),
            (Generation::Go1_27, 0, "ac73670a", 20),
        ] {
            let encoders = GzipLayers { generation, cache: None };
            let mut encoder = encoders.encoder(NonZero::<usize>::MIN).unwrap();
            encoder.write(&vec![0; data]).unwrap();
            let blob = encoder.finish().unwrap();
            assert!(blob.digest.hex().starts_with(hex), "{generation} {data}: {}", blob.digest);
            assert_eq!(blob.size, size);
        }
    }
}
