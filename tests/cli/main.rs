//! Snapshot tests of the commands: exact stdout, stderr and exit code.
//!
//! Every test has a host of its own: an empty directory that is working directory, configuration
//! and cache. Keys and certificates are those of testdata/notation (public test keys).
//! `SNAPSHOTS=overwrite cargo test --test cli` writes the snapshots anew.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests fail where something is not as it must be"
)]

#[cfg(feature = "docker")]
#[path = "../engine/mod.rs"]
mod engine;

mod about;
mod archive;
mod archive_tamper;
mod blob;
mod cache;
mod cert;
mod completion;
mod containerd;
#[cfg(target_os = "linux")]
mod crash;
mod crl;
#[cfg(feature = "docker")]
mod daemon;
mod doctor;
mod errors;
mod hints;
mod json;
mod key;
mod kit;
mod layout;
mod load;
mod many;
mod notation;
mod parity;
mod plugins;
mod policy;
mod recursive;
mod sign;
#[cfg(target_os = "linux")]
mod sockets;
mod tamper;
#[cfg(target_os = "linux")]
mod terminal;
mod timestamp;
#[cfg(target_os = "linux")]
mod tools;
#[cfg(feature = "timestamp-client")]
mod tsa;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use snapbox::cmd::{Command, OutputAssert, cargo_bin};
use tempfile::TempDir;

/// The manifest that tests sign: the target of the reference's envelopes.
pub(crate) const MANIFEST: &str = "net-monitor_v1.json";

/// Keys of testdata/notation/valid: RSA 2048, 3072, 4096, P-256, P-384, P-521.
pub(crate) const KEYS: [&str; 6] = ["rsa2048", "rsa3072", "rsa4096", "ec256", "ec384", "ec521"];

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/notation").join(name)
}

/// A host to run commands on.
pub(crate) struct Host {
    directory: TempDir,
}

impl Host {
    /// A host with nothing but the manifest.
    pub(crate) fn empty() -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap() };
        let blob =
            "lay0/blobs/sha256/09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";
        fs::copy(data(blob), host.path(MANIFEST)).unwrap();
        host
    }

    /// A host with the P-256 key as default key, and a policy that trusts its root.
    pub(crate) fn ready() -> Self {
        let host = Self::empty();
        host.add_key("ec256", &["--default"]);
        host.trust_root();
        host.policy(r#""strict""#);
        host
    }

    pub(crate) fn add_key(&self, name: &str, options: &[&str]) {
        let (key, chain) =
            (data(&format!("valid/{name}.key")), data(&format!("valid/{name}.chain.crt")));
        let mut command = self.command(&["key", "add", name, "--key-file"]);
        command = command.arg(key).arg("--cert-file").arg(chain).args(options);
        command.assert().success();
    }

    pub(crate) fn trust_root(&self) {
        let command = self.command(&["cert", "add", "--type", "ca", "--store", "notary"]);
        command.arg(data("valid/root.crt")).assert().success();
    }

    /// Writes a policy with one statement for everything. `verification` is the level in quotes,
    /// or what follows the level too.
    pub(crate) fn policy(&self, verification: &str) {
        self.write(
            "config/trustpolicy.oci.json",
            format!(
                r#"{{"version":"1.0","trustPolicies":[{{"name":"all","registryScopes":["*"],"signatureVerification":{{"level":{verification}}},"trustStores":["ca:notary"],"trustedIdentities":["*"]}}]}}"#
            ),
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.program(cargo_bin!("dockseal"), arguments)
    }

    /// A command of this program.
    pub(crate) fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        // The real path, as commands print it.
        let directory = self.directory.path().canonicalize().unwrap();
        let mut redactions = snapbox::Redactions::new();
        redactions.insert("[HOST]", directory.clone()).unwrap();
        redactions.insert("[TIME]", regex::Regex::new(TIME).unwrap()).unwrap();
        redactions.insert("[DATA]", data("")).unwrap();
        redactions.insert("[REPO]", env!("CARGO_MANIFEST_DIR")).unwrap();
        let assert = snapbox::Assert::new()
            .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
            .redact_with(redactions);
        Command::new(program)
            .with_assert(assert)
            .args(arguments)
            .current_dir(&directory)
            .env_clear()
            .env("NOTATION_CONFIG", "config")
            .env("NOTATION_CACHE", "cache")
    }

    /// Runs a command; what is said on stderr is part of the snapshot.
    pub(crate) fn run(&self, arguments: &[&str]) -> OutputAssert {
        self.command(arguments).assert()
    }
}

/// Moments of the run, in UTC.
pub(crate) const TIME: &str = r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:]{8}Z";
