//! `containerd:NAME`: which containerd, and by which way.

use std::path::{Path, PathBuf};

use crate::content::containerd::config::{self, ConfigError, Places};
use crate::content::containerd::offline::Files;
use crate::content::containerd::{ContainerdError, ContentStore, Namespace};
#[cfg(not(feature = "containerd-grpc"))]
use crate::image::hint::Hint;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

// Options for images in containerd.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ContainerdArgs {
    /// Namespace of containerd, such as k8s.io [default: all are searched]
    #[arg(long, value_name = "NAME", env = "CONTAINERD_NAMESPACE", hide_env_values = true)]
    namespace: Option<Namespace>,
    /// Socket of containerd [default: the one in its configuration]
    #[arg(long, value_name = "PATH", env = "CONTAINERD_ADDRESS", hide_env_values = true)]
    address: Option<String>,
    /// Read containerd's files below its root directory, running or not, instead of asking it
    #[arg(long, value_name = "DIR")]
    containerd_root: Option<PathBuf>,
}

impl ContainerdArgs {
    /// The namespace, if one was chosen.
    pub(super) fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// The store: the files that were named, else the running containerd.
    pub(super) fn open(&self, context: &Context) -> Result<Box<dyn ContentStore>, Failure> {
        match &self.containerd_root {
            Some(root) => files(root, context),
            None => self.running(context),
        }
    }

    #[cfg(feature = "containerd-grpc")]
    fn running(&self, context: &Context) -> Result<Box<dyn ContentStore>, Failure> {
        use crate::content::containerd::grpc::Daemon;

        if let Some(address) = &self.address {
            return Ok(Box::new(Daemon::connect(address)?));
        }
        let places = places()?;
        let address = places.address.to_string_lossy();
        match Daemon::connect(&address) {
            Ok(daemon) => Ok(Box::new(daemon)),
            // It does not run, but its files are where they always are.
            Err(error) if is_absent(&error) && places.root.is_dir() => {
                context.printer.note(format_args!(
                    "note: no containerd runs at {address}; its files in {} are read",
                    places.root.display()
                ));
                files(&places.root, context)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Without the feature there is no socket; the files serve as well.
    #[cfg(not(feature = "containerd-grpc"))]
    fn running(&self, context: &Context) -> Result<Box<dyn ContentStore>, Failure> {
        let root = places()?.root;
        if let Some(address) = &self.address {
            let message = format!("this build can't speak to containerd at {address}");
            let root = root.to_string_lossy();
            let hint = Hint::option("read its files", "--containerd-root", &root);
            return Err(Failure::new(Exit::Unavailable, message).with_hint(hint));
        }
        files(&root, context)
    }
}

fn files(root: &Path, context: &Context) -> Result<Box<dyn ContentStore>, Failure> {
    let files = Files::open(root)?;
    if let Some(version) = files.newer_schema()? {
        context.printer.warning(format_args!(
            "the database in {} has schema version {version}, newer than what is known",
            root.display()
        ));
    }
    Ok(Box::new(files))
}

fn places() -> Result<Places, Failure> {
    Places::load(Path::new(config::PATH)).map_err(Failure::from)
}

#[cfg(feature = "containerd-grpc")]
fn is_absent(error: &ContainerdError) -> bool {
    let kinds = [std::io::ErrorKind::NotFound, std::io::ErrorKind::ConnectionRefused];
    matches!(error, ContainerdError::Connect { source, .. } if kinds.contains(&source.kind()))
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::of(Exit::Unavailable, &error).with_hint(Some(
            "name its socket, or with --containerd-root its files: --address PATH".to_owned(),
        ))
    }
}

impl From<ContainerdError> for Failure {
    fn from(error: ContainerdError) -> Self {
        use crate::content::containerd::Class;
        let exit = match error.class() {
            Class::Io => Exit::Internal,
            Class::Malformed => Exit::Malformed,
            Class::Mismatch => Exit::ContentMismatch,
            Class::Unavailable => Exit::Unavailable,
        };
        let hint = error.hint();
        Self::of(exit, &error).with_hint(hint)
    }
}
