//! Whether containerd asks its image verifier (spec/containerd.md §8).
//!
//! The plugin fails open: without a directory, with an empty one, or with a limit of none, every
//! image is allowed. CRI silently pulls by itself, asking nobody, when one of several settings is
//! there. None of that shows when an image is pulled.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use super::{Area, Finding, Severity};
use crate::content::containerd::config::VerifierSettings;
use crate::trust::files::writable_by_others;

/// The verifier's program.
const PROGRAM: &str = "dockseal-containerd-verifier";

/// Verifying takes a hundredth of that; starting a process on a busy node may take long.
const ENOUGH: SignedDuration = SignedDuration::from_secs(2);

/// Where containerd's configuration and the verifier's are.
#[derive(Clone, Debug)]
pub struct VerifierPlaces {
    /// containerd's `config.toml`.
    pub config: PathBuf,
    /// The directory of policy, trust stores and signatures.
    pub root: PathBuf,
}

impl VerifierPlaces {
    /// Whether anything of the kind is set up on this host.
    pub fn is_set_up(&self) -> bool {
        let settings = VerifierSettings::load(&self.config);
        self.root.exists() || settings.is_ok_and(|settings| settings.bin_dir.exists())
    }
}

/// Looks at the configuration and the directory of verifiers.
pub fn check(places: &VerifierPlaces) -> Vec<Finding> {
    let mut found = Vec::new();
    let problem = |text: String| Finding::new(Area::Verifier, Severity::Problem, text);
    let config = places.config.display();
    let settings = match VerifierSettings::load(&places.config) {
        Ok(settings) => settings,
        Err(error) => return vec![problem(error.to_string())],
    };
    if settings.is_disabled {
        found.push(problem(format!(
            "{config} disables the image verifier plugin: every image is allowed"
        )));
    }
    match settings.version {
        2.. => {}
        version => found.push(problem(format!(
            "{config} has version {version}: plugins are configured from version 2 on"
        ))),
    }
    found.extend(settings.local_pull.iter().map(|setting| {
        let hint = match setting.split(['.', ' ']).next() {
            Some("registry") => {
                "remove it; hosts.toml files below registry.config_path say the same"
            }
            Some("max_concurrent_downloads") => {
                "remove it; the number of downloads belongs to io.containerd.transfer.v1.local"
            }
            _ => "remove it",
        };
        problem(format!("{config}: with {setting}, CRI pulls by itself and asks no verifier"))
            .hint(hint)
    }));
    found.extend(timeout(&settings));
    found.extend(directory(&settings));
    let signatures = places.root.join("signatures");
    let is_elsewhere = places.root.join("verifier.json").exists();
    if !signatures.is_dir() && !is_elsewhere {
        found.push(
            problem(format!("{} does not exist: every image is refused", signatures.display()))
                .hint("copy signatures there: <algorithm>/<hex of the image's digest>/*.sig"),
        );
    }
    if found.iter().all(|finding| finding.severity == Severity::Good) {
        let text = format!("{config}: containerd asks {}", settings.bin_dir.display());
        found.insert(0, Finding::new(Area::Verifier, Severity::Good, text));
    }
    found
}

/// What is wrong with the time that a verifier has.
fn timeout(settings: &VerifierSettings) -> Option<Finding> {
    let (severity, text) = match settings.timeout {
        None => (
            Severity::Problem,
            "per_verifier_timeout is no duration: containerd does not start".to_owned(),
        ),
        Some(time) if !time.is_positive() => {
            (Severity::Problem, format!("per_verifier_timeout is {time:#}: every pull is refused"))
        }
        Some(time) if time < ENOUGH => (
            Severity::Warning,
            format!("per_verifier_timeout is {time:#}: a busy node refuses pulls by chance"),
        ),
        Some(_) => return None,
    };
    let hint = "leave it out: 10s is what containerd gives each verifier";
    Some(Finding::new(Area::Verifier, severity, text).hint(hint))
}

fn directory(settings: &VerifierSettings) -> Vec<Finding> {
    let shown = settings.bin_dir.display();
    let problem = |text: String| Finding::new(Area::Verifier, Severity::Problem, text);
    let names = match names(&settings.bin_dir) {
        Ok(names) => names,
        Err(error) => {
            return vec![problem(format!("{shown}: {error}: every image is allowed"))];
        }
    };
    let mut found = Vec::new();
    if names.is_empty() {
        found.push(problem(format!("{shown} is empty: every image is allowed")));
    }
    match usize::try_from(settings.max_verifiers) {
        Ok(0) => found.push(problem("max_verifiers is 0: every image is allowed".to_owned())),
        // A negative number is no limit.
        Ok(limit) if names.len() > limit => found.push(problem(format!(
            "max_verifiers is {limit}: {} in {shown} are not asked",
            names[limit..].join(", ")
        ))),
        _ => {}
    }
    if let Some(warning) = writable_by_others(&settings.bin_dir) {
        found.push(problem(warning.to_string()).about_file(&["chmod", "go-w"], &settings.bin_dir));
    }
    for name in &names {
        let path = settings.bin_dir.join(name);
        match fs::metadata(&path) {
            Err(error) => {
                found.push(problem(format!("{}: {error}: every pull is refused", path.display())))
            }
            Ok(metadata) if !is_program(&metadata) => found.push(problem(format!(
                "{} is no program, containerd runs every entry: every pull is refused",
                path.display()
            ))),
            Ok(_) => {
                if let Some(warning) = writable_by_others(&path) {
                    found.push(problem(warning.to_string()).about_file(&["chmod", "go-w"], &path));
                }
            }
        }
    }
    let is_ours = |name: &String| {
        let target = fs::canonicalize(settings.bin_dir.join(name)).ok();
        let target = target.as_deref().and_then(Path::file_name).unwrap_or_default();
        name == PROGRAM || target == PROGRAM
    };
    if !names.is_empty() && !names.iter().any(is_ours) {
        let text = format!("{shown}: none of {} is {PROGRAM}", names.join(", "));
        found.push(Finding::new(Area::Verifier, Severity::Warning, text));
    }
    found
}

/// The entries in the order in which containerd runs them.
fn names(directory: &Path) -> std::io::Result<Vec<String>> {
    let names = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    Ok(names)
}

#[cfg(unix)]
fn is_program(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_program(metadata: &fs::Metadata) -> bool {
    metadata.is_file()
}
