//! The Docker engine, over its API.
//!
//! ```text
//! endpoint   which engine, as the docker CLI decides it: options, environment, contexts
//!    └─ transport   a connection to it: socket, TCP, TLS, or what a helper program dialled
//!        └─ client  bollard: what the engine and an image are, `docker save` and `docker load`
//!            └─ stream  those two archives, blocking
//! ```
//!
//! Whatever the engine says of an image, its bytes are read and hashed by the archive's reader.
//! tokio lives in here; outside everything blocks.

mod client;
mod endpoint;
mod error;
mod ssh;
mod store;
mod stream;
mod tls;
mod transport;

pub use client::{Engine, EngineInfo, Image};
pub use endpoint::{Address, ClientEnv, ClientOptions, Endpoint, TlsFiles};
pub use error::{EndpointError, EngineError};
pub use store::ImageStore;
pub use stream::{Export, ExportFailure, Upload};
pub use transport::Dialer;
