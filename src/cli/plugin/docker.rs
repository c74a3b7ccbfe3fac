//! The docker that runs the plugin: its engine is the one that is asked.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::daemon::Client;
use super::Globals;

/// `argv[0]` of the docker that runs the plugin, as it was typed.
const ORIGINAL_COMMAND: &str = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND";

/// A docker client with its global options.
#[derive(Debug)]
pub(super) struct Docker {
    program: String,
    globals: Vec<String>,
}

impl Docker {
    pub(super) fn new(globals: &Globals) -> Self {
        // During completion docker sets the variable to the plugin's own path.
        let is_plugin = |program: &String| {
            Path::new(program)
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("docker-generate"))
        };
        let program = env::var(ORIGINAL_COMMAND)
            .ok()
            .filter(|program| !program.is_empty() && !is_plugin(program))
            .unwrap_or_else(|| "docker".to_owned());
        Self { program, globals: globals.arguments() }
    }

    /// What a command prints; `None` if it fails.
    pub(super) fn output(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(&self.program);
        command.args(&self.globals).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).ok())?
    }
}

/// The client with these options; it finds the engine itself, and asks docker where it can't.
#[cfg(feature = "docker")]
pub(super) fn client(globals: &Globals) -> Client {
    /// Set by users who want docker itself to make every connection.
    const DIAL_STDIO: &str = "DOCKER_CLI_PLUGIN_USE_DIAL_STDIO";
    let docker = Docker::new(globals);
    Client {
        options: crate::content::docker::ClientOptions {
            config: globals.config.clone().map(Into::into),
            context: globals.context.clone(),
            hosts: globals.host.clone(),
            tls: globals.tls,
            tls_verify: globals.tlsverify,
            tls_ca: globals.tlscacert.clone().map(Into::into),
            tls_cert: globals.tlscert.clone().map(Into::into),
            tls_key: globals.tlskey.clone().map(Into::into),
        },
        docker: [vec![docker.program], docker.globals].concat(),
        through_docker: env::var_os(DIAL_STDIO).is_some_and(|value| !value.is_empty()),
    }
}

#[cfg(not(feature = "docker"))]
pub(super) fn client(_globals: &Globals) -> Client {
    Client::default()
}
