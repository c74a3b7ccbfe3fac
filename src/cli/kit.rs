//! `dockseal kit`: what a host trusts, carried to another one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::fsutil::{self, AtomicFile, Mode};
use crate::image::digest::hex;
use crate::image::hint::{self, Hint};
use crate::kit::archive::{self, Kit};
use crate::kit::collect::collect;
use crate::kit::document::{Document, Entry, KitFile, MEDIA_TYPE, is_kit_name};
use crate::kit::install::{Installer, Remembered, installed};
use crate::kit::plan::{Action, Change, Plan, Rollback, plan};
use crate::kit::{Host, KitError};
use crate::progress::{Counted, Progress as _};
use crate::sign::{self, SignOptions};
use crate::signature::envelope::Envelope;
use crate::signature::x509;
use crate::trust::crls::{CrlBundle, read_crl};
use crate::trust::files::PolicyFileError;
use crate::trust::identity::{IdentityKinds, TrustedIdentities};
use crate::trust::policy::BlobPolicy;
use crate::trust::store::{MAX_STORE_FILE_BYTES, StoreRef, StoreType, TrustStores};
use crate::verify::{Blob, TrustedSignature, Verdict, Verifier, VerifyOptions};

use super::authority::{TimestampArgs, countersigned};
use super::context::Context;
use super::duration;
use super::exit::Exit;
use super::failure::Failure;
use super::host_trust::{check_stores, policy_files, warn_about_files};
use super::output::{Format, Verbosity};
use super::progress::ProgressArgs;
use super::progress_bar::ProgressBar;
use super::read_input;
use super::sign::{FormatArgs, KeyArgs};
use super::verdict::warn_about;
use super::verify::RevocationArgs;

/// The statement of the blob policy that says whose kits are believed.
const STATEMENT: &str = "kit";

// Subcommands of `dockseal kit`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum KitCommand {
    /// Put the trust stores, trust policies and CRLs of this host into a signed kit
    Export(Box<ExportArgs>),
    /// Verify a kit and trust what it says
    Import(ImportArgs),
    /// Show what is in a kit, and verify nothing
    Show(ShowArgs),
    /// Complete an import that was interrupted
    #[command(after_help = "Example:
  dockseal kit resume")]
    Resume,
}

impl KitCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Export(args) => args.run(context),
            Self::Import(args) => args.run(context),
            Self::Show(args) => args.run(context),
            Self::Resume => resume(context),
        }
    }
}

fn host(context: &Context) -> Result<Host, Failure> {
    Ok(Host::new(&context.dirs.config()?, &context.dirs.cache()?))
}

fn open(path: &Path, progress: &ProgressBar) -> Result<Kit, Failure> {
    let kit = if path.as_os_str() == "-" {
        let step = progress.step("reading", None);
        Kit::read(Counted::new(io::stdin().lock(), &*step))
    } else {
        let file = fsutil::open(path)?;
        let size = file.metadata().ok().filter(fs::Metadata::is_file).map(|it| it.len());
        let step = progress.step(&path.to_string_lossy(), size);
        Kit::read(Counted::new(io::BufReader::new(file), &*step))
    };
    kit.map_err(|error| Failure::from(error).prefixed(&path.display().to_string()))
}

fn url_and_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.rsplit_once('=') {
        Some((url, file)) if !url.is_empty() && !file.is_empty() => {
            Ok((url.to_owned(), file.into()))
        }
        _ => Err("URL=FILE is expected".to_owned()),
    }
}

// Arguments of `dockseal kit export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal kit export --name plant -o kit.tar
  dockseal kit export --name plant --version 7 --expiry 720h -o kit.tar \\
      --add-crl http://ca.example/root.crl=root.crl

What is signed is kit.json, as `dockseal blob sign` does. Where there is no dockseal:
  tar -xf kit.tar kit.json kit.json.jws.sig
  notation blob verify --signature kit.json.jws.sig kit.json")]
pub(super) struct ExportArgs {
    /// The kit to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// What it is called: a kit replaces an earlier one of its name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Its version, greater than that of the one before [default: the seconds since 1970]
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// A CRL to carry besides the cached ones, for the distribution point URL; repeatable
    #[arg(long, value_name = "URL=FILE", value_parser = url_and_file)]
    add_crl: Vec<(String, PathBuf)>,
    #[command(flatten)]
    format: FormatArgs,
    /// How long the kit may be imported, such as 720h [default: forever]
    #[arg(long, short, value_name = "DURATION", value_parser = duration::parse)]
    expiry: Option<SignedDuration>,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten, next_help_heading = "Key options")]
    key: KeyArgs,
    #[command(flatten, next_help_heading = "Timestamp options")]
    timestamp: TimestampArgs,
}

impl ExportArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        if !is_kit_name(&self.name) {
            return Err(KitError::Name { name: self.name }.into());
        }
        let printer = context.printer;
        let crls = self
            .add_crl
            .iter()
            .map(|(url, file)| Ok((url.clone(), CrlBundle { base: read_crl(file)?, delta: None })));
        let crls = crls.collect::<Result<Vec<_>, Failure>>()?;
        // What is undecided here must not be carried on.
        policy_files(context)?;
        let files = collect(&host(context)?, &crls)?;
        let version = match self.version {
            Some(version) => version,
            None => u64::try_from(context.now.as_second()).unwrap_or_default(),
        };
        let document = Document::new(&self.name, version, context.now, &files)?;
        for file in &files {
            warn_about_crl(&file.entry(), context);
        }
        let bytes = document.to_json();
        let format = self.format.format(context)?;
        let authority = self.timestamp.open(context)?;
        let signer = self.key.signer(context)?.for_blobs()?;
        let hash = signer.key_spec().signature_algorithm().hash();
        let blob = Blob::read(&*bytes, Some(MEDIA_TYPE.to_owned()))?;
        let options = SignOptions {
            format,
            expires_in: self.expiry.filter(|expiry| !expiry.is_zero()),
            ..SignOptions::at(context.now)
        };
        let envelope = sign::sign(&blob.descriptor(hash, MEDIA_TYPE), &options, &*signer)?;
        let envelope = countersigned(authority.as_ref(), envelope, context)?;
        let mut file = AtomicFile::create(&self.output, Mode::Public)?;
        let bar = self.progress.bar(context);
        let size = files.iter().map(|file| file.bytes.len() as u64).sum();
        let step = bar.step(&self.output.to_string_lossy(), Some(size));
        let counted = Counted::new(&mut file, &*step);
        archive::write(&bytes, &envelope, &files, io::BufWriter::new(counted))?;
        file.commit()?;
        drop(step);
        // What is written is what would be read.
        let kit = open(&self.output, &bar)?;
        drop(bar);
        printer.json(describe(&kit))?;
        if printer.verbosity() == Verbosity::Quiet {
            return Ok(printer.line(kit.digest())?);
        }
        Ok(printer.line(format_args!(
            "Successfully exported {} files as kit {:?} version {version} to {}",
            files.len(),
            self.name,
            self.output.display()
        ))?)
    }
}

/// Says that a CRL will not be believed.
fn warn_about_crl(entry: &Entry, context: &Context) {
    let Some(next) = &entry.next_update else {
        if entry.this_update.is_some() {
            let message = format!("{} has no next update, it will not be believed", entry.path);
            context.printer.warning(message);
        }
        return;
    };
    if next.parse::<Timestamp>().is_ok_and(|next| next < context.now) {
        let message = format!("{} expired at {next}, it will not be believed", entry.path);
        context.printer.warning(message);
    }
}

/// A kit, for programs.
fn describe(kit: &Kit) -> Value {
    json!({
        "kit": kit.document,
        "digest": kit.digest(),
    })
}

// Arguments of `dockseal kit show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal kit show kit.tar")]
pub(super) struct ShowArgs {
    /// The kit, or - for standard input
    #[arg(value_name = "FILE")]
    kit: PathBuf,
    #[command(flatten)]
    progress: ProgressArgs,
}

impl ShowArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let kit = open(&self.kit, &self.progress.bar(context))?;
        let printer = context.printer;
        let envelope = Envelope::decode_any(kit.signature.envelope())?;
        let content = envelope.verify_integrity(x509::CertificateRules::Strict)?;
        let signer = content.chain().leaf().subject().to_string();
        let expiry = content.expiry().map(|expiry| expiry.to_string());
        for entry in &kit.document.files {
            warn_about_crl(entry, context);
        }
        if content.expiry().is_some_and(|expiry| expiry < context.now) {
            printer.warning("the signature of the kit is expired");
        }
        printer.note("nothing was verified: this is what the kit says");
        if printer.format() == Format::Json {
            let mut document = describe(&kit);
            document["signer"] = json!(signer);
            document["expiry"] = json!(expiry);
            return Ok(printer.json(document)?);
        }
        let Document { name, version, created, files, .. } = &kit.document;
        printer.line(format_args!("kit {name:?} version {version}, made {created}"))?;
        printer.line(format_args!("digest  {}", kit.digest()))?;
        printer.line(format_args!("signer  {signer}"))?;
        printer.line(format_args!("expiry  {}", expiry.as_deref().unwrap_or("none")))?;
        for file in files {
            let until = file.next_update.as_ref().map(|next| format!(" (until {next})"));
            printer.line(format_args!("  {}{}", file.path, until.unwrap_or_default()))?;
        }
        Ok(())
    }
}

// Arguments of `dockseal kit import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal kit import kit.tar --trust-root root.crt
  dockseal kit import kit.tar --dry-run
  dockseal kit import kit.tar

Whose kits are believed says the statement \"kit\" of the trust policy for files. Where there is
none, the first import names a root certificate; it and the signer are remembered for kits of that
name.")]
pub(super) struct ImportArgs {
    /// The kit, or - for standard input
    #[arg(value_name = "FILE")]
    kit: PathBuf,
    /// Believe signers below this root certificate, and remember it and the signer
    #[arg(long, value_name = "CERT", conflicts_with = "policy_name")]
    trust_root: Option<PathBuf>,
    /// Statement of the trust policy for files that says whose kits are believed [default: kit]
    #[arg(long, value_name = "NAME")]
    policy_name: Option<String>,
    /// Install an older kit over a newer one
    #[arg(long)]
    allow_rollback: bool,
    /// Verify, tell what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    revocation: RevocationArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

impl ImportArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let kit = open(&self.kit, &self.progress.bar(context))?;
        let host = host(context)?;
        let rollback = if self.allow_rollback { Rollback::Allow } else { Rollback::Refuse };
        if self.dry_run {
            // What is undecided can't be compared with.
            policy_files(context)?;
            self.verify(&kit, &host, context)?;
            return tell(&kit, &plan(&host, &kit, rollback)?, true, context);
        }
        let (installer, completed) = Installer::open(&host)?;
        if let Some(completed) = completed {
            tell_completed(&completed.name, completed.version, context);
        }
        let remembered = self.verify(&kit, &host, context)?;
        let plan = plan(&host, &kit, rollback)?;
        installer.install(&plan, remembered)?;
        tell(&kit, &plan, false, context)
    }

    /// Verifies the signature of the kit; what is to be remembered of it.
    fn verify(
        &self,
        kit: &Kit,
        host: &Host,
        context: &Context,
    ) -> Result<Option<Remembered>, Failure> {
        let name = &kit.document.name;
        if let Some(path) = &self.trust_root {
            let root = read_input(path, MAX_STORE_FILE_BYTES)?;
            let fingerprint = fingerprint(&root).map_err(|failure| {
                let named = hint::path(path);
                let words = ["openssl", "x509", "-noout", "-text", "-in", &named];
                failure.about(path).with_hint(Hint::command("", &words))
            })?;
            context.printer.note(format_args!("trust root: {fingerprint}"));
            let trusted = self.by_root(kit, &root, "*", context)?;
            let identity = identity(&trusted);
            if identity == "*" {
                context.printer.warning(format_args!(
                    "the name of the signer ({}) can't be remembered: every signer below the root \
                     is believed",
                    trusted.signer()
                ));
            }
            let root = STANDARD.encode(&root);
            return Ok(Some(Remembered { root, identity }));
        }
        if self.by_policy(kit, context)? {
            return Ok(None);
        }
        let Some(trust) = installed(host, name)?.and_then(|installed| installed.trust) else {
            let message = format!("nothing says whose kits called {name:?} are believed");
            return Err(Failure::new(Exit::NotTrusted, message)
                .with_hint(Some("--trust-root CERT".to_owned())));
        };
        let damaged = || {
            Failure::new(Exit::NotTrusted, format!("what is remembered of kit {name:?} is damaged"))
        };
        let root = STANDARD.decode(&trust.root).map_err(|_| damaged())?;
        self.by_root(kit, &root, &trust.identity, context)?;
        Ok(None)
    }

    /// By the host's own policy, if it has something to say about kits.
    fn by_policy(&self, kit: &Kit, context: &Context) -> Result<bool, Failure> {
        let loaded = match policy_files(context)?.load_blob() {
            Err(PolicyFileError::Missing { .. }) if self.policy_name.is_none() => return Ok(false),
            loaded => loaded?,
        };
        warn_about_files(context, loaded.warnings)?;
        let named = self.policy_name.as_deref();
        let is_there = || loaded.policy.statements().iter().any(|it| it.name() == STATEMENT);
        if named.is_none() && !is_there() {
            return Ok(false);
        }
        let stores = TrustStores::new(&context.dirs.config()?);
        let statement = loaded.policy.select(Some(named.unwrap_or(STATEMENT)))?;
        check_stores(context, &stores, statement)?;
        self.judge(kit, &loaded.policy, statement.name(), &stores, context)?;
        Ok(true)
    }

    /// By a root certificate, as strictly as a policy can be.
    fn by_root(
        &self,
        kit: &Kit,
        root: &[u8],
        identity: &str,
        context: &Context,
    ) -> Result<TrustedSignature, Failure> {
        let document = json!({"version": "1.0", "trustPolicies": [{
            "name": STATEMENT,
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:kit"],
            "trustedIdentities": [identity],
        }]});
        let policy = BlobPolicy::parse(document.to_string().as_bytes())?;
        let store = StoreRef::new(StoreType::Ca, "kit")
            .ok_or_else(|| Failure::new(Exit::Internal, "no store can be called kit"))?;
        let stores = TrustStores::holding(store, root)?;
        self.judge(kit, &policy, STATEMENT, &stores, context)
    }

    fn judge(
        &self,
        kit: &Kit,
        policy: &BlobPolicy,
        statement: &str,
        stores: &TrustStores,
        context: &Context,
    ) -> Result<TrustedSignature, Failure> {
        let statement = policy.select(Some(statement))?;
        let mut revocation = self.revocation.load(context)?;
        // They are signed themselves, and the host's own may have expired meanwhile.
        let carried = kit.files.iter().filter_map(|file: &KitFile| file.crl.as_ref());
        revocation.crls.extend(carried.map(|bundle| bundle.base.clone()));
        let options = VerifyOptions { revocation, ..VerifyOptions::at(context.now) };
        let blob = Blob::read(&*kit.bytes, Some(MEDIA_TYPE.to_owned()))?;
        match Verifier::new(statement, stores, options).verify_blob(&blob, &kit.signature)? {
            Verdict::Trusted(trusted) => {
                warn_about(&trusted, statement, context.printer);
                context.printer.note(format_args!("signer: {}", trusted.signer()));
                Ok(*trusted)
            }
            // What decides about all trust is not taken unseen.
            Verdict::Skipped => Err(Failure::new(
                Exit::NotTrusted,
                format!(
                    "policy statement {:?} has level skip: no kit is verified by it",
                    statement.name()
                ),
            )),
        }
    }
}

/// What tells a root certificate from others.
fn fingerprint(root: &[u8]) -> Result<String, Failure> {
    let unusable = |problem: String| Failure::new(Exit::Unavailable, problem);
    let certificates =
        x509::certificates_from_bytes(root).map_err(|error| unusable(error.to_string()))?;
    let [certificate] = certificates.as_slice() else {
        let found = certificates.len();
        return Err(unusable(format!("one root certificate is expected, found {found}")));
    };
    let sha256 = hex(&certificate.sha256_fingerprint());
    Ok(format!("{} (sha256 {sha256})", certificate.subject()))
}

/// The signer as policies name identities, where they can.
fn identity(trusted: &TrustedSignature) -> String {
    let identity = format!("x509.subject: {}", trusted.signer());
    match TrustedIdentities::parse(&[&identity], IdentityKinds::X509) {
        Ok(_) => identity,
        Err(_) => "*".to_owned(),
    }
}

/// Says what an import does.
fn tell(kit: &Kit, plan: &Plan, is_dry: bool, context: &Context) -> Result<(), Failure> {
    let printer = context.printer;
    for entry in &kit.document.files {
        warn_about_crl(entry, context);
    }
    let changed = plan.changes.iter().filter(|change| change.action.is_change()).count();
    if printer.format() == Format::Json {
        let mut document = describe(kit);
        document["verdict"] = json!(if is_dry { "would-import" } else { "imported" });
        let change = |change: &Change| {
            let path = change.place.to_string();
            json!({"path": path, "action": change.action.as_str(), "notes": change.notes})
        };
        document["changes"] = plan.changes.iter().map(change).collect();
        return Ok(printer.json(document)?);
    }
    for change in &plan.changes {
        if change.action == Action::Same || printer.verbosity() == Verbosity::Quiet {
            continue;
        }
        printer.line(format_args!("{:<12} {}", change.action.as_str(), change.place))?;
        for note in &change.notes {
            printer.line(format_args!("    {note}"))?;
        }
    }
    let Document { name, version, .. } = &kit.document;
    let done = if is_dry { "Would import" } else { "Successfully imported" };
    Ok(printer.line(format_args!("{done} kit {name:?} version {version}: {changed} changes"))?)
}

fn tell_completed(name: &str, version: u64, context: &Context) {
    context
        .printer
        .note(format_args!("completed the interrupted import of kit {name:?} version {version}"));
}

fn resume(context: &Context) -> Result<(), Failure> {
    let host = host(context)?;
    match Installer::open(&host)?.1 {
        Some(completed) => {
            tell_completed(&completed.name, completed.version, context);
            let completed = json!({"name": completed.name, "version": completed.version});
            Ok(context.printer.json(json!({"completed": completed}))?)
        }
        None => {
            context.printer.note("no import was interrupted");
            Ok(context.printer.json(json!({"completed": null}))?)
        }
    }
}
