//! `dockseal load`

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::SignedDuration;
use serde_json::json;

use crate::content::archive::{self, Archive, Jobs, NoEncoders, Work};
use crate::content::containerd::Namespace;
use crate::fsutil::{self, AtomicFile, Mode};
use crate::generate::Generated;
use crate::image::reference::Reference;
use crate::load::{self, CleanArchive, Destination, Names};

use super::context::Context;
use super::daemon;
use super::exit::Exit;
use super::failure::Failure;
use super::progress_bar::ProgressBar;
use super::source::Source;
use super::verify::{Done, VerifyArgs};

/// containerd's namespace where none is named.
const DEFAULT_NAMESPACE: &str = "default";

/// How long containerd keeps what a writer that died left behind.
const LEASE: SignedDuration = SignedDuration::from_hours(24);

// Arguments of `dockseal load`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal load image.tar --signature image.sig --into docker
  dockseal load image.tar --manifest manifest.json --signature image.sig --into docker
  dockseal load image.tar.zst --into containerd --namespace k8s.io
  dockseal load - --output clean.tar < image.tar")]
#[command(group = clap::ArgGroup::new("destination").required(true).args(["into", "output"]))]
pub(super) struct LoadArgs {
    /// Engine that gets the image
    #[arg(long, value_enum, value_name = "ENGINE")]
    into: Option<Engine>,
    /// Write an archive of the verified content, and nothing else, to FILE
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name that the image gets instead of those in the archive, which no signature covers;
    /// repeatable
    #[arg(long, value_name = "NAME[:TAG]")]
    name: Vec<Reference>,
    #[command(flatten)]
    verify: VerifyArgs,
}

/// Who gets the image.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Engine {
    /// The engine that the docker client talks to
    Docker,
    /// The running containerd, into --namespace [default: default]
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
        let hold = |source| archive::hold(source, &limits, &image.bar(context));
        let held = held.map(hold).transpose()?.map(Rc::new);
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
            let bar = image.bar(context);
            let jobs = Jobs {
                work: Work::Hash,
                encoders: &NoEncoders,
                threads: std::num::NonZero::<usize>::MIN,
                memo: None,
                progress: &(),
            };
            let archive = Archive::read(source, &jobs, limits)?;
            self.send(&archive, generated, &names, &bar, context)
        };
        self.verify.run_then(held.clone(), context, Some(&load))
    }

    fn send(
        &self,
        archive: &Archive,
        image: &Generated,
        names: &Names,
        bar: &ProgressBar,
        context: &Context,
    ) -> Result<Done, Failure> {
        if let Some(output) = &self.output {
            let clean = CleanArchive::of(archive, image, names)?;
            self.refuse_overwriting(output)?;
            let mut file = AtomicFile::create(output, Mode::Public)?;
            clean.write_to(io::BufWriter::with_capacity(1 << 20, &mut file), bar)?;
            file.commit()?;
            return Ok(Done {
                report: json!({"output": output, "names": clean.names()}),
                lines: vec![format!("Written to {}", output.display())],
            });
        }
        let names = names.of(image);
        let report = match self.into.unwrap_or(Engine::Docker) {
            Engine::Docker => {
                let clean = CleanArchive::of(archive, image, &Names::Given(names.to_vec()))?;
                let endpoint = daemon::load(&clean, image, bar, context)?;
                json!({"engine": "docker", "endpoint": endpoint, "names": clean.names()})
            }
            Engine::Containerd => {
                let namespace = self.write_to_containerd(archive, image, names, bar, context)?;
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                json!({"engine": "containerd", "namespace": namespace.as_str(), "names": names})
            }
        };
        let lines = match names {
            [] => vec![format!("Loaded {}", image.descriptor.digest)],
            names => names.iter().map(|name| format!("Loaded {}", name.familiar())).collect(),
        };
        Ok(Done { report, lines })
    }

    /// Writes the image, with the very manifest that is signed; the namespace.
    fn write_to_containerd(
        &self,
        archive: &Archive,
        image: &Generated,
        names: &[Reference],
        bar: &ProgressBar,
        context: &Context,
    ) -> Result<Namespace, Failure> {
        if names.is_empty() {
            return Err(Failure::usage("containerd knows images by name: --name NAME:TAG"));
        }
        let arguments = self.verify.image_args();
        let store = arguments.containerd.open(context)?;
        let Some(writer) = store.writer() else {
            let text = "only a running containerd can be written to";
            return Err(Failure::new(Exit::Unavailable, text)
                .with_hint(Some("sudo systemctl start containerd".to_owned())));
        };
        let namespace = match arguments.containerd.namespace() {
            Some(namespace) => namespace.clone(),
            None => {
                DEFAULT_NAMESPACE.parse().map_err(|error| Failure::of(Exit::Internal, &error))?
            }
        };
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let lease_until = context.now.saturating_add(LEASE).unwrap_or(context.now).to_string();
        load::into_containerd(
            archive,
            image,
            &Destination {
                writer,
                namespace: &namespace,
                names: &names,
                lease_until: &lease_until,
                threads: arguments.threads(),
                progress: bar,
            },
        )?;
        for name in &names {
            let found = store.image(&namespace, name)?.map(|record| record.target.digest);
            if found.as_ref() != Some(&image.descriptor.digest) {
                let text = format!("containerd has another image as {name}");
                return Err(Failure::new(Exit::ContentMismatch, text)
                    .with_detail(format!("expected {}", image.descriptor.digest)));
            }
        }
        Ok(namespace)
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
}
