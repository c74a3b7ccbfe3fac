//! Connections to an engine: HTTP/1.1 over a socket, TCP, TLS, or what a helper program dialled.
//!
//! One connection serves one request after the other. Redirects are not followed.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::endpoint::{Address, Endpoint};
use super::error::{EndpointError, EngineError};
use super::store::ApiVersion;
use super::tls;

/// How long a host may take to answer at all; docker's own limit.
const CONNECT: Duration = Duration::from_secs(30);

/// Starts a program whose stdin and stdout are the other end of the stream that it gives.
pub type Dialer = Box<dyn Fn() -> io::Result<StdUnixStream> + Send + Sync>;

/// What a request carries.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The way to one engine.
pub(super) struct Transport {
    name: String,
    connector: Connector,
    /// What stands before the API's paths.
    path: String,
    headers: HeaderMap,
    /// Known after negotiation.
    version: OnceLock<ApiVersion>,
    connection: Mutex<Option<SendRequest<Body>>>,
}

enum Connector {
    Unix(PathBuf),
    Tcp(String, u16),
    Tls { host: String, port: u16, name: ServerName<'static>, tls: TlsConnector },
    Dialer(Dialer),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Transport {
    /// The way to this endpoint; `dialer` is for addresses that need one.
    pub(super) fn new(endpoint: &Endpoint, dialer: Dialer) -> Result<Self, EngineError> {
        let name = endpoint.name.clone();
        let tls_error = |reason| EngineError::Tls { endpoint: name.clone(), reason };
        let mut authority = "docker".to_owned();
        let mut base = String::new();
        let connector = match (&endpoint.address, &endpoint.tls) {
            (Address::Unix(path), _) => Connector::Unix(path.clone()),
            (Address::Command(_) | Address::Docker, _) => Connector::Dialer(dialer),
            (Address::Tcp { host, port, path }, files) => {
                let is_v6 = host.contains(':');
                authority =
                    if is_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
                base.clone_from(path);
                match files {
                    None => Connector::Tcp(host.clone(), *port),
                    Some(files) => Connector::Tls {
                        host: host.clone(),
                        port: *port,
                        name: ServerName::try_from(host.clone())
                            .map_err(|error| tls_error(error.to_string()))?,
                        tls: Arc::new(tls::config(files).map_err(tls_error)?).into(),
                    },
                }
            }
        };
        let headers = headers(endpoint, &authority).map_err(|error| EngineError::Request {
            what: "HttpHeaders",
            message: error.to_string(),
        })?;
        Ok(Self {
            name: endpoint.name.clone(),
            connector,
            path: base,
            headers,
            version: OnceLock::new(),
            connection: Mutex::new(None),
        })
    }

    /// The version that stands in all further paths.
    pub(super) fn set_version(&self, version: ApiVersion) {
        // Negotiated once.
        let _ = self.version.set(version);
    }

    /// Connects, if that has not happened yet.
    pub(super) async fn connect(&self) -> Result<(), EngineError> {
        let source = match self.ready().await {
            Ok(sender) => {
                *self.connection.lock().await = Some(sender);
                return Ok(());
            }
            Err(source) => source,
        };
        Err(EngineError::Connect { endpoint: self.name.clone(), source })
    }

    /// Sends a request. Its path is that of the API.
    pub(super) async fn send(
        &self,
        uri: &Uri,
        method: hyper::Method,
        body: Body,
    ) -> io::Result<Response<Incoming>> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.uri(uri)?;
        *request.headers_mut() = self.headers.clone();
        let mut sender = self.ready().await?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        *self.connection.lock().await = Some(sender);
        Ok(response)
    }

    fn uri(&self, uri: &Uri) -> io::Result<Uri> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let version = self.version.get().map(|it| format!("/v{it}")).unwrap_or_default();
        format!("{}{version}{path}", self.path).parse().map_err(io::Error::other)
    }

    /// The open connection, once the answer before is through, or a new one.
    async fn ready(&self) -> io::Result<SendRequest<Body>> {
        if let Some(mut sender) = self.connection.lock().await.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        match &self.connector {
            Connector::Unix(path) => handshake(UnixStream::connect(path).await?).await,
            Connector::Dialer(dial) => {
                let stream = dial()?;
                stream.set_nonblocking(true)?;
                handshake(UnixStream::from_std(stream)?).await
            }
            Connector::Tcp(host, port) => {
                in_time(async {
                    handshake(TcpStream::connect((host.as_str(), *port)).await?).await
                })
                .await
            }
            Connector::Tls { host, port, name, tls } => {
                in_time(async {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    handshake(tls.connect(name.clone(), stream).await?).await
                })
                .await
            }
        }
    }
}

async fn in_time<T>(connecting: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(CONNECT, connecting).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> io::Result<SendRequest<Body>> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // What goes wrong with the connection the request learns.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

fn headers(endpoint: &Endpoint, authority: &str) -> Result<HeaderMap, EndpointError> {
    let mut headers = HeaderMap::new();
    let agent = concat!("dockseal/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    let bad = |found: &str| EndpointError::Header { found: found.to_owned() };
    headers.insert(HOST, authority.parse().map_err(|_| bad(authority))?);
    for (name, value) in &endpoint.headers {
        let header: HeaderName = name.parse().map_err(|_| bad(name))?;
        headers.insert(header, value.parse().map_err(|_| bad(value))?);
    }
    Ok(headers)
}
