//! `dockseal cert`: certificates of the trust stores, and test certificates.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::image::hint::{self, Hint};
use crate::signature::x509::Certificate;
use crate::trust::store::{ManageError, StoreEntry, StoreRef, StoreType, TrustStores};

use super::cert_test::{CleanupArgs, GenerateArgs};
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Answer, table};

// Subcommands of `dockseal cert`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum CertCommand {
    /// Add certificates to a trust store
    Add(AddArgs),
    /// List certificates in the trust stores
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show details of the certificates in a file of a trust store
    Show(ShowArgs),
    /// Delete certificates from a trust store
    Delete(DeleteArgs),
    /// Generate a test key and a self-signed certificate, and trust it
    GenerateTest(GenerateArgs),
    /// Remove what generate-test made
    CleanupTest(CleanupArgs),
}

impl CertCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Add(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Show(args) => args.run(context),
            Self::Delete(args) => args.run(context),
            Self::GenerateTest(args) => args.run(context),
            Self::CleanupTest(args) => args.run(context),
        }
    }
}

// Which trust store.
#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// Type of the trust store
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = store_type)]
    pub(super) kind: StoreType,
    /// Name of the trust store
    #[arg(long, short, value_name = "NAME")]
    pub(super) store: String,
}

impl StoreArgs {
    fn reference(&self) -> Result<StoreRef, Failure> {
        StoreRef::new(self.kind, &self.store).ok_or_else(|| {
            Failure::usage("named store name needs to follow [a-zA-Z0-9_.-]+ format")
        })
    }
}

/// A trust store, for programs.
pub(super) fn described(store: &StoreRef) -> Value {
    json!({"type": store.kind().to_string(), "name": store.name()})
}

fn store_type(text: &str) -> Result<StoreType, String> {
    StoreType::parse(text)
        .ok_or_else(|| "unsupported store type, options: ca, signingAuthority, tsa".to_owned())
}

fn stores(context: &Context) -> Result<TrustStores, Failure> {
    Ok(TrustStores::new(&context.dirs.config()?))
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal cert add --type ca --store vendor vendor-root.crt")]
pub(super) struct AddArgs {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// Certificate files, PEM or DER
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

/// Words an error of a trust store.
pub(super) type Describe = fn(&ManageError) -> String;

/// As the library words it.
fn plain(error: &ManageError) -> String {
    error.to_string()
}

impl AddArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        self.run_with(context, plain)
    }

    pub(super) fn run_with(self, context: &Context, describe: Describe) -> Result<(), Failure> {
        let store = self.store.reference()?;
        let stores = stores(context)?;
        let mut added = Vec::new();
        let mut failed = Vec::new();
        let mut hint = None;
        for file in &self.files {
            match stores.add(&store, file) {
                Ok(_) => added.push(file),
                Err(error) => {
                    failed.push(format!("{}, with error {:?}", file.display(), describe(&error)));
                    hint = hint.or_else(|| add_hint(&store, file, error));
                }
            }
        }
        if !added.is_empty() {
            context.printer.line(format_args!(
                "Successfully added following certificates to named store {} of type {}:",
                store.name(),
                store.kind()
            ))?;
        }
        for file in &added {
            context.printer.line(file.display())?;
        }
        let mut report = json!({"store": described(&store), "files": added});
        if failed.is_empty() {
            report["verdict"] = json!("added");
            return Ok(context.printer.json(report)?);
        }
        let message = format!(
            "Failed to add following certificates to named store {} of type {}:",
            store.name(),
            store.kind()
        );
        let failure = Failure { details: failed, ..Failure::new(Exit::Unavailable, message) };
        Err(failure.with_report(report).with_hint(hint))
    }
}

/// What helps where a file could not be added.
fn add_hint(store: &StoreRef, file: &Path, error: ManageError) -> Option<Hint> {
    let named = hint::path(file);
    match &error {
        ManageError::Exists => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let (kind, store) = (store.kind().to_string(), store.name());
            let mut words = vec!["dockseal", "cert", "show", "--type", &kind, "--store", store];
            words.extend(name.starts_with('-').then_some("--"));
            words.push(&name);
            Hint::command("", &words)
        }
        _ if file.is_file() => {
            Hint::command("", &["openssl", "x509", "-noout", "-text", "-in", &named])
        }
        _ => Failure::from(error).hint.or_else(|| Hint::command("", &["ls", "-l", &named])),
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal cert list
  dockseal cert list --type ca")]
pub(super) struct ListArgs {
    /// Only stores of this type
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = store_type)]
    pub(super) kind: Option<StoreType>,
    /// Only stores of this name
    #[arg(long, short, value_name = "NAME")]
    pub(super) store: Option<String>,
}

impl ListArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let entries = stores(context)?.list(self.kind, self.store.as_deref())?;
        let header = ["STORE TYPE", "STORE NAME", "CERTIFICATE"].map(str::to_owned).to_vec();
        let rows = entries.iter().map(|entry| {
            let store = &entry.store;
            vec![store.kind().to_string(), store.name().to_owned(), entry.file.clone()]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        context.printer.text(&table(&rows))?;
        let entry = |it: &StoreEntry| json!({"store": described(&it.store), "file": it.file});
        let certificates: Vec<_> = entries.iter().map(entry).collect();
        Ok(context.printer.json(json!({"certificates": certificates}))?)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal cert show --type ca --store vendor vendor-root.crt")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// Name of the file in the trust store
    #[arg(value_name = "FILE")]
    pub(super) file: String,
}

impl ShowArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        self.run_with(context, plain)
    }

    pub(super) fn run_with(self, context: &Context, describe: Describe) -> Result<(), Failure> {
        let certificates = stores(context)?
            .show(&self.store.reference()?, &self.file)
            .map_err(|error| Failure { message: describe(&error), ..error.into() })?;
        let rule = "-".repeat(80);
        let blocks: Vec<_> = certificates.iter().map(details).collect();
        context.printer.text(&format!(
            "Certificate details\n{rule}\n{}\n",
            blocks.join(&format!("\n{rule}\n"))
        ))?;
        let certificates: Vec<_> = certificates.iter().map(details_json).collect();
        Ok(context.printer.json(json!({
            "store": described(&self.store.reference()?),
            "file": self.file,
            "certificates": certificates,
        }))?)
    }
}

/// What notation shows of a certificate.
fn details(certificate: &Certificate) -> String {
    let time = |moment: jiff::Timestamp| moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string();
    format!(
        "Issuer: {}\nSubject: {}\nValid from: {}\nValid to: {}\nIsCA: {}\nSHA256 Thumbprint: {}",
        certificate.issuer(),
        certificate.subject(),
        time(certificate.not_before()),
        time(certificate.not_after()),
        certificate.is_ca(),
        crate::image::digest::hex(&certificate.sha256_fingerprint()),
    )
}

fn details_json(certificate: &Certificate) -> Value {
    json!({
        "issuer": certificate.issuer().to_string(),
        "subject": certificate.subject().to_string(),
        "notBefore": certificate.not_before().to_string(),
        "notAfter": certificate.not_after().to_string(),
        "isCa": certificate.is_ca(),
        "sha256": crate::image::digest::hex(&certificate.sha256_fingerprint()),
    })
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal cert delete --type ca --store vendor vendor-root.crt
  dockseal cert delete --type ca --store vendor --all --yes")]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// Delete the whole store
    #[arg(long, short, conflicts_with = "file", required_unless_present = "file")]
    pub(super) all: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Name of the file in the trust store
    #[arg(value_name = "FILE")]
    pub(super) file: Option<String>,
}

impl DeleteArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        self.run_with(context, plain)
    }

    pub(super) fn run_with(self, context: &Context, describe: Describe) -> Result<(), Failure> {
        let failed = |what: &str, error: ManageError| {
            let message = format!("{what}: {}", describe(&error));
            Failure { message, ..error.into() }
        };
        let store = self.store.reference()?;
        let stores = stores(context)?;
        let (name, kind) = (store.name(), store.kind());
        let report = |is_deleted: bool| {
            let verdict = if is_deleted { "deleted" } else { "kept" };
            json!({"verdict": verdict, "store": described(&store), "file": self.file})
        };
        let Some(file) = &self.file else {
            let question = format!(
                "Are you sure you want to delete all certificates in {name:?} of type \"{kind}\"?"
            );
            let is_deleted = confirmed(context, self.yes, &question)?;
            if is_deleted {
                stores
                    .delete_all(&store)
                    .map_err(|error| failed("failed to delete the named trust store", error))?;
                context.printer.line(format_args!(
                    "Successfully deleted {}",
                    stores.directory(&store).display()
                ))?;
            }
            return Ok(context.printer.json(report(is_deleted))?);
        };
        let question =
            format!("Are you sure you want to delete {file:?} in {name:?} of type \"{kind}\"?");
        let is_deleted = confirmed(context, self.yes, &question)?;
        if is_deleted {
            stores
                .delete(&store, file)
                .map_err(|error| failed("failed to delete the certificate file", error))?;
            context.printer.line(format_args!(
                "Successfully deleted {file} from trust store {name} of type {kind}"
            ))?;
        }
        Ok(context.printer.json(report(is_deleted))?)
    }
}

/// Whether to go on: told so, or asked and answered with yes.
pub(super) fn confirmed(context: &Context, yes: bool, question: &str) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    match context.printer.confirm(question)? {
        Answer::Yes => Ok(true),
        Answer::No => Ok(false),
        Answer::NotAsked => Err(Failure::usage("there is no terminal to ask for confirmation")
            .with_hint(Some("--yes".to_owned()))),
    }
}
