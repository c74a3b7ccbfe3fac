//! What a host trusts, as commands open it: its policy documents, and who may change them.

use std::path::{Path, PathBuf};

use crate::image::hint::{self, Hint};
use crate::kit::install::pending;
use crate::plugin::{DEFAULT_TIMEOUT, PluginDirectory};
use crate::trust::files::{FileWarning, PolicyFiles, writable_by_others};
use crate::trust::identity::IdentityKinds;
use crate::trust::policy::Statement;
use crate::trust::store::TrustStores;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

/// Why nothing is verified while a kit is imported.
pub(super) const UNDECIDED: &str =
    "the import of a kit is under way or was interrupted: what is trusted is undecided";

/// The policy documents. With plugins they may list identities that only those know (rule N-25).
pub(super) fn policy_files(context: &Context) -> Result<PolicyFiles, Failure> {
    if pending(&context.dirs.config()?)? {
        return Err(Failure::new(Exit::NotTrusted, UNDECIDED)
            .with_hint(Some("dockseal kit resume".to_owned())));
    }
    let plugins = PluginDirectory::new(context.dirs.plugins()?, DEFAULT_TIMEOUT);
    let has_plugins = plugins.names().is_ok_and(|names| !names.is_empty());
    let kinds = if has_plugins { IdentityKinds::ForPlugins } else { IdentityKinds::X509 };
    Ok(PolicyFiles::new(&context.dirs.config()?).with(kinds))
}

/// Warns about configuration files; under `--strict-perms` one that others may change is an error.
///
/// # Errors
/// [`Exit::NotTrusted`].
pub(super) fn warn_about_files(
    context: &Context,
    warnings: impl IntoIterator<Item = FileWarning>,
) -> Result<(), Failure> {
    for warning in warnings {
        match &warning {
            FileWarning::WritableByOthers { path, .. } if context.strict_perms => {
                return Err(Failure::of(Exit::NotTrusted, &warning)
                    .with_hint(Hint::command("", &["chmod", "go-w", &hint::path(path)])));
            }
            _ => context.printer.warning(warning),
        }
    }
    Ok(())
}

/// The same about the trust stores of a statement: who may write there is trusted.
///
/// # Errors
/// [`Exit::NotTrusted`].
pub(super) fn check_stores(
    context: &Context,
    stores: &TrustStores,
    statement: &Statement,
) -> Result<(), Failure> {
    let mut places: Vec<PathBuf> =
        statement.all_stores().iter().flat_map(|store| stores.places(store)).collect();
    places.sort_unstable();
    places.dedup();
    warn_about_files(context, places.iter().filter_map(|path| writable_by_others(path)))
}

/// The same about files of a signing key.
///
/// # Errors
/// [`Exit::NotTrusted`].
pub(super) fn check_key_files(context: &Context, files: &[&Path]) -> Result<(), Failure> {
    warn_about_files(context, files.iter().filter_map(|path| writable_by_others(path)))
}
