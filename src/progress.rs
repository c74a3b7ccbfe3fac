//! Progress of long work, as the use cases report it. No terminal here: the command line draws.
//!
//! Work has steps, such as the layers of an image, several of which may be under way at a time.

use std::fmt;
use std::io::{self, Read, Write};

/// Receives the progress of long work.
///
/// Every method has an empty default, so `()` is a silent receiver.
pub trait Progress: fmt::Debug + Send + Sync {
    /// Work begins that has so many steps, and so many bytes together. `what` the steps are is said
    /// in the plural. Of a stream nobody knows: its steps come without this.
    fn begin(&self, _what: &'static str, _steps: usize, _bytes: u64) {}
    /// A step begins, perhaps beside others; it is done when the answer is dropped. `total` is its
    /// size in bytes where that is known. The name may be what others wrote.
    fn step(&self, _name: &str, _total: Option<u64>) -> Box<dyn Step> {
        Box::new(())
    }
}

/// A step that is under way.
pub trait Step: Send + Sync {
    /// `bytes` more bytes of it are done.
    fn advance(&self, _bytes: u64) {}
}

impl Progress for () {}
impl Step for () {}

/// Tells a step of every byte that is read or written through it.
pub struct Counted<'a, R> {
    inner: R,
    step: &'a dyn Step,
}

impl<'a, R> Counted<'a, R> {
    /// Reads from `inner`, or writes to it.
    pub fn new(inner: R, step: &'a dyn Step) -> Self {
        Self { inner, step }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.step.advance(n as u64);
        Ok(n)
    }
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.step.advance(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R> fmt::Debug for Counted<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}
