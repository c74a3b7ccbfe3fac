//! Signing keys and plugins.

use std::path::Path;

use jiff::Timestamp;

use super::{Area, Finding, Severity, counted, validity};
use crate::fsutil;
use crate::plugin::PluginDirectory;
use crate::signature::signer::keys::{KeySource, SigningKeys};
use crate::signature::x509;
use crate::trust::files::writable_by_others;

/// Largest file of certificates that is read.
const MAX_CHAIN_BYTES: u64 = 1 << 20;

/// Looks at the list of signing keys, without opening any, and at the plugins.
pub fn check(config: &Path, plugins: &PluginDirectory, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let problem = |text: String| Finding::new(Area::Keys, Severity::Problem, text);
    match SigningKeys::load(config) {
        Err(error) => found.push(problem(error.to_string())),
        Ok(keys) => {
            let number = counted(keys.keys().len(), "signing key");
            let text = match keys.default_name() {
                Some(default) => format!("{number}, {default} is the default"),
                None => format!("{number}, none is the default"),
            };
            found.push(Finding::new(Area::Keys, Severity::Good, text));
            for key in keys.keys() {
                let what = format!("key {}", key.name);
                match &key.source {
                    Some(KeySource::Local { key_path, cert_path }) => {
                        found.extend(private_key(&what, key_path));
                        found.extend(certificates(&what, cert_path, now));
                    }
                    Some(KeySource::Plugin { plugin, .. }) => {
                        if let Err(error) = plugins.find(plugin) {
                            found.push(problem(format!("{what}: {error}")));
                        }
                    }
                    None => found.push(problem(format!("{what} says neither files nor a plugin"))),
                }
            }
        }
    }
    match plugins.names() {
        Err(error) => found.push(problem(error.to_string())),
        Ok(names) => found.extend(names.iter().map(|name| match plugins.find(name) {
            Ok(_) => Finding::new(Area::Keys, Severity::Good, format!("plugin {name}")),
            Err(error) => problem(format!("plugin {name}: {error}")),
        })),
    }
    found
}

fn private_key(what: &str, path: &Path) -> Vec<Finding> {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let text = format!("{what}: {shown}: {error}");
            return vec![Finding::new(Area::Keys, Severity::Problem, text)];
        }
    };
    let mut found: Vec<_> = writable_by_others(path)
        .map(|warning| {
            Finding::new(Area::Keys, Severity::Problem, format!("{what}: {warning}"))
                .about_file(&["chmod", "go="], path)
        })
        .into_iter()
        .collect();
    if is_readable_by_others(&metadata) {
        let text = format!("{what}: {shown} can be read by others than its owner");
        found.push(
            Finding::new(Area::Keys, Severity::Warning, text).about_file(&["chmod", "go="], path),
        );
    }
    found
}

#[cfg(unix)]
fn is_readable_by_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    metadata.permissions().mode() & 0o044 != 0
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &std::fs::Metadata) -> bool {
    false
}

fn certificates(what: &str, path: &Path, now: Timestamp) -> Vec<Finding> {
    let chain = fsutil::read_bounded(path, MAX_CHAIN_BYTES)
        .map_err(|error| error.to_string())
        .and_then(|bytes| {
            x509::certificates_from_bytes(&bytes)
                .map_err(|error| format!("{}: {error}", path.display()))
        });
    match chain {
        Ok(chain) => chain
            .iter()
            .filter_map(|certificate| validity(Area::Keys, what, certificate, now))
            .collect(),
        Err(error) => {
            vec![Finding::new(Area::Keys, Severity::Problem, format!("{what}: {error}"))]
        }
    }
}
