//! notation's plugins: programs that hold keys, or judge signatures (contract 1.0).
//!
//! Implements spec/notation.md §8. This is the only room that starts programs for signatures.
//!
//! ```text
//! {plugins}/{name}/notation-{name} COMMAND  <- one JSON document on stdin
//!                                           -> one JSON document on stdout, exit status 0
//!                                           -> an error document on stderr, any other status
//!
//! directory  which plugins there are; what may be a plugin
//! process    running one: limits, environment
//! protocol   the documents
//! signer     a plugin that signs, or makes whole envelopes
//! install    from an archive or a file into the directory
//! verifier   a plugin that judges identities and revocation
//! ```
//!
//! A plugin has every right of the user who runs it; nothing here confines it. What is guarded is
//! *which* program is run, and *when*: names are checked before they become paths, files that
//! others may change are refused (rule N-02), and whoever verifies signatures must not come here
//! before the signer is known. What a plugin answers is input like any other.

mod archive;
mod directory;
mod error;
mod install;

mod process;
mod protocol;
mod signer;
mod verifier;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::image::json;

pub use archive::ArchiveError;
pub use directory::{PluginDirectory, PluginName};
pub use error::{MetadataProblem, PluginError};
pub use install::{InstallError, Installed, Replace, install};
pub use process::ProcessError;
pub use protocol::{Capability, Metadata};
pub use signer::{EnvelopePlugin, PluginKey, PluginSigner, RawPlugin};
pub use verifier::{PluginVerdict, VerificationPlugin, VerifierError, VerifierPlugins};

/// How long one command of a plugin may take unless the caller says otherwise. notation waits
/// forever; people who confirm a signature on a device need minutes at most.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// What a plugin is told besides: `--plugin-config`, and `pluginConfig` of a key.
pub type PluginConfig = BTreeMap<String, String>;

/// A program that may be run as a plugin: its name, place, kind and owner are as they must be.
#[derive(Clone, Debug)]
pub struct Plugin {
    name: PluginName,
    path: PathBuf,
    timeout: Duration,
}

impl Plugin {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks the plugin who it is and what it can do. Its name must be that of its directory.
    ///
    /// # Errors
    /// [`PluginError`] when it can't be run, or its answer is not as the contract wants it.
    pub fn metadata(&self, config: &PluginConfig) -> Result<Metadata, PluginError> {
        let request = protocol::MetadataRequest { plugin_config: config };
        let metadata: Metadata = self.call(protocol::GET_METADATA, &request)?;
        metadata
            .check(self.name())
            .map_err(|problem| PluginError::Metadata { plugin: self.name().to_owned(), problem })?;
        Ok(metadata)
    }

    /// Runs one command: request out, response in.
    fn call<T: DeserializeOwned>(
        &self,
        command: &'static str,
        request: &impl Serialize,
    ) -> Result<T, PluginError> {
        let request = protocol::to_json(request);
        let plugin = || self.name().to_owned();
        let output = process::run(&self.path, command, &request, self.timeout)
            .map_err(|cause| PluginError::Run { plugin: plugin(), command, cause })?;
        if !output.status.success() {
            return Err(PluginError::from_stderr(plugin(), command, &output));
        }
        json::read(&output.stdout, &protocol::RESPONSE).map_err(|cause| PluginError::Response {
            plugin: plugin(),
            command,
            cause,
            stderr: error::printable(&output.stderr),
        })
    }
}
