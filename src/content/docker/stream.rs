//! Archives from and to an engine, as blocking streams.

use std::fmt;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, stream};
use hyper::body::Bytes;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::error::EngineError;

/// Pieces of an upload that wait for the engine.
const WAITING: usize = 4;

/// What an export failed with; known to the reader and to whoever gave it away.
type Failure = Arc<Mutex<Option<EngineError>>>;

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, EngineError>>>>;

/// The tar of an image, as the engine writes it.
pub struct Export {
    runtime: Arc<Runtime>,
    pieces: Pieces,
    piece: Bytes,
    failure: Failure,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Export")
    }
}

/// What becomes of an [`Export`] that was given to a reader.
#[derive(Clone, Debug, Default)]
pub struct ExportFailure(Failure);

impl ExportFailure {
    /// What broke the stream, if that happened.
    #[must_use]
    pub fn take(&self) -> Option<EngineError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Export {
    /// Waits for the first piece: a refusal comes instead of it.
    pub(super) fn begin(runtime: Arc<Runtime>, pieces: Pieces) -> Result<Self, EngineError> {
        let mut export = Self { runtime, pieces, piece: Bytes::new(), failure: Failure::default() };
        export.next()?;
        Ok(export)
    }

    /// Tells later whether the stream broke: a reader may have more to say about the bytes than
    /// about that.
    #[must_use]
    pub fn failure(&self) -> ExportFailure {
        ExportFailure(Arc::clone(&self.failure))
    }

    /// Waits for the next piece; whether there is one.
    fn next(&mut self) -> Result<bool, EngineError> {
        use futures_util::StreamExt as _;

        while self.piece.is_empty() {
            match self.runtime.block_on(self.pieces.next()) {
                None => return Ok(false),
                Some(piece) => self.piece = piece?,
            }
        }
        Ok(true)
    }
}

impl Read for Export {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Err(error) = self.next() {
            let text = error.to_string();
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return Err(io::Error::other(text));
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// An archive on its way to the engine.
#[derive(Debug)]
pub struct Upload<'a> {
    runtime: &'a Runtime,
    pieces: Option<mpsc::Sender<io::Result<Bytes>>>,
    refused: bool,
}

impl<'a> Upload<'a> {
    /// What is written to, and what the engine gets of it.
    pub(super) fn begin(
        runtime: &'a Runtime,
    ) -> (Self, impl Stream<Item = io::Result<Bytes>> + Send + use<>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let pieces = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        (Self { runtime, pieces: Some(sender), refused: false }, pieces)
    }

    /// Tells the engine whether that was all, or that the archive has no end.
    pub(super) fn end(&mut self, is_whole: bool) {
        if let Some(pieces) = self.pieces.take().filter(|_| !is_whole) {
            let error = io::Error::other("the archive breaks off");
            // Who does not listen any more need not be told.
            let _ = self.runtime.block_on(pieces.send(Err(error)));
        }
    }

    /// Whether the engine stopped reading before the end.
    pub(super) fn was_refused(&self) -> bool {
        self.refused
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let Some(pieces) = &self.pieces else { return Err(io::ErrorKind::BrokenPipe.into()) };
        if buffer.is_empty() {
            return Ok(0);
        }
        let piece = Bytes::copy_from_slice(buffer);
        // The engine is talked to while this waits.
        if self.runtime.block_on(pieces.send(Ok(piece))).is_err() {
            self.refused = true;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
