//! `dockseal doctor`

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::content::containerd::config::{self, Places};
use crate::doctor::{self, Area, Finding, Severity, VerifierPlaces, counted};
use crate::image::hint;
use crate::plugin::{DEFAULT_TIMEOUT, PluginDirectory};
use crate::signature::signer::keys::SigningKeys;
use crate::trust::crls::CrlCache;
use crate::trust::files::PolicyFiles;
use crate::trust::policy::PolicyKind;

use super::context::Context;
use super::daemon;
use super::exit::Exit;
use super::failure::Failure;
use super::host_trust::policy_files;
use super::output::{Tone, Verbosity};

// Arguments of `dockseal doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Ends with 12 if there is a problem, with 0 if there is none.

Examples:
  dockseal doctor
  dockseal doctor --format json
  dockseal doctor --containerd-config /etc/containerd/config.toml")]
pub(super) struct DoctorArgs {
    /// Configuration of containerd
    #[arg(long, value_name = "FILE", default_value = config::PATH)]
    containerd_config: PathBuf,
    /// Directory of the image verifier's policy, trust stores and signatures
    #[arg(long, value_name = "DIR", default_value = "/etc/dockseal")]
    verifier_root: PathBuf,
}

impl DoctorArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut found = vec![doctor::clock(context.now)];
        found.extend(host(context)?);
        found.extend(daemon::diagnose());
        found.push(containerd(&self.containerd_config));
        let places = VerifierPlaces { config: self.containerd_config, root: self.verifier_root };
        found.extend(verifier(&places, context));
        report(&found, context)
    }
}

/// Trust and keys of who runs this.
fn host(context: &Context) -> Result<Vec<Finding>, Failure> {
    let config = context.dirs.config()?;
    let plugins = PluginDirectory::new(context.dirs.plugins()?, DEFAULT_TIMEOUT);
    let cache = context.dirs.cache().ok().map(|cache| CrlCache::new(&cache));
    let files = policy_files(context)?;
    let mut found = doctor::trust(&config, &files, &[PolicyKind::Oci], cache.as_ref(), context.now);
    if SigningKeys::path(&config).exists() || plugins.names().is_ok_and(|names| !names.is_empty()) {
        found.extend(doctor::keys(&config, &plugins, context.now));
    } else {
        found.push(
            Finding::new(Area::Keys, Severity::Note, "no signing keys: this host can verify only")
                .hint("dockseal key add NAME --key-file FILE --cert-file FILE"),
        );
    }
    Ok(found)
}

/// Whether there is a containerd, whether it answers, and what it has.
fn containerd(config: &Path) -> Finding {
    let places = match Places::load(config) {
        Ok(places) => places,
        Err(error) => return Finding::new(Area::Containerd, Severity::Problem, error.to_string()),
    };
    let (root, address) = (places.root.display(), places.address.display());
    match (places.address.exists(), places.root.is_dir()) {
        (false, false) => Finding::new(Area::Containerd, Severity::Note, "there is none here"),
        (false, true) => {
            let text = format!("it is not running; its files are in {root}");
            Finding::new(Area::Containerd, Severity::Note, text).about_file(
                &["dockseal", "verify", "containerd:NAME", "--containerd-root"],
                &places.root,
            )
        }
        (true, _) => match answers(&places.address.to_string_lossy()) {
            Ok(namespaces) => {
                let namespaces = match &namespaces[..] {
                    [] => "no namespaces".to_owned(),
                    names => format!("namespaces {}", names.join(", ")),
                };
                let text = format!("it answers at {address}, root {root}, {namespaces}");
                Finding::new(Area::Containerd, Severity::Good, text)
            }
            Err(error) => Finding::new(Area::Containerd, Severity::Warning, error),
        },
    }
}

#[cfg(feature = "containerd-grpc")]
fn answers(address: &str) -> Result<Vec<String>, String> {
    use crate::content::containerd::ContentStore as _;
    use crate::content::containerd::grpc::Daemon;

    let daemon = Daemon::connect(address).map_err(|error| error.to_string())?;
    let namespaces = daemon.namespaces().map_err(|error| error.to_string())?;
    Ok(namespaces.iter().map(|it| it.as_str().to_owned()).collect())
}

#[cfg(not(feature = "containerd-grpc"))]
fn answers(_: &str) -> Result<Vec<String>, String> {
    Err("this build can't speak to its socket; --containerd-root reads its files".to_owned())
}

/// The image verifier, where anything of it is set up.
fn verifier(places: &VerifierPlaces, context: &Context) -> Vec<Finding> {
    if !places.is_set_up() {
        let text = "containerd's image verifier is not set up";
        return vec![Finding::new(Area::Verifier, Severity::Note, text)];
    }
    let mut found = doctor::verifier(places);
    let files = PolicyFiles::new(&places.root);
    let cache = CrlCache::new(&places.root);
    let trust = doctor::trust(&places.root, &files, &[PolicyKind::Oci], Some(&cache), context.now);
    // Commands that help are about the verifier's directory.
    let root = hint::shell(&[hint::path(&places.root)]);
    let hint = |hint: String| match (hint.starts_with("dockseal "), &root) {
        (true, Some(root)) => Some(format!("NOTATION_CONFIG={root} {hint}")),
        (true, None) => None,
        (false, _) => Some(hint),
    };
    found.extend(trust.into_iter().map(|finding| Finding {
        area: Area::Verifier,
        hint: finding.hint.and_then(hint),
        ..finding
    }));
    found
}

fn report(found: &[Finding], context: &Context) -> Result<(), Failure> {
    let printer = context.printer;
    let count = |severity| found.iter().filter(|finding| finding.severity == severity).count();
    let (problems, warnings) = (count(Severity::Problem), count(Severity::Warning));
    let summary = format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning"));
    let is_quiet = printer.verbosity() == Verbosity::Quiet;
    for finding in found.iter().filter(|it| !is_quiet || it.severity >= Severity::Warning) {
        let (area, severity) = (finding.area.as_str(), finding.severity.as_str());
        let tone = match finding.severity {
            Severity::Good => Tone::Good,
            Severity::Note => Tone::Plain,
            Severity::Warning => Tone::Warning,
            Severity::Problem => Tone::Bad,
        };
        let rest = format_args!(" {area}: {}", finding.text);
        printer.verdict(tone, &format!("{severity:<8}"), rest)?;
        if let Some(hint) = &finding.hint {
            printer.verdict(Tone::Hint, "         hint:", format_args!(" {hint}"))?;
        }
    }
    let findings: Vec<_> = found
        .iter()
        .map(|finding| {
            json!({
                "area": finding.area.as_str(),
                "severity": finding.severity.as_str(),
                "text": finding.text,
                "hint": finding.hint,
            })
        })
        .collect();
    let report = json!({
        "verdict": if problems > 0 { "problems" } else { "healthy" },
        "findings": findings,
    });
    if problems > 0 {
        let mut bad = found.iter().filter(|finding| finding.severity == Severity::Problem);
        let hint = bad.find_map(|finding| finding.hint.clone());
        return Err(Failure::new(Exit::NotTrusted, summary).with_report(report).with_hint(hint));
    }
    printer.note(summary);
    Ok(printer.json(report)?)
}
