//! Asking a timestamping authority over HTTP (spec/notation.md §6.1), only if the user names it. Signing
//! and verifying open no other connection.
//!
//! What may happen is kept small on purpose:
//!
//! * One POST to the URL as it was given. Redirects are not followed: an authority that moved has a
//!   new URL, and nobody but the user says where a request goes.
//! * No proxy, whatever the environment says; no credentials in URLs, which are public as arguments.
//!   Where either is needed, `timestamp request` and `timestamp attach` leave the transport to
//!   other tools.
//! * TLS with the one crypto provider of this program and the roots of the system
//!   (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others). It only protects the transport: the token is
//!   verified whoever delivered it.
//! * 15 seconds in all, 1 MiB, status 200 and the exact media type, or it is an error.

use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::signature::timestamp::{MAX_TOKEN_BYTES, QUERY_MEDIA_TYPE, REPLY_MEDIA_TYPE};

use super::authority::by_way_of_files;
use super::exit::Exit;
use super::failure::Failure;

/// How long an answer may take, from the look-up of the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What this program calls itself.
const USER_AGENT: &str = concat!("dockseal/", env!("CARGO_PKG_VERSION"));

/// Where a timestamping authority is asked.
#[derive(Clone, Debug)]
pub(super) struct TsaClient {
    uri: Uri,
    timeout: Duration,
}

impl TsaClient {
    /// A client for the authority at a URL. Nothing is opened yet.
    ///
    /// # Errors
    /// [`TsaError::Url`] when it is no `http` or `https` URL, or has credentials in it.
    pub(super) fn new(url: &str) -> Result<Self, TsaError> {
        let refused = |what| TsaError::Url { what };
        let uri: Uri = url.parse().map_err(|_| refused("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(refused("expected http://... or https://..."));
        }
        let authority = uri.authority().ok_or_else(|| refused("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("it has credentials in it, which arguments do not keep secret"));
        }
        if authority.host().is_empty() {
            return Err(refused("it names no host"));
        }
        Ok(Self { uri, timeout: TIMEOUT })
    }

    /// Sends a request, DER, and returns the answer, of which nothing is known yet.
    ///
    /// # Errors
    /// [`TsaError`] when there is no answer, or it is not the one of a timestamping authority.
    pub(super) fn ask(&self, request: &[u8]) -> Result<Vec<u8>, TsaError> {
        let transport = |source| TsaError::Transport { source: Box::new(source) };
        let config = Config::builder()
            .timeout_global(Some(self.timeout))
            .user_agent(USER_AGENT)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .tls_config(self.tls()?)
            .build();
        let mut response = Agent::new_with_config(config)
            .post(&self.uri)
            .header(header::CONTENT_TYPE, QUERY_MEDIA_TYPE)
            .send(request)
            .map_err(transport)?;
        check_head(&response)?;
        // A body of exactly the limit is within it.
        let limit = MAX_TOKEN_BYTES as u64 + 1;
        match response.body_mut().with_config().limit(limit).read_to_vec() {
            Ok(bytes) if bytes.len() <= MAX_TOKEN_BYTES => Ok(bytes),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Err(TsaError::TooLarge),
            Err(error) => Err(transport(error)),
        }
    }

    fn tls(&self) -> Result<TlsConfig, TsaError> {
        if self.uri.scheme_str() != Some("https") {
            return Ok(TlsConfig::default());
        }
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err(TsaError::NoSystemRoots);
        }
        let roots: Vec<_> =
            found.certs.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        Ok(TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .root_certs(RootCerts::new_with_certs(&roots))
            .build())
    }
}

fn check_head(response: &Response<Body>) -> Result<(), TsaError> {
    let status = response.status();
    if status.is_redirection() {
        return Err(TsaError::Redirect { status: status.as_u16() });
    }
    if status.as_u16() != 200 {
        return Err(TsaError::Status { status: status.as_u16() });
    }
    let mut types = response.headers().get_all(header::CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(found), None) if found == REPLY_MEDIA_TYPE => Ok(()),
        (Some(found), None) => {
            let found = String::from_utf8_lossy(found.as_bytes()).into_owned();
            Err(TsaError::MediaType { found })
        }
        (None, _) => Err(TsaError::MediaType { found: String::new() }),
        (Some(_), Some(_)) => Err(TsaError::MediaType { found: "several".to_owned() }),
    }
}

/// Why there is no answer of a timestamping authority.
#[derive(Debug, thiserror::Error)]
pub(super) enum TsaError {
    /// The URL can't be asked.
    #[error("not the URL of a timestamping authority: {what}")]
    Url {
        /// What is wrong with it.
        what: &'static str,
    },
    /// TLS has nobody to trust.
    #[error("the system has no certificates to trust in TLS")]
    NoSystemRoots,
    /// There is no connection, or it broke, or it took too long.
    #[error("{source}")]
    Transport {
        /// The reason.
        source: Box<ureq::Error>,
    },
    /// It wants to be asked elsewhere.
    #[error("it answered with HTTP status {status}, redirects are not followed")]
    Redirect {
        /// The HTTP status.
        status: u16,
    },
    /// It does not answer the request.
    #[error("it answered with HTTP status {status}, expected 200")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is something else.
    #[error("it answered with content type {found:?}, expected {REPLY_MEDIA_TYPE:?}")]
    MediaType {
        /// The content type.
        found: String,
    },
    /// The answer is too large.
    #[error("its answer is larger than {MAX_TOKEN_BYTES} bytes")]
    TooLarge,
}

impl From<TsaError> for Failure {
    fn from(error: TsaError) -> Self {
        match error {
            TsaError::Url { .. } => Self::of(Exit::Usage, &error),
            error => by_way_of_files(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::thread;

    /// Serves one connection: reads the request up to its body `query`, and answers.
    fn serve(answer: impl FnOnce(&mut dyn std::io::Write) + Send + 'static) -> TsaClient {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TsaClient::new(&format!("http://{}/tsa", listener.local_addr().unwrap()));
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\nquery") && stream.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            let text = String::from_utf8(request).unwrap().to_ascii_lowercase();
            assert!(text.starts_with("post /tsa http/1.1\r\n"), "{text}");
            assert!(text.contains("\r\ncontent-type: application/timestamp-query\r\n"), "{text}");
            answer(&mut stream);
        });
        client.unwrap()
    }

    fn answer(head: &str, body: Vec<u8>) -> Result<Vec<u8>, TsaError> {
        let head = head.to_owned();
        serve(move |stream| {
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n");
            // The client may have gone away.
            let _ = stream.write_all(&body);
        })
        .ask(b"query")
    }

    #[test]
    fn only_a_reply_with_status_200_is_taken() {
        let reply = "200 OK\r\ncontent-type: application/timestamp-reply";
        assert_eq!(answer(reply, b"reply".to_vec()).unwrap(), b"reply");
        assert_eq!(answer(reply, vec![0; MAX_TOKEN_BYTES]).unwrap().len(), MAX_TOKEN_BYTES);
        for (head, length, expected) in [
            (reply, MAX_TOKEN_BYTES + 1, "its answer is larger than 1048576 bytes"),
            (reply, 3 * MAX_TOKEN_BYTES, "its answer is larger than 1048576 bytes"),
            (
                "500 No\r\ncontent-type: application/timestamp-reply",
                1,
                "it answered with HTTP status 500, expected 200",
            ),
            (
                "201 Made\r\ncontent-type: application/timestamp-reply",
                1,
                "it answered with HTTP status 201, expected 200",
            ),
            (
                "307 There\r\nlocation: file:///etc/passwd",
                1,
                "it answered with HTTP status 307, redirects are not followed",
            ),
            (
                "200 OK\r\ncontent-type: text/html",
                1,
                "it answered with content type \"text/html\", expected \"application/timestamp-reply\"",
            ),
            (
                "200 OK\r\ncontent-type: application/timestamp-reply; charset=x",
                1,
                "it answered with content type \"application/timestamp-reply; charset=x\", expected \
                 \"application/timestamp-reply\"",
            ),
            (
                "200 OK",
                1,
                "it answered with content type \"\", expected \"application/timestamp-reply\"",
            ),
        ] {
            assert_eq!(answer(head, vec![0; length]).unwrap_err().to_string(), expected, "{head}");
        }
    }

    #[test]
    fn broken_and_hanging_answers_are_errors() {
        let broken = serve(|stream| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\n";
            write!(stream, "{head}content-length: 9\r\n\r\nhalf").unwrap();
        });
        assert!(matches!(broken.ask(b"query").unwrap_err(), TsaError::Transport { .. }));
        let garbage = serve(|stream| stream.write_all(b"220 mail ready\r\n").unwrap());
        assert!(matches!(garbage.ask(b"query").unwrap_err(), TsaError::Transport { .. }));
        // It takes the request and never answers: the channel stays empty as long as it is open.
        let (open, closed) = std::sync::mpsc::channel::<()>();
        let hanging = serve(move |_| {
            let _ = closed.recv();
        });
        let hanging = TsaClient { timeout: Duration::from_millis(300), ..hanging };
        let error = hanging.ask(b"query").unwrap_err().to_string();
        assert!(error.contains("timeout"), "{error}");
        drop(open);
    }

    #[test]
    fn urls_name_a_host_and_no_secret() {
        for good in ["http://tsa.example", "https://tsa.example:8080/x?y", "http://[::1]:1/"] {
            assert!(TsaClient::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "tsa.example",
            "/tsa",
            "ftp://tsa.example",
            "file:///etc/passwd",
            "http://",
            "http://:80/",
            "http://user:secret@tsa.example",
            "http://tsa example",
        ] {
            assert!(matches!(TsaClient::new(bad), Err(TsaError::Url { .. })), "{bad}");
        }
    }

    /// The provider is set explicitly; without one rustls would panic.
    #[test]
    fn tls_has_a_provider() {
        let client = TsaClient::new("https://127.0.0.1:1/").unwrap();
        let error = client.ask(b"query").unwrap_err();
        assert!(matches!(error, TsaError::Transport { .. } | TsaError::NoSystemRoots), "{error}");
    }
}
