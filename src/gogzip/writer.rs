//! The public face: a `Write` that compresses.

use std::io::{self, Write};
use std::num::NonZero;

use super::Generation;
use super::fast::Encoder;

/// How a [`Writer`] works. Nothing here but the generation changes a byte of the output.
///
/// ```
/// use std::io::Write;
/// use dockseal::gogzip::{Generation, Options};
///
/// let threads = std::thread::available_parallelism()?;
/// let mut gzip = Options::new(Generation::Go1_8).threads(threads).writer(Vec::new());
/// gzip.write_all(b"abcd bcdefgh abcdefgh!")?;
/// assert_eq!(gzip.finish()?.len(), 41);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Options {
    generation: Generation,
    threads: NonZero<usize>,
}

impl Options {
    /// The output of this generation, made on the caller's thread.
    pub fn new(generation: Generation) -> Self {
        Self { generation, threads: NonZero::<usize>::MIN }
    }

    /// How many threads compress, beside the caller's. One means: the caller's. They are started
    /// when the input exceeds half a mebibyte, and need some ten mebibytes each. Generation
    /// [`Go1_27`](Generation::Go1_27) uses the caller's thread only.
    pub fn threads(self, threads: NonZero<usize>) -> Self {
        Self { threads, ..self }
    }

    /// A writer for one gzip file.
    pub fn writer<W: Write>(self, inner: W) -> Writer<W> {
        Writer { inner, encoder: Encoder::new(self.generation, self.threads), output: Vec::new() }
    }
}

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
    /// A writer for one gzip file, on the caller's thread; for more see [`Options`].
    pub fn new(inner: W, generation: Generation) -> Self {
        Options::new(generation).writer(inner)
    }

    /// Writes the rest of the file and gives the inner writer back. Without it the file is cut off.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.encoder.finish(&mut self.output)?;
        self.inner.write_all(&self.output)?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.encoder.write(data, &mut self.output)?;
        self.inner.write_all(&self.output)?;
        self.output.clear();
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
