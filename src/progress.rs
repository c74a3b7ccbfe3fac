//! Progress of long work, as the use cases report it. No terminal here: the command line draws.

/// Receives the progress of long work.
///
/// Every method has an empty default, so `()` is a silent receiver.
pub trait Progress: Send + Sync {
    /// A step with a name begins; `total` is its size in bytes where it is known.
    fn start(&self, _step: &str, _total: Option<u64>) {}
    /// `bytes` more bytes of the current step are done.
    fn advance(&self, _bytes: u64) {}
    /// The current step is done.
    fn finish(&self) {}
}

impl Progress for () {}
