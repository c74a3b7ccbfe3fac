//! The public face: a `Write` that compresses.

use std::io::{self, Write};

use super::Generation;
use super::plain::Encoder;

/// Compresses what is written to it, as Go's `gzip.NewWriter` does.
///
/// Each [`write`](Write::write) call stands for one Go Write call and takes all its bytes. In
/// generation [`Go1_8`](Generation::Go1_8) the sizes of the calls can change the output; callers
/// that reproduce what Docker pushed must use its sizes: see
/// [`boundaries::DockerWriter`](super::boundaries::DockerWriter).
///
/// Go's `Flush` is not offered: [`flush`](Write::flush) only flushes the inner writer.
///
/// ```
/// use std::io::Write;
/// use dockseal::gogzip::{Generation, Writer};
///
/// let mut gzip = Writer::new(Vec::new(), Generation::Go1_8);
/// gzip.write_all(&[0; 1024])?;
/// let bytes = gzip.finish()?;
/// assert_eq!(bytes.len(), 32); // Docker's famous empty layer, sha256:4f4fb700ef54...
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: W,
    encoder: Encoder,
    output: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A writer for one gzip file.
    pub fn new(inner: W, generation: Generation) -> Self {
        Self { inner, encoder: Encoder::new(generation), output: Vec::new() }
    }

    /// Writes the rest of the file and gives the inner writer back. Without it the file is cut off.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.encoder.finish(&mut self.output);
        self.inner.write_all(&self.output)?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.encoder.write(data, &mut self.output);
        self.inner.write_all(&self.output)?;
        self.output.clear();
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
