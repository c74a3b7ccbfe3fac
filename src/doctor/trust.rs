//! Policies, trust stores, revocation lists.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::{Area, Finding, Severity, counted, validity};
use crate::trust::crls::CrlCache;
use crate::trust::files::{FileWarning, Loaded, PolicyFileError, PolicyFiles, writable_by_others};
use crate::trust::identity::TrustedIdentities;
use crate::trust::level::LevelName;
use crate::trust::lines::StatementLines;
use crate::trust::policy::{PolicyKind, Statement};
use crate::trust::store::{StoreRef, TrustStores};

/// Looks at what a configuration directory says about trust. `kinds` are the documents that must
/// be there; `cache` is where revocation lists are.
pub fn check(
    config: &Path,
    files: &PolicyFiles,
    kinds: &[PolicyKind],
    cache: Option<&CrlCache>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut trust =
        Trust { stores: TrustStores::new(config), seen: BTreeSet::new(), found: Vec::new() };
    for kind in [PolicyKind::Oci, PolicyKind::Blob] {
        if !files.exists(kind) && !kinds.contains(&kind) {
            continue;
        }
        let document = files.read(kind).ok();
        let lines = &document.map(|it| StatementLines::of(&it.bytes)).unwrap_or_default();
        match kind {
            PolicyKind::Oci => match files.load_oci() {
                Ok(loaded) => trust.policy(&loaded, loaded.policy.statements(), lines, now),
                Err(error) => trust.no_policy(kind, &error, lines),
            },
            PolicyKind::Blob => match files.load_blob() {
                Ok(loaded) => trust.policy(&loaded, loaded.policy.statements(), lines, now),
                Err(error) => trust.no_policy(kind, &error, lines),
            },
        }
    }
    if let Some(cache) = cache {
        trust.lists(cache, now);
    }
    trust.found
}

struct Trust {
    stores: TrustStores,
    /// Stores that were looked at; several statements may name one.
    seen: BTreeSet<String>,
    found: Vec<Finding>,
}

impl Trust {
    fn say(&mut self, severity: Severity, text: impl Into<String>) {
        self.found.push(Finding::new(Area::Trust, severity, text));
    }

    fn no_policy(&mut self, kind: PolicyKind, error: &PolicyFileError, lines: &StatementLines) {
        let line = match error {
            PolicyFileError::Invalid { source, .. } => lines.line_of(source),
            _ => None,
        };
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        let finding = Finding::new(Area::Trust, Severity::Problem, format!("{error}{line}"));
        self.found.push(match (kind, error) {
            (PolicyKind::Oci, PolicyFileError::Missing { .. }) => {
                finding.hint("dockseal policy init --name NAME --trust-store ca:STORE")
            }
            _ => finding,
        });
    }

    fn warn(&mut self, warning: &FileWarning) {
        let finding = Finding::new(Area::Trust, Severity::Warning, warning.to_string());
        self.found.push(match warning {
            FileWarning::WritableByOthers { path, .. } => {
                finding.about_file(&["chmod", "go-w"], path)
            }
            FileWarning::TwoPolicies { .. } => finding,
        });
    }

    fn policy<P>(
        &mut self,
        loaded: &Loaded<P>,
        statements: &[Statement],
        lines: &StatementLines,
        now: Timestamp,
    ) {
        let path = loaded.path.display();
        let number = counted(statements.len(), "statement");
        self.say(Severity::Good, format!("{path}: {number}"));
        for warning in &loaded.warnings {
            self.warn(warning);
        }
        for statement in statements {
            let name = statement.name();
            let line = lines.line(name).unwrap_or(1);
            let what = format!("{path}:{line}: statement {name:?}");
            let level = statement.level();
            let ignored: Vec<_> = level.unenforced().map(|kind| kind.to_string()).collect();
            match level.name() {
                LevelName::Skip => self
                    .say(Severity::Warning, format!("{what} has level skip: nothing is verified")),
                level if !ignored.is_empty() => self.say(
                    Severity::Note,
                    format!("{what} has level {level}: {} may fail", ignored.join(", ")),
                ),
                _ => {}
            }
            if *statement.identities() == TrustedIdentities::Any {
                let stores: Vec<_> =
                    statement.all_stores().iter().map(ToString::to_string).collect();
                let stores = stores.join(", ");
                self.say(
                    Severity::Note,
                    format!("{what} trusts whoever has a certificate that {stores} leads to"),
                );
            }
            for store in statement.all_stores() {
                self.store(store, now);
            }
        }
    }

    fn store(&mut self, store: &StoreRef, now: Timestamp) {
        let name = store.to_string();
        if !self.seen.insert(name.clone()) {
            return;
        }
        for place in self.stores.places(store) {
            if let Some(warning) = writable_by_others(&place) {
                self.warn(&warning);
            }
        }
        match self.stores.load(store) {
            Err(error) => {
                let finding = Finding::new(Area::Trust, Severity::Problem, error.to_string());
                self.found.push(match error.hint() {
                    Some(hint) => finding.hint(hint),
                    None => finding,
                });
            }
            Ok(certificates) => {
                let number = counted(certificates.len(), "certificate");
                self.say(Severity::Good, format!("trust store {name}: {number}"));
                let what = format!("trust store {name}");
                let expiring = certificates
                    .iter()
                    .filter_map(|certificate| validity(Area::Trust, &what, certificate, now));
                self.found.extend(expiring);
            }
        }
    }

    fn lists(&mut self, cache: &CrlCache, now: Timestamp) {
        let entries = match cache.entries() {
            Ok(entries) => entries,
            Err(error) => return self.say(Severity::Problem, error.to_string()),
        };
        for path in entries {
            let bundle = match cache.read(&path) {
                Ok(Some(bundle)) => bundle,
                Ok(None) => continue,
                Err(error) => {
                    self.say(Severity::Warning, error.to_string());
                    continue;
                }
            };
            let issuer = bundle.base.issuer();
            match bundle.base.next_update() {
                Some(next) if next < now => self.found.push(
                    Finding::new(
                        Area::Trust,
                        Severity::Warning,
                        format!("revocation list of \"{issuer}\" was to be replaced at {next}"),
                    )
                    .hint("dockseal crl import --url URL FILE"),
                ),
                next => {
                    let until =
                        next.map_or_else(|| "for ever".to_owned(), |next| format!("until {next}"));
                    self.say(Severity::Good, format!("revocation list of \"{issuer}\", {until}"));
                }
            }
        }
    }
}
