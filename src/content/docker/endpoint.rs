//! Which engine: decided as the docker CLI decides it (docker/cli `cli/command/cli.go`,
//! `cli/context/docker`, `opts/hosts.go`; spec/docker.md §7.4).
//!
//! `--context`, else `--host`, else `DOCKER_HOST`, else `DOCKER_CONTEXT`, else `currentContext` of
//! config.json, else the default. Nothing but the arguments decides: options, environment, and the
//! files below the configuration directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::EndpointError;
use super::ssh;
use super::store::ApiVersion;
use crate::fsutil;
use crate::image::digest::Digest;
use crate::image::json;

/// Where the engine is when nothing says otherwise.
pub(super) const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
const DEFAULT_TLS_HOST: &str = "tcp://localhost:2376";
const DEFAULT_CONTEXT: &str = "default";
const DEFAULT_PORT: u16 = 2375;
/// Largest file of the docker CLI's configuration.
const MAX_FILE: u64 = 4 << 20;

/// The docker CLI's global options that say which engine is meant.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--host`, as often as it was given.
    pub hosts: Vec<String>,
    /// `--tls`.
    pub tls: Option<bool>,
    /// `--tlsverify`.
    pub tls_verify: Option<bool>,
    /// `--tlscacert`.
    pub tls_ca: Option<PathBuf>,
    /// `--tlscert`.
    pub tls_cert: Option<PathBuf>,
    /// `--tlskey`.
    pub tls_key: Option<PathBuf>,
}

/// The environment, as far as it says which engine is meant. Empty values count as absent.
#[derive(Clone, Debug, Default)]
pub struct ClientEnv {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `DOCKER_CONFIG`.
    pub config: Option<PathBuf>,
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `DOCKER_TLS`.
    pub tls: bool,
    /// `DOCKER_TLS_VERIFY`.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_API_VERSION`.
    pub api_version: Option<String>,
    /// `DOCKER_CUSTOM_HEADERS`.
    pub custom_headers: Option<String>,
}

/// An engine and how to reach it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Its address as messages show it.
    pub name: String,
    /// Its address.
    pub address: Address,
    /// What TLS needs; `None` without TLS.
    pub tls: Option<TlsFiles>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// The version of the API that is pinned.
    pub(super) api_version: Option<ApiVersion>,
}

/// Kinds of addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// A socket of this host.
    Unix(PathBuf),
    /// A port of some host.
    Tcp {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
        /// What stands before the API's paths; empty in most cases.
        path: String,
    },
    /// A command whose stdin and stdout are the connection.
    Command(Vec<String>),
    /// Something that only docker itself knows how to reach.
    Docker,
}

/// Content of the files for TLS.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFiles {
    /// The authorities that count, in PEM; `None` for those of the system.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain, in PEM.
    pub cert: Option<Vec<u8>>,
    /// Its key, in PEM.
    pub key: Option<Vec<u8>>,
    /// Whether the engine's certificate is not looked at.
    pub skip_verify: bool,
}

const CONFIG_RULES: json::Rules = json::Rules {
    max_bytes: MAX_FILE as usize,
    max_depth: json::Rules::MAX_DEPTH,
    known: &["currentContext", "HttpHeaders"],
    // Everything else is other programs' business, with maps of free keys.
    free_maps: &[
        "HttpHeaders",
        "auths",
        "credHelpers",
        "plugins",
        "aliases",
        "proxies",
        "features",
    ],
};
const META_RULES: json::Rules = json::Rules {
    max_bytes: MAX_FILE as usize,
    max_depth: json::Rules::MAX_DEPTH,
    known: &["Endpoints", "Host", "Name", "SkipTLSVerify"],
    free_maps: &["Metadata"],
};

#[derive(Default, Deserialize)]
struct ConfigFile {
    #[serde(default, rename = "currentContext")]
    current_context: String,
    #[serde(default, rename = "HttpHeaders")]
    http_headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints")]
    endpoints: BTreeMap<String, MetaEndpoint>,
}

#[derive(Default, Deserialize)]
struct MetaEndpoint {
    #[serde(default, rename = "Host")]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

impl Endpoint {
    /// Finds the engine that these options mean in this environment.
    ///
    /// # Errors
    /// [`EndpointError`]: contradicting options, a context that is not there, a file that can't be
    /// read, an address that can't be.
    pub fn resolve(options: &ClientOptions, env: &ClientEnv) -> Result<Self, EndpointError> {
        if options.context.is_some() && !options.hosts.is_empty() {
            return Err(EndpointError::HostAndContext);
        }
        let standard = env
            .config
            .clone()
            .or_else(|| env.home.as_ref().map(|home| home.join(".docker")))
            .unwrap_or_default();
        let directory = options.config.as_ref().unwrap_or(&standard);
        let config: ConfigFile =
            read_json(&directory.join("config.json"), &CONFIG_RULES)?.unwrap_or_default();
        let context = context_name(options, env, &config);
        let (host, tls) = if context == DEFAULT_CONTEXT {
            // The files' default place is not moved by --config.
            default_endpoint(options, env, &standard)?
        } else {
            from_context(directory, &context)?
        };
        let (address, is_https) = address(&host)?;
        let tls = match address {
            Address::Tcp { .. } => tls.or_else(|| is_https.then(TlsFiles::default)),
            _ => None,
        };
        let pinned = env.api_version.as_ref().map(|text| {
            let bad = |()| EndpointError::ApiVersion { found: text.clone() };
            text.trim_start_matches('v').parse().map_err(bad)
        });
        Ok(Self {
            name: host,
            address,
            tls,
            headers: headers(env, config)?,
            api_version: pinned.transpose()?,
        })
    }

    /// The same endpoint, but reached by docker itself.
    #[must_use]
    pub fn through_docker(self) -> Self {
        Self { address: Address::Docker, tls: None, ..self }
    }
}

fn context_name(options: &ClientOptions, env: &ClientEnv, config: &ConfigFile) -> String {
    let default = || Some(DEFAULT_CONTEXT.to_owned());
    let named = |name: &String| (!name.is_empty()).then(|| name.clone());
    options
        .context
        .as_ref()
        .and_then(named)
        .or_else(|| if options.hosts.is_empty() { None } else { default() })
        .or_else(|| env.host.as_ref().and_then(|_| default()))
        .or_else(|| env.context.clone())
        .or_else(|| named(&config.current_context))
        .unwrap_or_else(|| DEFAULT_CONTEXT.to_owned())
}

/// The context `default`: `--host` or `DOCKER_HOST`, with the TLS options.
fn default_endpoint(
    options: &ClientOptions,
    env: &ClientEnv,
    standard: &Path,
) -> Result<(String, Option<TlsFiles>), EndpointError> {
    let host = match options.hosts.as_slice() {
        [] => env.host.as_deref(),
        [host] => Some(host.as_str()),
        _ => return Err(EndpointError::SeveralHosts),
    };
    let verify = options.tls_verify.unwrap_or(env.tls_verify);
    // To name --tlsverify at all turns TLS on, even with =false.
    let tls = options.tls.unwrap_or(env.tls) || options.tls_verify.is_some() || verify;
    let host = host.map(str::trim).filter(|host| !host.is_empty());
    let host = match host {
        Some(host) if host.contains("://") => host.to_owned(),
        Some(host) => format!("tcp://{host}"),
        None if tls => DEFAULT_TLS_HOST.to_owned(),
        None => DEFAULT_HOST.to_owned(),
    };
    if !tls || !host.starts_with("tcp://") {
        return Ok((host, None));
    }
    let place = env.cert_path.as_deref().unwrap_or(standard);
    let read = |given: &Option<PathBuf>, name: &str| match given {
        Some(path) if path.as_os_str().is_empty() => Ok(None),
        Some(path) => fsutil::read_bounded(path, MAX_FILE).map(Some),
        None => read_if_there(&place.join(name)),
    };
    // The authorities have to be there, the client's own files need not.
    let ca = match &options.tls_ca {
        Some(path) if path.as_os_str().is_empty() => None,
        Some(path) => Some(fsutil::read_bounded(path, MAX_FILE)?),
        None => Some(fsutil::read_bounded(&place.join("ca.pem"), MAX_FILE)?),
    };
    let cert = read(&options.tls_cert, "cert.pem")?;
    let key = read(&options.tls_key, "key.pem")?;
    Ok((host, Some(TlsFiles { ca, cert, key, skip_verify: !verify })))
}

fn from_context(directory: &Path, name: &str) -> Result<(String, Option<TlsFiles>), EndpointError> {
    let id = Digest::sha256(name.as_bytes());
    let path = directory.join("contexts/meta").join(id.hex()).join("meta.json");
    let meta: Meta = read_json(&path, &META_RULES)?
        .ok_or_else(|| EndpointError::NoSuchContext { name: name.to_owned(), path })?;
    let endpoint = meta
        .endpoints
        .get("docker")
        .ok_or_else(|| EndpointError::NoEndpoint { name: name.to_owned() })?;
    let files = directory.join("contexts/tls").join(id.hex()).join("docker");
    let file = |name| read_if_there(&files.join(name));
    let (ca, cert, key) = (file("ca.pem")?, file("cert.pem")?, file("key.pem")?);
    let has_tls = ca.is_some() || cert.is_some() || key.is_some() || endpoint.skip_tls_verify;
    let tls = TlsFiles { ca, cert, key, skip_verify: endpoint.skip_tls_verify };
    let host = match endpoint.host.as_str() {
        "" => DEFAULT_HOST.to_owned(),
        host => host.to_owned(),
    };
    Ok((host, has_tls.then_some(tls)))
}

/// Takes an address apart; whether it asks for TLS itself.
fn address(host: &str) -> Result<(Address, bool), EndpointError> {
    let bad = |reason| EndpointError::Host { host: host.to_owned(), reason };
    let (scheme, rest) = host.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
    let address = match scheme {
        "unix" if rest.is_empty() => Address::Unix("/var/run/docker.sock".into()),
        "unix" => Address::Unix(rest.into()),
        "ssh" => Address::Command(ssh::command(host)?),
        "fd" => return Err(bad("fd:// is for the engine, not for its clients")),
        "tcp" | "http" | "https" => {
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            if authority.contains('@') || path.contains(['?', '#']) {
                return Err(bad("expected HOST:PORT"));
            }
            let (name, port) = match authority.rsplit_once(':') {
                Some((name, port)) if !port.contains(']') => (name, port),
                _ => (authority, ""),
            };
            let port = match (port, scheme) {
                ("", "http") => 80,
                ("", "https") => 443,
                ("", _) => DEFAULT_PORT,
                (port, _) => port.parse().map_err(|_| bad("the port is no number"))?,
            };
            let name = name.trim_start_matches('[').trim_end_matches(']');
            let name = if name.is_empty() { "localhost" } else { name };
            let path = path.trim_end_matches('/').to_owned();
            Address::Tcp { host: name.to_owned(), port, path }
        }
        _ => Address::Docker,
    };
    Ok((address, scheme == "https"))
}

/// `DOCKER_CUSTOM_HEADERS` replaces `HttpHeaders`. The user agent is not for them to say.
fn headers(env: &ClientEnv, config: ConfigFile) -> Result<Vec<(String, String)>, EndpointError> {
    let Some(text) = &env.custom_headers else {
        let is_agent = |name: &str| name.eq_ignore_ascii_case("user-agent");
        return Ok(config.http_headers.into_iter().filter(|(name, _)| !is_agent(name)).collect());
    };
    fields(text)
        .into_iter()
        .map(|field| match field.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), value.to_owned()))
            }
            _ => Err(EndpointError::Header { found: field }),
        })
        .collect()
}

/// The fields of one line of comma-separated values: `a=1,"b=2,3"`.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quoted) {
            ('"', true) if characters.peek() == Some(&'"') => {
                characters.next();
                fields.last_mut().into_iter().for_each(|field| field.push('"'));
            }
            ('"', _) => quoted = !quoted,
            (',', false) => fields.push(String::new()),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(character)),
        }
    }
    fields
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, fsutil::FileError> {
    match fsutil::read_bounded(path, MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(
    path: &Path,
    rules: &json::Rules,
) -> Result<Option<T>, EndpointError> {
    let Some(bytes) = read_if_there(path)? else { return Ok(None) };
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let bad = |source| EndpointError::Config { path: path.to_owned(), source };
    json::read(&bytes, rules).map(Some).map_err(bad)
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
