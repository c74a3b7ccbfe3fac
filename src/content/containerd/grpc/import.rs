//! Whole images, whose blobs are as large as they like.
//!
//! ```text
//! lease -> blobs in pieces, labels with each commit -> records -> no lease
//! ```

use std::io::{self, Write};

use containerd_client::services::v1::{AbortRequest, WriteAction, WriteContentRequest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::{Daemon, PIECE, UNARY, describe, timeout};
use crate::content::containerd::{
    ContainerdError, ContentStore as _, ContentWriter as _, ImageRecord, ImportError, Namespace,
    NewContent,
};

/// Bytes of one message; containerd's own pieces are as large.
const PIECE_BYTES: usize = 1 << 20;

/// Pieces that wait for containerd.
const WAITING: usize = 2;

const CALL: &str = "content write";

impl Daemon {
    pub(super) fn import_image(
        &self,
        namespace: &Namespace,
        content: &[NewContent<'_>],
        records: &[ImageRecord],
        lease_until: &str,
    ) -> Result<(), ImportError> {
        let lease = self.lease(namespace, lease_until)?;
        let imported = self.import_under(namespace, &lease, content, records);
        // Even after a failure: what nothing leads to is collected now.
        let ended = self.end_lease(namespace, &lease);
        imported?;
        Ok(ended?)
    }

    fn import_under(
        &self,
        namespace: &Namespace,
        lease: &str,
        content: &[NewContent<'_>],
        records: &[ImageRecord],
    ) -> Result<(), ImportError> {
        for each in content {
            self.stream(namespace, lease, each)?;
        }
        for record in records {
            self.put_image(namespace, lease, record)?;
        }
        Ok(())
    }

    /// Sends a blob in pieces; containerd hashes it before it commits.
    pub(super) fn stream(
        &self,
        namespace: &Namespace,
        lease: &str,
        content: &NewContent<'_>,
    ) -> Result<(), ImportError> {
        let reference = format!("dockseal-{lease}-{}", content.digest);
        let total =
            i64::try_from(content.size).map_err(|_| self.refused(CALL, "the blob is too large"))?;
        let is_there = self.info(namespace, content.digest)?.is_some();
        let (sender, receiver) = mpsc::channel(WAITING);
        let request = self.request(ReceiverStream::new(receiver), namespace, None)?;
        let request = self.held_by(request, lease)?;
        let mut client = self.content_client();
        let expected = content.digest.to_string();
        let answer: JoinHandle<Result<bool, Status>> = self.runtime.spawn(async move {
            let mut answers = client.write(request).await?.into_inner();
            let mut is_committed = false;
            while let Some(answer) = answers.message().await? {
                is_committed =
                    answer.action == i32::from(WriteAction::Commit) && answer.digest == expected;
            }
            Ok(is_committed)
        });
        let mut pieces = Pieces {
            daemon: self,
            sender,
            first: WriteContentRequest {
                r#ref: reference.clone(),
                total,
                expected: content.digest.to_string(),
                ..WriteContentRequest::default()
            },
            buffer: Vec::new(),
            offset: 0,
        };
        // containerd answers a question about content that it has with just that, and holds it.
        let filled = pieces.send(WriteAction::Stat).and_then(|()| {
            if is_there {
                return Ok(());
            }
            (content.fill)(&mut pieces)?;
            pieces.first.labels = content.labels.clone().into_iter().collect();
            pieces.send(WriteAction::Commit)
        });
        drop(pieces);
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PIECE, answer).await })
            .map_err(|_| timeout(&self.address, CALL, PIECE))?;
        let error = match (filled, answer) {
            (Ok(()), Ok(Ok(true))) => return Ok(()),
            (_, Ok(Err(status))) if status.code() == Code::AlreadyExists => {
                // The labels may be those of who wrote it first.
                if !content.labels.is_empty() {
                    self.label(namespace, content.digest, &content.labels)?;
                }
                return Ok(());
            }
            // Who refuses stops reading: the words say more than that.
            (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => {
                ImportError::Content(error)
            }
            (_, Ok(Err(status))) => self.refused(CALL, &describe(&status)).into(),
            (_, _) => self.refused(CALL, "the blob was not committed").into(),
        };
        // The reason is known. What is never committed expires, should this fail as well.
        let _ = self.abort(namespace, reference);
        Err(error)
    }

    /// Throws away what was sent of a blob.
    fn abort(&self, namespace: &Namespace, reference: String) -> Result<(), ContainerdError> {
        let message = AbortRequest { r#ref: reference };
        let request = self.request(message, namespace, Some(UNARY))?;
        self.call("content abort", self.content_client().abort(request)).map(drop)
    }
}

/// A blob on its way.
struct Pieces<'a> {
    daemon: &'a Daemon,
    sender: mpsc::Sender<WriteContentRequest>,
    /// What all messages have in common.
    first: WriteContentRequest,
    buffer: Vec<u8>,
    offset: i64,
}

impl Pieces<'_> {
    fn send(&mut self, action: WriteAction) -> io::Result<()> {
        let data = std::mem::take(&mut self.buffer);
        let length = i64::try_from(data.len()).map_err(io::Error::other)?;
        let message = WriteContentRequest {
            action: action.into(),
            offset: self.offset,
            data,
            ..self.first.clone()
        };
        let sent = self
            .daemon
            .runtime
            .block_on(async { tokio::time::timeout(PIECE, self.sender.send(message)).await });
        match sent {
            Ok(Ok(())) => {
                self.offset += length;
                Ok(())
            }
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(PIECE_BYTES - self.buffer.len());
        self.buffer.reserve(PIECE_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..length]);
        if self.buffer.len() == PIECE_BYTES {
            self.send(WriteAction::Write)?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
