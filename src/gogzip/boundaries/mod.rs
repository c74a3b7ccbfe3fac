//! How `dockerd` cuts a layer into Write calls on its way into the compressor.
//!
//! On push the engine re-assembles the layer's tar from its tar-split records: each record passes
//! through a chain of 32 KiB copies that never merge two writes. So the boundaries are the ends of
//! the records, and every 32768 bytes inside a record. The records are not in an image archive,
//! but they are a function of the layer's tar: a *segment* for what lies between payloads (padding
//! of the payload before, headers) and an entry for each payload.
//!
//! Only generation [`Go1_8`](super::Generation::Go1_8) depends on the boundaries, and only on rare
//! inputs. Bytes after the end marker are cut as if each read had been full, which cannot be known.

mod header;
mod segmenter;

use std::io::{self, Write};

pub use self::segmenter::{Fallback, FallbackReason, Segmenter};

/// The longest Write `dockerd` makes.
pub const MAX_WRITE: usize = 32 * 1024;

/// Passes a layer's tar on in the writes `dockerd` would make, whatever pieces it arrives in.
///
/// ```
/// use std::io::Write;
/// use dockseal::gogzip::{Generation, Writer, boundaries::DockerWriter};
///
/// let gzip = Writer::new(Vec::new(), Generation::Go1_8);
/// let mut layer = DockerWriter::new(gzip);
/// layer.write_all(&[0; 1024])?;
/// let (gzip, fallback) = layer.finish()?;
/// assert_eq!(fallback, None);
/// assert_eq!(gzip.finish()?.len(), 32);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DockerWriter<W: Write> {
    inner: W,
    segmenter: Segmenter,
    /// The start of a write whose end has not arrived.
    partial: Vec<u8>,
}

impl<W: Write> DockerWriter<W> {
    /// Wraps what takes the writes, usually a [`Writer`](super::Writer).
    pub fn new(inner: W) -> Self {
        Self { inner, segmenter: Segmenter::new(), partial: Vec::with_capacity(MAX_WRITE) }
    }

    /// Makes the last write. The [`Fallback`] says where the stream stopped being a tar that
    /// Docker's layer store could have pushed, if it did.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<(W, Option<Fallback>)> {
        if !self.partial.is_empty() {
            self.inner.write_all(&self.partial)?;
        }
        Ok((self.inner, self.segmenter.finish()))
    }
}

impl<W: Write> Write for DockerWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut rest = data;
        while !rest.is_empty() {
            let (length, ends) = self.segmenter.advance(rest);
            let (piece, later) = rest.split_at(length);
            rest = later;
            if !ends {
                self.partial.extend_from_slice(piece);
            } else if self.partial.is_empty() {
                self.inner.write_all(piece)?;
            } else {
                self.partial.extend_from_slice(piece);
                self.inner.write_all(&self.partial)?;
                self.partial.clear();
            }
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
