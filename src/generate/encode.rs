//! Layers through Go's gzip, as `docker push` writes them.

use std::io::{self, Write};

use crate::content::archive::{Encoder, Encoders};
use crate::gogzip::boundaries::DockerWriter;
use crate::gogzip::{Generation, Writer};
use crate::image::digest::{Algorithm, Hasher};
use crate::image::schema2::Blob;

/// Makes encoders of one generation.
#[derive(Clone, Copy, Debug)]
pub(super) struct GzipLayers(pub(super) Generation);

impl Encoders for GzipLayers {
    fn encoder(&self) -> Box<dyn Encoder> {
        let gzip = Writer::new(Sink { hasher: Algorithm::Sha256.hasher(), size: 0 }, self.0);
        Box::new(GzipLayer(DockerWriter::new(gzip)))
    }
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
            let mut encoder = GzipLayers(generation).encoder();
            encoder.write(&vec![0; data]).unwrap();
            let blob = encoder.finish().unwrap();
            assert!(blob.digest.hex().starts_with(hex), "{generation} {data}: {}", blob.digest);
            assert_eq!(blob.size, size);
        }
    }
}
