//! The docker CLI plugin `docker-generate` (docker/cli plugin protocol 0.1.0).
//!
//! `docker <globals> generate manifest ...` runs the plugin with **all** of the original arguments,
//! so docker's global options stand before and after `generate`. Called by hand the plugin also
//! takes `docker-generate manifest ...`. Its exit status is 0 or 1, which docker passes on.

mod cancel;
mod completion;
mod docker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};

use super::context::{self, Context, Dirs};
use super::daemon;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Format, Printer, Verbosity};
use super::output_file::write_data;
use super::source::{ImageArgs, Question, Source, stdin};
use super::usage;

/// What `docker` asks every plugin for; compiled in, since it must touch nothing.
const METADATA: &str = include_str!("../../../plugin-manifests/docker-generate.json");

/// What helps with wrong arguments.
const HELP: &str = "docker generate manifest --help";

/// Generate the exact manifest that docker push would send
#[derive(Debug, Parser)]
#[command(
    name = "docker-generate",
    bin_name = "docker",
    version,
    propagate_version = true,
    disable_version_flag = true,
    subcommand_required = true
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Top,
}

#[derive(Debug, Subcommand)]
enum Top {
    /// Generate the exact manifest that docker push would send
    Generate {
        #[command(subcommand)]
        command: Command,
    },
    /// Generate a manifest (without `generate`, when called directly)
    #[command(hide = true)]
    Manifest(ManifestArgs),
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the manifest of an image of the engine, or of a `docker save` archive on stdin
    Manifest(ManifestArgs),
}

/// docker's global options (docker/cli `cli/flags`). As with Go's flags, `--tls=false` is a form of
/// a switch.
#[derive(Clone, Debug, Default, clap::Args)]
struct Globals {
    /// Location of client config files
    #[arg(long, global = true, value_name = "DIR", help_heading = "Docker options")]
    config: Option<String>,
    /// Name of the context to use to connect to the daemon
    #[arg(long, short, global = true, value_name = "NAME", help_heading = "Docker options")]
    context: Option<String>,
    /// Enable debug mode
    #[arg(long, short = 'D', global = true, help_heading = "Docker options", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_name = "BOOL",
        hide_possible_values = true)]
    debug: Option<bool>,
    /// Daemon socket to connect to
    #[arg(long, short = 'H', global = true, value_name = "URL", help_heading = "Docker options")]
    host: Vec<String>,
    /// Logging level
    #[arg(long, short, global = true, value_name = "LEVEL", help_heading = "Docker options")]
    log_level: Option<String>,
    /// Use TLS; implied by --tlsverify
    #[arg(long, global = true, help_heading = "Docker options", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_name = "BOOL",
        hide_possible_values = true)]
    tls: Option<bool>,
    /// Use TLS and verify the remote
    #[arg(long, global = true, help_heading = "Docker options", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_name = "BOOL",
        hide_possible_values = true)]
    tlsverify: Option<bool>,
    /// Trust certs signed only by this CA
    #[arg(long, global = true, value_name = "FILE", help_heading = "Docker options")]
    tlscacert: Option<String>,
    /// Path to TLS certificate file
    #[arg(long, global = true, value_name = "FILE", help_heading = "Docker options")]
    tlscert: Option<String>,
    /// Path to TLS key file
    #[arg(long, global = true, value_name = "FILE", help_heading = "Docker options")]
    tlskey: Option<String>,
    /// Print version information and quit
    #[arg(
        long,
        short = 'v',
        global = true,
        action = ArgAction::Version,
        help_heading = "Docker options"
    )]
    version: (),
}

impl Globals {
    /// The same options for another call of docker.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let values = [
            ("--config", &self.config),
            ("--context", &self.context),
            ("--log-level", &self.log_level),
            ("--tlscacert", &self.tlscacert),
            ("--tlscert", &self.tlscert),
            ("--tlskey", &self.tlskey),
        ];
        for (name, value) in values {
            arguments.extend(value.as_ref().map(|value| format!("{name}={value}")));
        }
        arguments.extend(self.host.iter().map(|host| format!("--host={host}")));
        let switches =
            [("--debug", self.debug), ("--tls", self.tls), ("--tlsverify", self.tlsverify)];
        for (name, value) in switches {
            arguments.extend(value.map(|value| format!("{name}={value}")));
        }
        arguments
    }
}

/// Arguments of `docker generate manifest`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  docker generate manifest app:1 > manifest.json
  docker generate manifest < image.tar > manifest.json")]
// Options of `dockseal manifest` about what docker has nothing to do with.
#[command(mut_arg("namespace", |it| it.hide(true)), mut_arg("address", |it| it.hide(true)),
    mut_arg("containerd_root", |it| it.hide(true)))]
struct ManifestArgs {
    /// Image of the engine [default: an archive on standard input]
    #[arg(value_name = "IMAGE")]
    reference: Option<String>,
    #[command(flatten)]
    image: ImageArgs,
    /// Write the manifest to FILE
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Say only what is wrong
    #[arg(long, short)]
    quiet: bool,
}

/// Runs `docker-generate` on the process's own arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let words: Vec<&str> = arguments.iter().skip(1).filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        ["docker-cli-plugin-metadata"] => {
            let printer = Printer::new(Verbosity::Normal, Format::Text);
            return exit(printer.data(METADATA.as_bytes()).is_ok());
        }
        ["__complete" | "__completeNoDesc", typed @ ..] => {
            let describe = words.first() == Some(&"__complete");
            let printer = Printer::new(Verbosity::Quiet, Format::Text);
            let text = completion::complete(typed, describe);
            return exit(printer.data(text.as_bytes()).is_ok());
        }
        _ => {}
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            let printer = Printer::new(Verbosity::Normal, Format::Text);
            let version = env!("CARGO_PKG_VERSION");
            return exit(printer.line(format_args!("docker-generate {version}")).is_ok());
        }
        Err(error) => {
            let printer = Printer::new(Verbosity::Normal, Format::Text);
            if !error.use_stderr() {
                return exit(printer.help(&error.render()).is_ok());
            }
            printer.usage(&usage::in_its_lines(error).render(), HELP);
            return exit(false);
        }
    };
    let (Top::Generate { command: Command::Manifest(args) } | Top::Manifest(args)) = cli.command;
    let verbosity = match (args.quiet, cli.globals.debug) {
        (true, _) => Verbosity::Quiet,
        (_, Some(true)) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let printer = Printer::new(verbosity, Format::Text);
    let now = context::now();
    let context = Context { printer, dirs: Dirs::from_env(), strict_perms: false, now };
    match args.run(&cli.globals, &context) {
        Ok(()) => exit(true),
        Err(failure) => {
            printer.error(&failure.message, &failure.details, Some(&hint(&failure)));
            exit(false)
        }
    }
}

/// The commands that have manual pages, under the names that docker's own pages have.
pub(super) fn manual() -> Vec<clap::Command> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let generate = cli.find_subcommand("generate");
    let manifest = generate.and_then(|command| command.find_subcommand("manifest"));
    let pages = [("docker-generate", generate), ("docker-generate-manifest", manifest)];
    pages
        .into_iter()
        .filter_map(|(name, command)| Some(command?.clone().display_name(name)))
        .collect()
}

/// What helps, as a command line of docker.
fn hint(failure: &Failure) -> String {
    let hint = failure.hint().unwrap_or_else(|| match failure.exit {
        Exit::Usage => HELP.to_owned(),
        Exit::Malformed | Exit::ContentMismatch | Exit::NotDeterminable => {
            "docker save IMAGE | docker generate manifest".to_owned()
        }
        _ => "docker info".to_owned(),
    });
    // What others have to say of archives on standard input.
    hint.replace("dockseal manifest -", "docker generate manifest")
}

/// A plugin's exit status is 0 or 1.
fn exit(success: bool) -> ExitCode {
    if success { Exit::Ok.into() } else { Exit::Internal.into() }
}

impl ManifestArgs {
    fn run(self, globals: &Globals, context: &Context) -> Result<(), Failure> {
        let cancel = cancel::watch();
        let generated = match &self.reference {
            None => {
                stdin().map_err(|failure| {
                    failure.with_hint(Some("docker generate manifest IMAGE".to_owned()))
                })?;
                self.image.generate(&Source::Stdin { image: None }, context)?
            }
            Some(reference) => {
                let client = docker::client(globals);
                daemon::examine(&self.image, reference, &client, &Question::default(), context)?
            }
        };
        // From here on it is too late to cancel: the output is written whole.
        let _writing = cancel.hold_off();
        write_data(&generated.bytes, self.output.as_deref(), None, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_what_every_docker_accepts() {
        let metadata: serde_json::Value = serde_json::from_str(METADATA).unwrap();
        // Older docker accept no other version; 19.03 hid experimental plugins.
        assert_eq!(metadata["SchemaVersion"], "0.1.0");
        assert_eq!(metadata["Version"], env!("CARGO_PKG_VERSION"));
        assert!(!metadata["Vendor"].as_str().unwrap().is_empty());
        assert!(metadata.get("Experimental").is_none());
    }

    #[test]
    fn switches_take_values_as_go_does() {
        for (word, passed) in [
            ("--tls", "--tls=true"),
            ("--tls=false", "--tls=false"),
            ("--tlsverify=true", "--tlsverify=true"),
            ("-D", "--debug=true"),
        ] {
            let cli = Cli::try_parse_from(["docker-generate", word, "generate", "manifest", "a"])
                .unwrap_or_else(|error| panic!("{word}: {error}"));
            assert_eq!(cli.globals.arguments(), [passed], "{word}");
        }
    }

    #[test]
    fn globals_stand_anywhere() {
        Cli::command().debug_assert();
        for line in [
            "docker-generate -D --context c --log-level warn generate manifest a:b",
            "docker-generate generate manifest a:b -D --context c --log-level=warn",
            "docker-generate -D generate --context c manifest --log-level warn a:b",
            "docker-generate manifest a:b -D -c c -l warn",
        ] {
            let cli =
                Cli::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(cli.globals.context.as_deref(), Some("c"), "{line}");
            assert_eq!(
                cli.globals.arguments(),
                ["--context=c", "--log-level=warn", "--debug=true"],
                "{line}"
            );
        }
    }
}
