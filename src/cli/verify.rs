//! `dockseal verify`

use std::collections::VecDeque;
use std::num::NonZero;
use std::path::PathBuf;

use jiff::SignedDuration;
use serde_json::Value;

use crate::generate::{Content, Generated};
use crate::signature::x509::CertificateRules;
use crate::store::detached::DetachedFiles;
use crate::store::{DEFAULT_MAX_SIGNATURES, SignatureStore};
use crate::trust::crls::{CrlCache, RevocationData, read_crl, read_ocsp_response};
use crate::trust::files::Loaded;
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
use super::plugins::PluginArgs;
use super::recursive::{self, Reach};
use super::report::{self, PolicyInfo};
use super::source::{Held, ImageArgs, Source};
use super::subject::{Subject, SubjectArgs, user_metadata};
use super::verdict::{
    self, denied, print_skipped, print_trusted, say_what_was_hashed, warn_about, warn_about_others,
};

// Arguments of `dockseal verify`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VerifyArgs {
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
    /// Show as a tree what was checked, and what ties every blob to what is signed
    #[arg(long)]
    explain: bool,
    /// How many signatures are evaluated at most
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_SIGNATURES, value_parser = at_least_one)]
    max_signatures: usize,
    #[command(flatten)]
    subject: SubjectArgs,
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number greater than 0 is needed".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// What is done with an image that was verified.
pub(super) type Then<'a> = &'a dyn Fn(&Generated) -> Result<Done, Failure>;

/// What was done with it.
#[derive(Debug)]
pub(super) struct Done {
    /// What the report says of it.
    pub(super) report: Value,
    /// What people are told of it, once they know the verdict.
    pub(super) lines: Vec<String>,
}

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
            let (subject, trusted) = self
                .verify_below(reach, &verifier, &policy, context)
                .map_err(|failure| self.told(failure, None, &policy, context))?;
            for each in &trusted {
                warn_about(each, statement, context.printer);
            }
            context.printer.note(policy.describe());
            say_what_was_hashed(&subject, reach.is_all(&subject.descriptor), context.printer);
            return Ok(());
        }
        let (subject, verdict) = self.judge(&verifier, held, context)?;
        match verdict {
            Ok(Verdict::Trusted(trusted)) => {
                warn_about(&trusted, statement, context.printer);
                warn_about_others(&subject, context.printer);
                let mut report = report::trusted(&trusted, &policy);
                report["content"] = report::content(&subject);
                let mut lines = Vec::new();
                if let (Some(image), Some(then)) = (&subject.image, then) {
                    let done = then(image)?;
                    report["loaded"] = done.report;
                    lines = done.lines;
                }
                let what = subject.reference();
                print_trusted(context.printer, &what, &trusted, &policy)?;
                say_what_was_hashed(&subject, true, context.printer);
                lines.iter().for_each(|line| context.printer.note(line));
                self.explain(&what, &report, context)?;
                Ok(context.printer.json(report)?)
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
                let mut report = report::denied(&subject.descriptor, &policy, &error);
                report["content"] = report::content(&subject);
                let failure = denied(&subject, error).with_report(report);
                Err(self.told(failure, Some(&subject), &policy, context))
            }
        }
    }

    /// A failure, with the policy that it is by; shows how it came about if that is wanted.
    fn told(
        &self,
        failure: Failure,
        subject: Option<&Subject>,
        policy: &PolicyInfo<'_>,
        context: &Context,
    ) -> Failure {
        let what = subject.map(Subject::reference).unwrap_or_default();
        if let Some(report) = &failure.report
            && let Err(other) = self.explain(&what, report, context)
        {
            return other;
        }
        failure.with_detail(policy.describe())
    }

    /// Shows a report as a tree, if that is wanted.
    pub(super) fn explain(
        &self,
        what: &str,
        report: &Value,
        context: &Context,
    ) -> Result<(), Failure> {
        if self.explain {
            verdict::print_tree(context.printer, what, report)?;
        }
        Ok(())
    }

    /// What every verification with these arguments goes by.
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
                .then(|| "--scope REPOSITORY".to_owned());
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
