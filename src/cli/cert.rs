//! `dockseal cert`: certificates of the trust stores, and test certificates.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::fsutil::{self, Mode};
use crate::signature::algorithm::KeySpec;
use crate::signature::signer::keys::{KeySource, KeysError, MakeDefault, SigningKey, SigningKeys};
use crate::signature::x509::Certificate;
use crate::signature::x509::generate;
use crate::trust::store::{ManageError, StoreRef, StoreType, TrustStores, is_file_name};

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

fn store_type(text: &str) -> Result<StoreType, String> {
    StoreType::parse(text)
        .ok_or_else(|| "unsupported store type, options: ca, signingAuthority, tsa".to_owned())
}

fn stores(context: &Context) -> Result<TrustStores, Failure> {
    Ok(TrustStores::new(&context.dirs.config()?))
}

#[derive(Debug, clap::Args)]
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
        for file in &self.files {
            match stores.add(&store, file) {
                Ok(_) => added.push(file),
                Err(error) => {
                    failed.push(format!("{}, with error {:?}", file.display(), describe(&error)))
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
        for file in added {
            context.printer.line(file.display())?;
        }
        if failed.is_empty() {
            return Ok(());
        }
        let message = format!(
            "Failed to add following certificates to named store {} of type {}:",
            store.name(),
            store.kind()
        );
        Err(Failure { details: failed, ..Failure::new(Exit::Unavailable, message) })
    }
}

#[derive(Debug, clap::Args)]
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
        let rows = entries.into_iter().map(|entry| {
            let store = &entry.store;
            vec![store.kind().to_string(), store.name().to_owned(), entry.file]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        Ok(context.printer.data(table(&rows).as_bytes())?)
    }
}

#[derive(Debug, clap::Args)]
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
        context.printer.line(format_args!(
            "Certificate details\n{rule}\n{}",
            blocks.join(&format!("\n{rule}\n"))
        ))?;
        Ok(())
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

#[derive(Debug, clap::Args)]
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
        let failed = |what: &str, error: &ManageError| {
            Failure::new(Exit::Unavailable, format!("{what}: {}", describe(error)))
        };
        let store = self.store.reference()?;
        let stores = stores(context)?;
        let (name, kind) = (store.name(), store.kind());
        let Some(file) = &self.file else {
            let question = format!(
                "Are you sure you want to delete all certificates in {name:?} of type \"{kind}\"?"
            );
            if confirmed(context, self.yes, &question)? {
                stores
                    .delete_all(&store)
                    .map_err(|error| failed("failed to delete the named trust store", &error))?;
                context.printer.line(format_args!(
                    "Successfully deleted {}",
                    stores.directory(&store).display()
                ))?;
            }
            return Ok(());
        };
        let question =
            format!("Are you sure you want to delete {file:?} in {name:?} of type \"{kind}\"?");
        if confirmed(context, self.yes, &question)? {
            stores
                .delete(&store, file)
                .map_err(|error| failed("failed to delete the certificate file", &error))?;
            context.printer.line(format_args!(
                "Successfully deleted {file} from trust store {name} of type {kind}"
            ))?;
        }
        Ok(())
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
            .with_hint(Some("the same command with --yes".to_owned()))),
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct GenerateArgs {
    /// Common name of the certificate, and name of key and trust store
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// RSA key size
    #[arg(long, short, value_name = "BITS", default_value = "2048", value_parser = ["2048", "3072", "4096"])]
    pub(super) bits: String,
    /// Make the key the default signing key
    #[arg(long)]
    pub(super) default: bool,
}

impl GenerateArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let (name, config) = (&self.name, context.dirs.config()?);
        let printer = context.printer;
        let store = test_store(name)?;
        let spec = match self.bits.as_str() {
            "4096" => KeySpec::Rsa4096,
            "3072" => KeySpec::Rsa3072,
            _ => KeySpec::Rsa2048,
        };
        let mut keys = SigningKeys::load(&config)?;
        let (key_path, cert_path) = SigningKeys::local_paths(&config, name);
        refuse_existing(&keys, name, &key_path)?;
        printer.line(format_args!("generating RSA Key with {} bits", self.bits))?;
        let made = generate::self_signed(name, spec, context.now)?;
        let expiry = made.certificate.not_after();
        printer.line(format_args!("generated certificate expiring on {expiry}"))?;
        if let Some(directory) = key_path.parent() {
            fsutil::create_private_dir(directory)?;
        }
        fsutil::write_new(&key_path, made.key_pem.as_bytes(), Mode::Private)?;
        printer.line(format_args!("wrote key: {}", key_path.display()))?;
        fsutil::write_atomic(&cert_path, made.certificate_pem.as_bytes(), Mode::Public)?;
        printer.line(format_args!("wrote certificate: {}", cert_path.display()))?;
        let file = TrustStores::new(&config).add(&store, &cert_path)?;
        printer.line(format_args!(
            "Successfully added {file} to named store {name} of type {}",
            store.kind()
        ))?;
        let source = KeySource::Local { key_path, cert_path };
        let default = if self.default { MakeDefault::Yes } else { MakeDefault::No };
        keys.add(SigningKey { name: name.clone(), source: Some(source) }, default)?;
        keys.save(&config)?;
        printer.line(format_args!("{name}: added to the key list"))?;
        if self.default {
            printer.line(format_args!("{name}: marked as default signing key"))?;
        }
        Ok(())
    }
}

/// The store of a test certificate; the name must be one for a file and a store.
fn test_store(name: &str) -> Result<StoreRef, Failure> {
    StoreRef::new(StoreType::Ca, name)
        .ok_or_else(|| Failure::usage("name must follow [a-zA-Z0-9_.-]+ format"))
}

/// Nothing of an earlier key is overwritten.
fn refuse_existing(keys: &SigningKeys, name: &str, key_path: &Path) -> Result<(), Failure> {
    let hint = Some(format!("dockseal cert cleanup-test {name}"));
    if keys.find(Some(name)).is_ok() {
        let error = KeysError::Exists { name: name.to_owned() };
        return Err(Failure::from(error).with_hint(hint));
    }
    match fs::symlink_metadata(key_path) {
        Ok(_) => Err(Failure::new(
            Exit::Unavailable,
            format!("the key file {} already exists", key_path.display()),
        )
        .with_hint(hint)),
        Err(_) => Ok(()),
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct CleanupArgs {
    /// Name that generate-test was given
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
}

impl CleanupArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let (name, config) = (&self.name, context.dirs.config()?);
        let printer = context.printer;
        let store = test_store(name)?;
        debug_assert!(is_file_name(name));
        let (key_path, cert_path) = SigningKeys::local_paths(&config, name);
        let question = format!(
            "The test key {name} and its corresponding certificate will be cleaned up with the \
             following changes:\n\
             - Delete certificate {name}.crt from trust store {name} of type ca\n\
             - Remove key {name} from the key list\n\
             - Delete key file: {}\n\
             - Delete certificate file: {}\n\n\
             Are you sure you want to continue?",
            key_path.display(),
            cert_path.display()
        );
        if !confirmed(context, self.yes, &question)? {
            return Ok(());
        }
        let file = format!("{name}.crt");
        match TrustStores::new(&config).delete(&store, &file) {
            Ok(()) => printer.line(format_args!(
                "Successfully deleted {file} from trust store {name} of type ca"
            ))?,
            Err(error) if error.is_not_found() => printer.line(format_args!(
                "Certificate {file} does not exist in trust store {name} of type ca"
            ))?,
            Err(error) => return Err(error.into()),
        }
        let mut keys = SigningKeys::load(&config)?;
        match keys.remove(name) {
            Ok(_) => {
                keys.save(&config)?;
                printer.line(format_args!("Successfully removed key {name} from the key list"))?;
            }
            Err(KeysError::NotFound { .. }) => {
                printer.line(format_args!("Key {name} does not exist in the key list"))?;
            }
            Err(error) => return Err(error.into()),
        }
        for (what, path) in [("key", &key_path), ("certificate", &cert_path)] {
            remove_file(context, what, path)?;
        }
        Ok(printer.line("Cleanup completed successfully")?)
    }
}

fn remove_file(context: &Context, what: &str, path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Ok(()) => context
            .printer
            .line(format_args!("Successfully deleted {what} file: {}", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (first, rest) = what.split_at(1);
            context.printer.line(format_args!(
                "{}{rest} file {} does not exist",
                first.to_uppercase(),
                path.display()
            ))?;
        }
        Err(source) => return Err(fsutil::FileError::io("delete", path, source).into()),
    }
    Ok(())
}
