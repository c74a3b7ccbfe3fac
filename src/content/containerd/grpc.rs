//! containerd over its socket (spec/containerd.md §5).
//!
//! The socket is as good as root, so only calls that read are made here; those that write, which
//! only who asks for it by name gets, are in `write`. Every call is bounded in time, and its
//! namespace is a checked [`Namespace`]: the crate's `with_namespace!` panics on some. tokio ends
//! here: what is public blocks.

mod import;
mod write;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::namespaces_client::NamespacesClient;
use containerd_client::services::v1::{
    GetImageRequest, Image, Info, InfoRequest, ListContentRequest, ListImagesRequest,
    ListNamespacesRequest, ReadContentRequest, ReadContentResponse,
};
use tokio::runtime::{Builder, Runtime};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

use super::error::ContainerdError;
use super::{BlobInfo, ContentStore, ContentWriter, ImageRecord, Labels, Namespace};
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;

/// How long connecting may take. ctr waits 10 s for a dead socket.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a call with one answer may take.
const UNARY: Duration = Duration::from_secs(10);
/// How long the next piece of a stream may take. A layer as a whole takes as long as it takes.
const PIECE: Duration = Duration::from_secs(60);
/// Largest answer: containerd's own limit.
const MAX_MESSAGE: usize = 16 << 20;
/// Most blobs of a namespace.
const MAX_BLOBS: usize = 1_000_000;
/// Longest text of an error that is shown.
const MAX_TEXT: usize = 500;

/// A running containerd.
pub struct Daemon {
    address: String,
    runtime: Runtime,
    channel: Channel,
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Daemon {
    /// Connects to the socket at `address`, a path with or without `unix://`.
    ///
    /// # Errors
    /// [`ContainerdError::Connect`]: there is nobody, or no permission; [`ContainerdError::Timeout`].
    pub fn connect(address: &str) -> Result<Self, ContainerdError> {
        let failed = |source| ContainerdError::Connect { address: address.to_owned(), source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let path = Path::new(address.strip_prefix("unix://").unwrap_or(address)).to_owned();
        let connected = runtime.block_on(async {
            tokio::time::timeout(CONNECT, containerd_client::connect(path)).await
        });
        let channel = match connected {
            Ok(channel) => channel.map_err(|error| failed(cause(&error)))?,
            Err(_) => return Err(timeout(address, "connecting", CONNECT)),
        };
        Ok(Self { address: address.to_owned(), runtime, channel })
    }

    /// Makes one call; `None` where containerd has not found what was asked for.
    fn call<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Option<T>, ContainerdError> {
        self.within(UNARY, call, answer)
    }

    fn within<T>(
        &self,
        limit: Duration,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Option<T>, ContainerdError> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(limit, answer).await });
        match answer {
            Ok(Ok(answer)) => Ok(Some(answer.into_inner())),
            Ok(Err(status)) if status.code() == Code::NotFound => Ok(None),
            Ok(Err(status)) if status.code() == Code::DeadlineExceeded => {
                Err(timeout(&self.address, call, limit))
            }
            Ok(Err(status)) => Err(self.refused(call, &describe(&status))),
            Err(_) => Err(timeout(&self.address, call, limit)),
        }
    }

    fn refused(&self, call: &'static str, message: &str) -> ContainerdError {
        let (address, message) = (self.address.clone(), clean(message));
        ContainerdError::Status { address, call, message }
    }

    /// Every request about a namespace is made here. The deadline goes to the server, too.
    fn request<T>(
        &self,
        message: T,
        namespace: &Namespace,
        deadline: Option<Duration>,
    ) -> Result<Request<T>, ContainerdError> {
        let mut request = Request::new(message);
        let value: MetadataValue<_> = namespace
            .as_str()
            .parse()
            .map_err(|_| self.refused("namespace", "it is no value of a header"))?;
        request.metadata_mut().insert("containerd-namespace", value);
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        Ok(request)
    }

    fn images_client(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    fn content_client(&self) -> ContentClient<Channel> {
        ContentClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    fn record(&self, image: Image) -> Result<ImageRecord, ContainerdError> {
        let bad =
            |what: &str| self.refused("images", &format!("image {:?} has no {what}", image.name));
        let target = image.target.as_ref().ok_or_else(|| bad("target"))?;
        let digest: Digest =
            target.digest.parse().map_err(|_| bad("legal digest as its target"))?;
        let size = u64::try_from(target.size).map_err(|_| bad("legal size"))?;
        Ok(ImageRecord {
            target: Descriptor::new(target.media_type.clone(), digest, size),
            labels: image.labels.into_iter().collect::<Labels>(),
            name: image.name,
        })
    }
}

impl Daemon {
    fn blob_info(&self, info: Info) -> Result<BlobInfo, ContainerdError> {
        let illegal =
            |_| self.refused("content info", &format!("{} has no legal size", info.digest));
        let size = u64::try_from(info.size).map_err(illegal)?;
        Ok(BlobInfo { size, labels: info.labels.into_iter().collect() })
    }
}

impl ContentStore for Daemon {
    fn place(&self) -> String {
        format!("containerd at {}", self.address)
    }

    fn namespaces(&self) -> Result<Vec<Namespace>, ContainerdError> {
        let mut client =
            NamespacesClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let mut request = Request::new(ListNamespacesRequest::default());
        request.set_timeout(UNARY);
        let call = "namespaces";
        let answer = self.call(call, client.list(request))?.unwrap_or_default();
        let parse =
            |name: &str| name.parse().map_err(|error| self.refused(call, &format!("{error}")));
        let mut names = answer
            .namespaces
            .iter()
            .map(|namespace| parse(&namespace.name))
            .collect::<Result<Vec<Namespace>, _>>()?;
        names.sort();
        Ok(names)
    }

    fn image(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<ImageRecord>, ContainerdError> {
        // containerd takes an empty name for a mistake, not for one that is not there.
        if name.is_empty() {
            return Ok(None);
        }
        let message = GetImageRequest { name: name.to_owned() };
        let request = self.request(message, namespace, Some(UNARY))?;
        let answer = self.call("image", self.images_client().get(request))?;
        match answer.and_then(|answer| answer.image) {
            // Whatever it answers, it was asked for this name.
            Some(image) if image.name == name => self.record(image).map(Some),
            Some(image) => Err(self.refused("image", &format!("it answers with {:?}", image.name))),
            None => Ok(None),
        }
    }

    fn images(&self, namespace: &Namespace) -> Result<Vec<ImageRecord>, ContainerdError> {
        let request = self.request(ListImagesRequest::default(), namespace, Some(UNARY))?;
        let answer = self.call("images", self.images_client().list(request))?.unwrap_or_default();
        let mut images = answer
            .images
            .into_iter()
            .map(|image| self.record(image))
            .collect::<Result<Vec<_>, _>>()?;
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(images)
    }

    fn info(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, ContainerdError> {
        let message = InfoRequest { digest: digest.to_string() };
        let request = self.request(message, namespace, Some(UNARY))?;
        let answer = self.call("content info", self.content_client().info(request))?;
        let Some(info) = answer.and_then(|answer| answer.info) else { return Ok(None) };
        self.blob_info(info).map(Some)
    }

    fn blobs(&self, namespace: &Namespace) -> Result<Vec<(Digest, BlobInfo)>, ContainerdError> {
        let request = self.request(ListContentRequest::default(), namespace, None)?;
        let call = "content list";
        let mut client = self.content_client();
        let Some(mut stream) = self.call(call, client.list(request))? else {
            return Ok(Vec::new());
        };
        let mut blobs = Vec::new();
        loop {
            let next = stream.message();
            let next = self.runtime.block_on(async { tokio::time::timeout(PIECE, next).await });
            let listed = match next {
                Ok(Ok(Some(message))) => message.info,
                Ok(Ok(None)) => break,
                Ok(Err(status)) => return Err(self.refused(call, &describe(&status))),
                Err(_) => return Err(timeout(&self.address, call, PIECE)),
            };
            for info in listed {
                if blobs.len() == MAX_BLOBS {
                    let what = format!("the number of blobs in namespace {namespace}");
                    return Err(ContainerdError::Limit { what, limit: MAX_BLOBS as u64 });
                }
                let digest: Digest =
                    info.digest.parse().map_err(|_| self.refused(call, "a digest is not legal"))?;
                blobs.push((digest, self.blob_info(info)?));
            }
        }
        blobs.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(blobs)
    }

    fn writer(&self) -> Option<&dyn ContentWriter> {
        Some(self)
    }

    fn open<'a>(
        &'a self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Option<Box<dyn Read + 'a>>, ContainerdError> {
        let message = ReadContentRequest { digest: digest.to_string(), offset: 0, size: 0 };
        let request = self.request(message, namespace, None)?;
        let call = "content";
        let Some(stream) = self.call(call, self.content_client().read(request))? else {
            return Ok(None);
        };
        let mut blob =
            Blob { runtime: &self.runtime, stream, piece: Vec::new(), at: 0, received: 0 };
        // That there is no such content may be the stream's first word.
        match blob.next() {
            Ok(()) => Ok(Some(Box::new(blob))),
            Err(Failed::Status(status)) if status.code() == Code::NotFound => Ok(None),
            Err(Failed::Status(status)) => Err(self.refused(call, &describe(&status))),
            Err(Failed::Timeout) => Err(timeout(&self.address, call, PIECE)),
            Err(Failed::Offset) => Err(self.refused(call, Failed::OFFSET)),
        }
    }
}

/// The bytes of a blob as containerd sends them, in pieces of about 1 MiB.
struct Blob<'a> {
    runtime: &'a Runtime,
    stream: Streaming<ReadContentResponse>,
    piece: Vec<u8>,
    at: usize,
    received: u64,
}

/// Why there is no next piece.
enum Failed {
    Offset,
    Status(Box<Status>),
    Timeout,
}

impl Failed {
    const OFFSET: &str = "the pieces are not in order";
}

impl Blob<'_> {
    /// Receives the next piece with bytes; none at the end.
    fn next(&mut self) -> Result<(), Failed> {
        (self.piece, self.at) = (Vec::new(), 0);
        while self.piece.is_empty() {
            let next = self.stream.message();
            let next = self.runtime.block_on(async { tokio::time::timeout(PIECE, next).await });
            let message = match next {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(Failed::Status(Box::new(status))),
                Err(_) => return Err(Failed::Timeout),
            };
            if u64::try_from(message.offset) != Ok(self.received) {
                return Err(Failed::Offset);
            }
            self.received += message.data.len() as u64;
            self.piece = message.data;
        }
        Ok(())
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            self.next().map_err(|failed| match failed {
                Failed::Offset => io::Error::other(Failed::OFFSET),
                Failed::Status(status) => io::Error::other(clean(&describe(&status))),
                Failed::Timeout => io::ErrorKind::TimedOut.into(),
            })?;
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

fn timeout(address: &str, call: &'static str, after: Duration) -> ContainerdError {
    ContainerdError::Timeout { address: address.to_owned(), call, seconds: after.as_secs() }
}

/// The system's error at the bottom of a transport error.
fn cause(error: &(dyn Error + 'static)) -> io::Error {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), clean(&error.to_string())),
            };
        }
        next = error.source();
    }
    io::Error::other(clean(&error.to_string()))
}

fn describe(status: &Status) -> String {
    match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    }
}

/// What the other side says goes to a terminal: no control characters, and not for ever.
fn clean(text: &str) -> String {
    let is_plain = |it: &char| !it.is_control();
    text.chars()
        .map(|it| if it == '\n' { ' ' } else { it })
        .filter(is_plain)
        .take(MAX_TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("containerd.sock");
        let address = socket.to_str().unwrap();
        for address in [address.to_owned(), format!("unix://{address}")] {
            let error = Daemon::connect(&address).unwrap_err();
            let ContainerdError::Connect { source, .. } = &error else { panic!("{error}") };
            assert_eq!(source.kind(), io::ErrorKind::NotFound);
            assert!(error.hint().unwrap().contains("--containerd-root"), "{error}");
        }
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let error = Daemon::connect(address).unwrap_err();
        let ContainerdError::Connect { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// Something listens that is not containerd.
    #[test]
    fn somebody_else_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("containerd.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                use std::io::Write as _;
                // Whoever hangs up first, the client has to end with an error.
                let _ = stream.and_then(|mut it| it.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
            }
        });
        let result = Daemon::connect(socket.to_str().unwrap()).and_then(|it| it.namespaces());
        assert!(result.is_err(), "{result:?}");
    }

    #[test]
    fn control_characters_stay_off_the_terminal() {
        assert_eq!(clean("a\x1b[31m\nb\u{9b}c"), "a[31m bc");
        assert_eq!(clean(&"x".repeat(MAX_TEXT + 1)).len(), MAX_TEXT);
    }
}
