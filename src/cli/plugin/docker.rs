//! The docker that runs the plugin: its engine is the one that is asked.

use std::env;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

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

    /// What a command prints; `None` if it fails, or takes longer.
    pub(super) fn output(&self, arguments: &[&str], limit: Duration) -> Option<String> {
        let mut command = Command::new(&self.program);
        command.args(&self.globals).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut stdout = child.stdout.take()?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            sender.send(stdout.read_to_string(&mut text).ok().map(|_| text))
        });
        let text = receiver.recv_timeout(limit).ok().flatten();
        if text.is_none() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        child.wait().ok().filter(ExitStatus::success).and(text)
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
