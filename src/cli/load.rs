//! `dockseal load`

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::content::archive::{self, Archive, Jobs, NoEncoders, Work};
use crate::content::containerd::Namespace;
use crate::fsutil::{self, AtomicFile, Mode};
use crate::generate::{Generated, Origin};
use crate::image::reference::Reference;
use crate::load::{CleanArchive, LoadError, Names};

use super::context::Context;
use super::daemon;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Format;
use super::progress_bar::ProgressBar;
use super::source::Source;
use super::verify::VerifyArgs;

// Arguments of `dockseal load`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal load image.tar --signature image.sig --into docker
  dockseal load image.tar --manifest manifest.json --signature image.sig --into docker
  dockseal load image.tar.zst --into containerd --namespace k8s.io
  dockseal load - --output clean.tar < image.tar")]
pub(super) struct LoadArgs {
    #[command(flatten)]
    verify: VerifyArgs,
    /// Engine that gets the image
    #[arg(long, value_enum, value_name = "ENGINE", required_unless_present = "output")]
    into: Option<Engine>,
    /// Write an archive of the verified content, and nothing else, to FILE
    #[arg(long, short, value_name = "FILE", conflicts_with = "into")]
    output: Option<PathBuf>,
    /// Name that the image gets instead of those in the archive, which no signature covers;
    /// repeatable
    #[arg(long, value_name = "NAME[:TAG]")]
    name: Vec<Reference>,
}

/// Who gets the image.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Engine {
    /// The engine that the docker client talks to
    Docker,
    /// containerd, by its client ctr
    Containerd,
}

impl LoadArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let source = self.verify.archive()?;
        let image = self.verify.image_args();
        let limits = image.limits();
        // What is verified and what is loaded come from one open file.
        let held = match &source {
            Source::Archive { path, .. } if path.is_dir() => None,
            Source::Archive { path, .. } => Some(archive::Source::Path(path.clone())),
            Source::Stdin { .. } => {
                Some(archive::Source::Stream(Box::new(super::source::stdin()?)))
            }
            Source::Containerd { .. } | Source::Daemon { .. } => {
                return Err(Failure::usage("an archive can be loaded, not what an engine has"));
            }
        };
        let held = held.map(|source| archive::hold(source, &limits)).transpose()?.map(Rc::new);
        let names = match self.name.as_slice() {
            [] => Names::Kept,
            names => Names::Given(names.iter().cloned().map(Reference::with_default_tag).collect()),
        };
        let load = |generated: &Generated| {
            let source = match (&held, &source) {
                (Some(file), _) => archive::Source::File(file.try_clone()?),
                (None, Source::Archive { path, .. }) => archive::Source::Path(path.clone()),
                _ => return Err(Failure::new(Exit::Internal, "no archive is held")),
            };
            let bar = ProgressBar::new(context.printer.may_draw());
            let jobs = Jobs {
                work: Work::Hash,
                encoders: &NoEncoders,
                threads: std::num::NonZero::<usize>::MIN,
                memo: None,
                progress: &(),
            };
            let archive = Archive::read(source, &jobs, limits)?;
            let clean = CleanArchive::of(&archive, generated, &names)?;
            let report = self.send(&clean, generated, &bar, context);
            bar.clear();
            report
        };
        self.verify.run_then(held.clone(), context, Some(&load))
    }

    fn send(
        &self,
        clean: &CleanArchive<'_>,
        image: &Generated,
        bar: &ProgressBar,
        context: &Context,
    ) -> Result<Value, Failure> {
        if let Some(output) = &self.output {
            self.refuse_overwriting(output)?;
            let mut file = AtomicFile::create(output, Mode::Public)?;
            clean.write_to(io::BufWriter::with_capacity(1 << 20, &mut file), bar)?;
            file.commit()?;
            self.say(context, format_args!("Written to {}", output.display()))?;
            return Ok(json!({"output": output, "names": clean.names()}));
        }
        let engine = self.into.unwrap_or(Engine::Docker);
        let into = match engine {
            Engine::Docker => json!({
                "engine": "docker",
                "endpoint": daemon::load(clean, image, bar, context)?,
                "names": clean.names(),
            }),
            Engine::Containerd => {
                if image.origin != Origin::Stored {
                    // Its importer makes a manifest of layers as they are in the archive.
                    context.printer.warning(format_args!(
                        "containerd will know the image by another digest than {}: the archive does \
                         not hold the signed manifest",
                        image.descriptor.digest
                    ));
                }
                Client::start(self.command(clean)?)?.take(clean, bar)?;
                json!({"engine": "containerd", "names": clean.names()})
            }
        };
        for name in clean.names() {
            self.say(context, format_args!("Loaded {name}"))?;
        }
        if clean.names().is_empty() {
            self.say(context, format_args!("Loaded {}", image.descriptor.digest))?;
        }
        Ok(into)
    }

    fn say(&self, context: &Context, line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
        if context.printer.format() == Format::Text {
            context.printer.note(line);
        }
        Ok(())
    }

    fn refuse_overwriting(&self, output: &Path) -> Result<(), Failure> {
        match self.verify.archive()? {
            Source::Archive { path, .. } if fsutil::is_same_file(&path, output) => {
                let text = format!("{} is the input, it is not overwritten", output.display());
                Err(Failure::usage(text))
            }
            _ => Ok(()),
        }
    }

    fn command(&self, clean: &CleanArchive<'_>) -> Result<Command, Failure> {
        if clean.names().is_empty() {
            return Err(Failure::usage("containerd knows images by name: --name NAME:TAG"));
        }
        let mut command = Command::new("ctr");
        let containerd = &self.verify.image_args().containerd;
        if let Some(address) = containerd.address() {
            command.args(["--address", address]);
        }
        let namespace = containerd.namespace().map_or("default", Namespace::as_str);
        command.args(["--namespace", namespace, "images", "import", "--all-platforms", "-"]);
        Ok(command)
    }
}

/// The client of an engine, which gets the archive on its standard input.
struct Client {
    name: String,
    child: Child,
}

impl Client {
    fn start(mut command: Command) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().map_err(|error| {
            Failure::new(Exit::Unavailable, format!("running {name}: {error}"))
                .with_hint(Some("dockseal load ARCHIVE --output clean.tar".to_owned()))
        })?;
        Ok(Self { name, child })
    }

    /// Sends the archive. If it is not what was verified any more, the client is stopped before it
    /// has received what would make it an image.
    fn take(&mut self, clean: &CleanArchive<'_>, bar: &ProgressBar) -> Result<(), Failure> {
        let Some(stdin) = self.child.stdin.take() else {
            return Err(Failure::new(Exit::Internal, format!("{} has no input", self.name)));
        };
        let sent = clean.write_to(io::BufWriter::with_capacity(1 << 20, stdin), bar);
        if let Err(LoadError::Changed(_) | LoadError::Archive(_)) = &sent {
            let _ = self.child.kill();
        }
        let status = self.child.wait()?;
        match sent {
            // A client that fails stops reading; what it says on stderr stands there.
            Err(LoadError::Write(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(LoadError::Write(error).into())
            }
            Err(error @ (LoadError::Changed(_) | LoadError::Archive(_))) => Err(error.into()),
            _ if status.success() => Ok(()),
            _ => {
                let text = format!("{} could not load the image ({status})", self.name);
                Err(Failure::new(Exit::Unavailable, text))
            }
        }
    }
}
