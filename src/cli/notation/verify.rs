//! `notation verify`

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::host_trust::policy_files;
use crate::store::layout::OciLayout;
use crate::trust::crls::{CrlCache, RevocationData};
use crate::trust::policy::{OciPolicy, Statement};
use crate::trust::scope::Repository;
use crate::trust::store::TrustStores;
use crate::verify::{Verdict, Verifier, VerifyError, VerifyOptions};

use super::flags::{RegistryFlags, gate, only, pairs, plugins, together};
use super::layout::{Target, Verb};
use super::offline::{Cached, Reference};
use super::texts;

/// The command, as errors name it.
const NAME: &str = "notation verify";

/// Arguments of `notation verify`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "notation verify [reference] [flags]",
    after_help = "Examples:
  notation verify <registry>/<repository>@<digest>
  NOTATION_EXPERIMENTAL=1 notation verify --oci-layout <path>@<digest> --scope <scope>

No registry is asked: a digest is verified with the signatures in the signature cache."
)]
pub(super) struct VerifyArgs {
    #[arg(value_name = "reference")]
    arguments: Vec<String>,
    /// {key}={value} pairs that are passed as it is to a plugin, if the verification is associated
    /// with a verification plugin, refer plugin documentation to set appropriate values
    #[arg(long, value_name = "stringArray")]
    plugin_config: Vec<String>,
    /// User defined {key}={value} pairs that must be present in the signature for successful
    /// verification if provided
    #[arg(long, short = 'm', value_name = "stringArray")]
    user_metadata: Vec<String>,
    /// Maximum number of signatures to evaluate or examine
    #[arg(long, value_name = "int", default_value = "100", value_parser = super::usage::parse_int)]
    max_signatures: i64,
    // A doc comment would make a link of it.
    #[arg(long, help = "[Experimental] Verify the artifact stored as OCI image layout")]
    oci_layout: bool,
    // A doc comment would make a link of it.
    #[arg(
        long,
        value_name = "string",
        help = "[Experimental] Set trust policy scope for artifact \
        verification, required and can only be used when flag \"--oci-layout\" is set"
    )]
    scope: Option<String>,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl VerifyArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let missing = "missing reference to the artifact: use `notation verify --help` to see what \
                       parameters are required";
        let reference = only(&self.arguments, missing)?;
        let flags = [("oci-layout", self.oci_layout), ("scope", self.scope.is_some())];
        gate(context, NAME, &flags)?;
        together(&flags)?;
        let max_signatures = max_signatures(self.max_signatures)?;
        self.registry.refuse(NAME, &[])?;
        let config = context.dirs.config()?;
        let policy = texts::load(context, policy_files(context)?.load_oci())?.policy;
        let plugins = plugins(&self.plugin_config)?.verifiers(context)?;
        let options = VerifyOptions {
            plugins: Some(plugins),
            max_signatures,
            user_metadata: pairs(&self.user_metadata, "user-metadata")?,
            revocation: cached_crls(context),
            ..VerifyOptions::at(context.now)
        };
        let stores = TrustStores::new(&config);
        match &self.scope {
            Some(scope) => in_layout(context, &policy, &stores, options, (reference, scope)),
            None => in_cache(context, &policy, &stores, options, reference),
        }
    }
}

/// How many signatures are looked at.
pub(super) fn max_signatures(number: i64) -> Result<usize, Failure> {
    usize::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
        Failure::usage(format!("max-signatures value {number} must be a positive number"))
    })
}

/// What the cache knows of revocations; verifying asks nobody else.
pub(super) fn cached_crls(context: &Context) -> RevocationData {
    let cache = context.dirs.cache().ok().map(|directory| CrlCache::new(&directory));
    RevocationData { cache, ..RevocationData::default() }
}

fn statement<'p>(
    policy: &'p OciPolicy,
    repository: &Repository,
    artifact: &str,
) -> Result<&'p Statement, Failure> {
    policy.select(Some(repository)).map_err(|error| texts::no_statement(error, artifact))
}

fn in_layout(
    context: &Context,
    policy: &OciPolicy,
    stores: &TrustStores,
    options: VerifyOptions,
    (reference, scope): (&str, &str),
) -> Result<(), Failure> {
    let target = Target::open(reference)?;
    let resolved = target.resolve(context, Verb::Verify)?;
    let artifact = format!("{scope}@{}", resolved.descriptor.digest);
    let repository = Repository::parse(scope).map_err(|error| {
        texts::reworded(error.clone().into(), format!("signature verification failed: {error}"))
    })?;
    let statement = statement(policy, &repository, &artifact)?;
    let layout: &OciLayout = &target.layout;
    let verdict = Verifier::new(statement, stores, options)
        .verify(&resolved.descriptor, layout)
        .map_err(|error| texts::not_verified(error, &artifact, &resolved.printed))?;
    texts::verified(context.printer, &verdict, &resolved.printed, resolved.warned)
}

fn in_cache(
    context: &Context,
    policy: &OciPolicy,
    stores: &TrustStores,
    options: VerifyOptions,
    reference: &str,
) -> Result<(), Failure> {
    let reference = Reference::parse(reference)?;
    let artifact = format!("{}@{}", reference.repository, reference.digest()?);
    let statement = statement(policy, &reference.repository, &artifact)?;
    let verifier = Verifier::new(statement, stores, options);
    if statement.level().is_skip() {
        return texts::verified(context.printer, &Verdict::Skipped, &artifact, false);
    }
    let cached = reference.cached(context)?;
    let verdict = any_subject(&verifier, &cached)
        .map_err(|error| texts::not_verified(error, &artifact, &artifact))?;
    texts::verified(context.printer, &verdict, &artifact, true)
}

/// Verifies against each descriptor that the cached signatures name; the first failure is told.
fn any_subject(verifier: &Verifier<'_>, cached: &Cached) -> Result<Verdict, VerifyError> {
    let mut subjects = cached.subjects().into_iter();
    let verify = |subject| verifier.verify(&subject, &cached.store);
    let Some(first) = subjects.next() else {
        return verify(cached.unknown());
    };
    let first = verify(first);
    match first {
        Ok(verdict) => Ok(verdict),
        Err(error) => subjects.find_map(|subject| verify(subject).ok()).ok_or(error),
    }
}
