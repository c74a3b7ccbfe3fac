//! `dockseal verify`

use std::collections::VecDeque;
use std::num::NonZero;
use std::path::PathBuf;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::generate::{Content, Generated, Note};
use crate::image::descriptor::Descriptor;
use crate::signature::x509::CertificateRules;
use crate::store::detached::DetachedFiles;
use crate::store::{DEFAULT_MAX_SIGNATURES, SignatureStore};
use crate::trust::crls::{CrlCache, RevocationData, read_crl, read_ocsp_response};
use crate::trust::files::Loaded;
use crate::trust::level::LevelName;
use crate::trust::policy::{OciPolicy, PolicyError, Statement};
use crate::trust::scope::Repository;
use crate::trust::store::TrustStores;
use crate::verify::{
    FailureClass, Freshness, TrustedSignature, Verdict, Verifier, VerifyError, VerifyOptions,
};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::host_trust::{check_stores, policy_files, warn_about_files};
use super::image_subject::Alternative;
use super::output::{Format, Printer, Verbosity, table};
use super::plugins::PluginArgs;
use super::recursive::{self, Reach};
use super::report::{self, PolicyInfo};
use super::source::{Held, ImageArgs, Source};
use super::subject::{ContentSeen, Subject, SubjectArgs, user_metadata};

// Arguments of `dockseal verify`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// File with a signature; repeatable, one trusted signature is enough [default: those in the
    /// OCI layout, else those in the image archive and the signature cache]
    #[arg(long, short, visible_short_alias = 'f', value_name = "FILE")]
    signature: Vec<PathBuf>,
    /// Registry scope that selects the policy statement [default: the statement with scope *]
    #[arg(long, value_name = "REPOSITORY", conflicts_with = "policy_name")]
    scope: Option<String>,
    /// Name of the policy statement to verify by
    #[arg(long, value_name = "NAME")]
    policy_name: Option<String>,
    /// Metadata that must be signed; repeatable
    #[arg(long, short = 'm', value_name = "KEY=VALUE", value_parser = user_metadata)]
    user_metadata: Vec<(String, String)>,
    /// How much of an image is hashed besides its manifest
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    content: ContentArg,
    #[command(flatten)]
    revocation: RevocationArgs,
    #[command(flatten)]
    strictness: StrictnessArgs,
    /// Verify every manifest below an index too: all, or the platforms whether the index is signed
    /// or not
    #[arg(long, value_enum, value_name = "REACH", num_args = 0..=1, require_equals = true,
        default_missing_value = "all")]
    recursive: Option<Reach>,
    #[command(flatten)]
    plugins: PluginArgs,
    /// How many distinct signers must have signed; one signer is the subject of a certificate
    #[arg(long, value_name = "N", default_value = "1")]
    require: NonZero<usize>,
    /// How many signatures are evaluated at most
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_SIGNATURES, value_parser = at_least_one)]
    max_signatures: usize,
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number greater than 0 is needed".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// What is done with an image that was verified, and what the report says of it.
pub(super) type Then<'a> = &'a dyn Fn(&Generated) -> Result<Value, Failure>;

/// How much of an image is hashed.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ContentArg {
    /// Config and every layer
    #[default]
    Full,
    /// Nothing: the verdict is about the manifest only
    Manifest,
}

impl From<ContentArg> for Content {
    fn from(content: ContentArg) -> Self {
        match content {
            ContentArg::Full => Self::Full,
            ContentArg::Manifest => Self::Manifest,
        }
    }
}

// How strictly signatures and certificates are judged besides the policy.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StrictnessArgs {
    /// Refuse signatures without an expiry and expired ones, whatever the policy says
    #[arg(long)]
    require_expiry: bool,
    /// Refuse signatures made longer ago, such as 720h, whatever the policy says
    #[arg(long, value_name = "DURATION", value_parser = super::duration::parse)]
    max_age: Option<SignedDuration>,
    /// Accept certificates that notation accepts and dockseal would not (weak keys or hashes above
    /// the leaf, any extended key usage)
    #[arg(long)]
    lenient_certs: bool,
}

impl StrictnessArgs {
    /// The options with these demands.
    pub(super) fn apply(&self, mut options: VerifyOptions) -> VerifyOptions {
        options.freshness =
            Freshness { require_expiry: self.require_expiry, max_age: self.max_age };
        if self.lenient_certs {
            options.certificate_rules = CertificateRules::Lenient;
        }
        options
    }
}

// Files that say what is revoked.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct RevocationArgs {
    /// CRL to judge revocation by, besides the cached ones; repeatable
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// OCSP response to judge revocation by; repeatable
    #[arg(long, value_name = "FILE")]
    ocsp_response: Vec<PathBuf>,
}

impl RevocationArgs {
    pub(super) fn is_given(&self) -> bool {
        !self.crl.is_empty() || !self.ocsp_response.is_empty()
    }

    pub(super) fn load(&self, context: &Context) -> Result<RevocationData, Failure> {
        let crls = self.crl.iter().map(|path| read_crl(path));
        let responses = self.ocsp_response.iter().map(|path| read_ocsp_response(path));
        Ok(RevocationData {
            // Without a cache directory nothing is cached.
            cache: context.dirs.cache().ok().map(|directory| CrlCache::new(&directory)),
            crls: crls.collect::<Result<_, _>>()?,
            ocsp_responses: responses.collect::<Result<_, _>>()?,
        })
    }
}

impl VerifyArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        self.run_then(None, context, None)
    }

    /// The archive that is verified.
    pub(super) fn archive(&self) -> Result<Source, Failure> {
        self.subject.archive()
    }

    /// Options of the image.
    pub(super) fn image_args(&self) -> &ImageArgs {
        self.subject.image_args()
    }

    /// Verifies, and when all is well does something with the image before that is reported. What is
    /// done with it is done with every byte of it.
    pub(super) fn run_then(
        &self,
        held: Held,
        context: &Context,
        then: Option<Then<'_>>,
    ) -> Result<(), Failure> {
        let is_partial = matches!(self.content, ContentArg::Manifest) || self.recursive.is_some();
        if then.is_some() && is_partial {
            let text =
                "all of the image is verified: neither --content nor --recursive can be given";
            return Err(Failure::usage(text));
        }
        let grounds = self.grounds(context)?;
        let statement = self.statement(&grounds.loaded.policy)?;
        let policy = grounds.policy(statement);
        let verifier = grounds.verifier(statement);
        if let (Some(reach), false) = (self.recursive, statement.level().is_skip()) {
            let (subject, trusted) = self.verify_below(reach, &verifier, &policy, context)?;
            for each in &trusted {
                warn_about(each, statement, context.printer);
            }
            say_what_was_hashed(&subject, context.printer);
            return Ok(());
        }
        let (subject, verdict) = self.judge(&verifier, held, context)?;
        match verdict {
            Ok(Verdict::Trusted(trusted)) => {
                warn_about(&trusted, statement, context.printer);
                warn_about_others(&subject, context.printer);
                let mut more = json!({"content": report::content(&subject)});
                if let (Some(image), Some(then)) = (&subject.image, then) {
                    add(&mut more, "loaded", then(image)?);
                }
                print_trusted(context.printer, &subject.reference(), &trusted, &policy, &more)?;
                say_what_was_hashed(&subject, context.printer);
                Ok(())
            }
            Ok(Verdict::Skipped) if then.is_some() => Err(Failure::new(
                Exit::NotTrusted,
                format!(
                    "policy statement {:?} has level skip: nothing was verified",
                    policy.statement
                ),
            )),
            Ok(Verdict::Skipped) => {
                let what = subject.reference();
                print_skipped(context.printer, &what, &subject.descriptor, &policy)
            }
            Err(error) => {
                if context.printer.format() == Format::Json {
                    let report = report::denied(&subject.descriptor, &policy, &error);
                    context.printer.json(&report)?;
                }
                Err(denied(&subject, error))
            }
        }
    }

    /// What every verification with these arguments goes by. Says which policy that is.
    pub(super) fn grounds(&self, context: &Context) -> Result<Grounds, Failure> {
        let config = context.dirs.config()?;
        let mut loaded = policy_files(context)?.load_oci()?;
        warn_about_files(context, std::mem::take(&mut loaded.warnings))?;
        let stores = TrustStores::new(&config);
        let options = VerifyOptions {
            max_signatures: self.max_signatures,
            signers: self.require,
            user_metadata: self.user_metadata.iter().cloned().collect(),
            revocation: self.revocation.load(context)?,
            plugins: Some(self.plugins.verifiers(context)?),
            ..VerifyOptions::at(context.now)
        };
        let grounds = Grounds { loaded, stores, options: self.strictness.apply(options) };
        let statement = self.statement(&grounds.loaded.policy)?;
        context.printer.note(grounds.policy(statement).describe());
        check_stores(context, &grounds.stores, statement)?;
        Ok(grounds)
    }

    /// Finds the image, and looks for a signature of it that is trusted.
    pub(super) fn judge(
        &self,
        verifier: &Verifier<'_>,
        held: Held,
        context: &Context,
    ) -> Result<(Subject, Result<Verdict, VerifyError>), Failure> {
        let subject = self.subject.resolve_from(held.clone(), self.content.into(), context)?;
        let first = verifier.verify(&subject.descriptor, &*self.store(&subject, context)?);
        self.or_other_manifest(verifier, subject, first, held, context)
    }

    /// Finds the image, and demands a trusted signature for every manifest that is reached.
    pub(super) fn verify_below(
        &self,
        reach: Reach,
        verifier: &Verifier<'_>,
        policy: &PolicyInfo<'_>,
        context: &Context,
    ) -> Result<(Subject, Vec<TrustedSignature>), Failure> {
        let subject = self.subject.resolve_from(None, self.content.into(), context)?;
        let store = self.store(&subject, context)?;
        let trusted =
            recursive::verify(verifier, &subject, reach, &*store, policy, context.printer)?;
        Ok((subject, trusted))
    }

    /// Which manifests are verified, if not one.
    pub(super) fn reach(&self) -> Option<Reach> {
        self.recursive
    }

    /// What is named to be verified.
    pub(super) fn source(&self) -> Option<&str> {
        self.subject.source()
    }

    /// The same for another image.
    pub(super) fn of(&self, source: &str, image: ImageArgs) -> Self {
        Self { subject: self.subject.of(source, image), ..self.clone() }
    }

    /// Further tries, where the first manifest is not the signed one and the image has others.
    fn or_other_manifest(
        &self,
        verifier: &Verifier<'_>,
        subject: Subject,
        verdict: Result<Verdict, VerifyError>,
        held: Held,
        context: &Context,
    ) -> Result<(Subject, Result<Verdict, VerifyError>), Failure> {
        let Err(first) = &verdict else { return Ok((subject, verdict)) };
        // One that nobody carries along is only worth its price if none was signed.
        let is_other_content =
            matches!(first.class(), FailureClass::NoSignature | FailureClass::ContentMismatch);
        let store = self.store(&subject, context)?;
        let mut pending: VecDeque<_> = subject.alternatives.iter().cloned().collect();
        while let Some(other) = pending.pop_front() {
            let is_worth_it = match &other {
                // Its signatures are known before a layer is hashed.
                Alternative::Carried(given) => verifier.verify(given.descriptor(), &*store).is_ok(),
                _ => is_other_content,
            };
            if !is_worth_it {
                continue;
            }
            let other = self.subject.of_image()?.alternative(&other, held.clone(), context)?;
            pending.extend(other.alternatives.iter().cloned());
            if let Ok(verdict) = verifier.verify(&other.descriptor, &*self.store(&other, context)?)
            {
                return Ok((other, Ok(verdict)));
            }
        }
        // The first failure is about the manifest that is carried along, or that `dockseal manifest`
        // shows.
        Ok((subject, verdict))
    }

    pub(super) fn statement<'p>(&self, policy: &'p OciPolicy) -> Result<&'p Statement, Failure> {
        if let Some(name) = &self.policy_name {
            return Ok(policy.named(name)?);
        }
        let scope = self.scope.as_deref().map(Repository::parse).transpose()?;
        policy.select(scope.as_ref()).map_err(|error| {
            let hint = matches!(error, PolicyError::NoStatement { .. })
                .then(|| "dockseal verify --scope REPOSITORY, or --policy-name NAME".to_owned());
            Failure::from(error).with_hint(hint)
        })
    }

    fn store(
        &self,
        subject: &Subject,
        context: &Context,
    ) -> Result<Box<dyn SignatureStore>, Failure> {
        match self.signature.split_first() {
            Some((first, others)) => {
                Ok(Box::new(DetachedFiles::new(first.clone(), others.iter().cloned())))
            }
            None => subject.signatures(context),
        }
    }
}

/// What verifications go by: the policy, the trust stores it names, and what is known besides.
pub(super) struct Grounds {
    pub(super) loaded: Loaded<OciPolicy>,
    stores: TrustStores,
    options: VerifyOptions,
}

impl Grounds {
    /// The policy, for reports.
    pub(super) fn policy<'p>(&'p self, statement: &'p Statement) -> PolicyInfo<'p> {
        PolicyInfo {
            path: &self.loaded.path,
            statement: statement.name(),
            level: statement.level().name().as_str(),
        }
    }

    /// A verifier by that statement.
    pub(super) fn verifier<'p>(&'p self, statement: &'p Statement) -> Verifier<'p> {
        Verifier::new(statement, &self.stores, self.options.clone())
    }
}

/// No signature is trusted.
pub(super) fn denied(subject: &Subject, error: VerifyError) -> Failure {
    let mismatch = error.class() == FailureClass::ContentMismatch;
    // The same image may have been pushed with layers that another tool compressed.
    let hint = (mismatch && !subject.blobs().is_empty())
        .then(|| "if the manifest that was signed is at hand: --manifest FILE".to_owned());
    let failure = Failure::from(error);
    if hint.is_some() { failure.with_hint(hint) } else { failure }
}

/// Says what the policy let pass (security.md S13).
pub(super) fn warn_about(trusted: &TrustedSignature, statement: &Statement, printer: Printer) {
    for warning in warnings(trusted, statement) {
        printer.warning(warning);
    }
    for rejected in trusted.rejected() {
        printer.detail(format_args!("{}: {}", rejected.location.display(), rejected.error));
    }
}

/// What the policy let pass.
pub(super) fn warnings(trusted: &TrustedSignature, statement: &Statement) -> Vec<String> {
    let mut warnings = Vec::new();
    for check in trusted.checks().iter().filter(|check| check.is_logged_failure()) {
        warnings.push(format!(
            "{} was set to \"log\" and failed with error: {}",
            check.id, check.evidence
        ));
    }
    if trusted.level() != LevelName::Strict {
        let names: Vec<_> = statement.level().unenforced().map(|kind| kind.as_str()).collect();
        if !names.is_empty() {
            warnings.push(format!(
                "trust policy statement {:?} has level {} and does not enforce {}",
                statement.name(),
                trusted.level(),
                names.join(", ")
            ));
        }
    }
    warnings.extend(trusted.content().chain().warnings().iter().map(ToString::to_string));
    warnings
}

pub(super) fn print_trusted(
    printer: Printer,
    what: &str,
    trusted: &TrustedSignature,
    policy: &PolicyInfo<'_>,
    more: &Value,
) -> Result<(), Failure> {
    if printer.format() == Format::Json {
        let mut report = report::trusted(trusted, policy);
        for (name, value) in more.as_object().into_iter().flatten() {
            add(&mut report, name, value.clone());
        }
        return Ok(printer.json(&report)?);
    }
    if printer.verbosity() == Verbosity::Quiet {
        return Ok(printer.line(&trusted.subject().digest)?);
    }
    for check in trusted.checks() {
        let status = check.status.as_str();
        printer.detail(format_args!("{}: {status}: {}", check.id, check.evidence));
    }
    printer.line(format_args!("Successfully verified signature for {what}"))?;
    if !trusted.cosigners().is_empty() {
        let all = std::iter::once(trusted).chain(trusted.cosigners());
        for (i, each) in all.enumerate() {
            printer.note(format_args!("signer {}: {}", i + 1, each.signer()));
        }
    }
    print_metadata(printer, trusted)
}

/// The signed metadata, if there is any, as notation shows it.
pub(super) fn print_metadata(printer: Printer, trusted: &TrustedSignature) -> Result<(), Failure> {
    let metadata = trusted.content().payload().annotations();
    if metadata.is_empty() {
        return Ok(());
    }
    let header = vec!["KEY".to_owned(), "VALUE".to_owned()];
    let pairs = metadata.iter().map(|(key, value)| vec![key.clone(), value.clone()]);
    let rows: Vec<_> = std::iter::once(header).chain(pairs).collect();
    Ok(printer.line(format_args!(
        "\nThe artifact was signed with the following user metadata.\n\n{}",
        table(&rows).trim_end_matches('\n')
    ))?)
}

/// Adds a member to a report, unless there is nothing to tell.
fn add(report: &mut Value, name: &str, value: Value) {
    if !value.is_null() {
        report[name] = value;
    }
}

/// Says that an archive holds more than what was verified.
fn warn_about_others(subject: &Subject, printer: Printer) {
    let notes = subject.image.iter().flat_map(|image| &image.notes);
    for note in notes.filter(|note| matches!(note, Note::OtherImages(_))) {
        printer.warning(format_args!("{note}, nothing is known of them"));
    }
}

/// Says how far the verdict reaches.
fn say_what_was_hashed(subject: &Subject, printer: Printer) {
    for blob in subject.blobs() {
        let (digest, by) = (&blob.descriptor.digest, blob.by);
        printer.detail(format_args!("content: {digest}: {} by {by}", blob.member));
    }
    match subject.content {
        ContentSeen::Full => {
            printer.note("content: every byte of the image was hashed and is what is signed");
        }
        ContentSeen::Manifest if !subject.blobs().is_empty() => {
            printer.note("content: only the manifest was checked, the layers were not hashed");
        }
        ContentSeen::Manifest => {}
        ContentSeen::No => {
            printer.note("the descriptor was verified only, content was not hashed");
        }
    }
}

pub(super) fn print_skipped(
    printer: Printer,
    what: &str,
    subject: &Descriptor,
    policy: &PolicyInfo<'_>,
) -> Result<(), Failure> {
    printer.warning(format_args!(
        "trust policy statement {:?} has level skip: nothing was verified",
        policy.statement
    ));
    if printer.format() == Format::Json {
        return Ok(printer.json(&report::skipped(subject, policy))?);
    }
    Ok(printer.line(format_args!(
        "Trust policy is configured to skip signature verification for {what}"
    ))?)
}
