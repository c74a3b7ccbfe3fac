//! Asking docker itself: `docker <the same globals> save IMAGE`, read as it comes.
//!
//! Contexts, TLS and ssh are so resolved exactly as docker resolves them. The engine's Go version
//! decides the encoder generation.

use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

use crate::generate::Generated;
use crate::gogzip::Generation;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::source::ImageArgs;
use super::Globals;
use super::cancel::Cancel;

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

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.globals).args(arguments).stdin(Stdio::null());
        command
    }

    /// What a command prints; `None` if it fails.
    pub(super) fn output(&self, arguments: &[&str]) -> Option<String> {
        let output = self.command(arguments).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).ok())?
    }

    /// What `docker version` says of the engine.
    fn engine(&self) -> Option<Engine> {
        let text = self.output(&["version", "--format", "{{json .Server}}"])?;
        serde_json::from_str(&text).ok()
    }

    fn save(&self, reference: &str) -> Result<Child, Failure> {
        let mut command = self.command(&["save", reference]);
        command.stdout(Stdio::piped()).spawn().map_err(|error| {
            let text = format!("running {}: {error}", self.program);
            let hint = "docker save IMAGE | docker-generate manifest".to_owned();
            Failure::new(Exit::Unavailable, text).with_hint(Some(hint))
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Engine {
    #[serde(default)]
    go_version: String,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
    #[serde(default)]
    details: serde_json::Map<String, serde_json::Value>,
}

impl Engine {
    fn go_version(&self) -> &str {
        self.components
            .iter()
            .find(|component| component.name == "Engine")
            .and_then(|component| component.details.get("GoVersion"))
            .and_then(serde_json::Value::as_str)
            .unwrap_or(&self.go_version)
    }

    fn is_podman(&self) -> bool {
        self.components.iter().any(|component| component.name.starts_with("Podman"))
    }
}

/// Generates the manifest of an image of the engine.
pub(super) fn generate(
    docker: &Docker,
    reference: &str,
    mut image: ImageArgs,
    cancel: &Cancel,
    context: &Context,
) -> Result<Generated, Failure> {
    if reference.starts_with('-') {
        return Err(Failure::usage(format!("{reference:?} is no image")));
    }
    if let Some(engine) = docker.engine() {
        if engine.is_podman() {
            return Err(Failure::new(
                Exit::NotDeterminable,
                "the engine is podman, whose push compresses in another way than docker's",
            ));
        }
        if !image.names_generation() {
            image = image.with_generation(generation(engine.go_version(), context)?);
        }
    }
    let mut child = docker.save(reference)?;
    let Some(stdout) = child.stdout.take() else {
        return Err(Failure::new(Exit::Internal, "docker save has no output"));
    };
    *cancel.child() = Some(child);
    let generated = image.read(image.stream(Box::new(stdout)), None, context);
    let status = match cancel.child().as_mut() {
        Some(child) => {
            if generated.is_err() {
                // It may still be writing; nobody reads any more.
                let _ = child.kill();
            }
            child.wait()?
        }
        None => return Err(Failure::new(Exit::Internal, "docker save is gone")),
    };
    match generated {
        Ok(generated) if status.success() => Ok(generated),
        // What docker says on stderr stands there already.
        Ok(_) => Err(save_failed(status)),
        Err(failure) if status.code().is_some_and(|code| code != 0) => {
            Err(save_failed(status).with_detail(failure.message))
        }
        Err(failure) => Err(failure),
    }
}

fn save_failed(status: std::process::ExitStatus) -> Failure {
    Failure::new(Exit::Unavailable, format!("docker save failed ({status})"))
        .with_hint(Some("docker image ls".to_owned()))
}

fn generation(go_version: &str, context: &Context) -> Result<Generation, Failure> {
    match Generation::from_go_version(go_version) {
        Ok(generation) => {
            context.printer.detail(format_args!(
                "note: the engine was built with {go_version}: --go-gzip {generation}"
            ));
            Ok(generation)
        }
        Err(error) => Err(Failure::of(Exit::NotDeterminable, &error)
            .with_hint(Some("name a generation: --go-gzip go1.8".to_owned()))),
    }
}
