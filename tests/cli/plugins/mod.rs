//! notation's plugins: signing with them, verifying with them, installing them.
//!
//! The plugin is `examples/notation_plugin.rs`, which truly signs; hostile ones are shell scripts.

mod install;
mod interop;
mod sign;
mod verify;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::{Host, data};

pub(crate) const RAW: &str = "SIGNATURE_GENERATOR.RAW";
pub(crate) const ENVELOPE: &str = "SIGNATURE_GENERATOR.ENVELOPE";
pub(crate) const IDENTITY: &str = "SIGNATURE_VERIFIER.TRUSTED_IDENTITY";
pub(crate) const REVOCATION: &str = "SIGNATURE_VERIFIER.REVOCATION_CHECK";

/// The program of the test plugin. Test runs of the whole crate build it; one of these tests alone
/// may have to.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let directory = Path::new(snapbox::cmd::cargo_bin!("dockseal")).parent().unwrap();
        let program = directory.join("examples/notation_plugin");
        if !program.exists() {
            let mut cargo = Command::new(env!("CARGO"));
            let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
            cargo.args(["build", "--example", "notation_plugin", "--profile", profile]);
            assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        }
        program
    })
}

impl Host {
    /// Puts the test plugin where plugins are.
    pub(crate) fn plugin(&self, name: &str, behaviour: &Value) {
        let directory = self.path(&format!("config/plugins/{name}"));
        fs::create_dir_all(&directory).unwrap();
        let installed = directory.join(format!("notation-{name}"));
        if fs::hard_link(program(), &installed).is_err() && !installed.exists() {
            fs::copy(program(), &installed).unwrap();
        }
        fs::write(directory.join("plugin.json"), behaviour.to_string()).unwrap();
    }

    /// Puts a shell script where plugins are.
    pub(crate) fn script(&self, name: &str, script: &str) {
        let path = format!("config/plugins/{name}/notation-{name}");
        self.executable(&path, script);
    }

    pub(crate) fn executable(&self, path: &str, script: &str) {
        self.write(path, format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What a plugin was asked: commands and requests, in order.
    pub(crate) fn requests(&self, name: &str) -> Vec<(String, Value)> {
        let path = self.path(&format!("config/plugins/{name}/requests"));
        let Ok(log) = fs::read_to_string(path) else { return Vec::new() };
        let split = |line: &str| {
            let (command, request) = line.split_once(' ').unwrap();
            (command.to_owned(), serde_json::from_str(request).unwrap())
        };
        log.lines().map(split).collect()
    }

    /// The names of the commands a plugin was asked, since the last look.
    pub(crate) fn commands(&self, name: &str) -> Vec<String> {
        let commands = self.requests(name).into_iter().map(|(command, _)| command).collect();
        let _ = fs::remove_file(self.path(&format!("config/plugins/{name}/requests")));
        commands
    }
}

/// The id of a test key for the test plugin.
pub(crate) fn key_id(name: &str) -> String {
    data(&format!("valid/{name}")).to_str().unwrap().to_owned()
}
