//! Timestamping authorities: whose timestamps are believed, and signing with one of them
//! (spec/notation.md §6).

use std::path::{Path, PathBuf};

use crate::sign;
use crate::signature::envelope::{Envelope, SignedContent};
use crate::signature::timestamp::VerifiedTimestamp;
use crate::signature::x509::{self, Certificate};
use crate::store::NewSignature;
use crate::trust::store::{MAX_STORE_FILE_BYTES, StoreRef, StoreType, TrustStores, is_root_ca};
use crate::verify::{AuthorityRevocation, CandidateError, VerifyOptions, check_timestamp};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::read_input;
use super::tsa_client::{TsaClient, TsaError};
use super::verify::RevocationArgs;

// Whose timestamps are believed, and whose certificates are revoked.
#[derive(Debug, clap::Args)]
pub(super) struct AuthorityArgs {
    /// Root certificate of the timestamping authority [default: all tsa stores]
    #[arg(long, value_name = "FILE")]
    timestamp_root_cert: Option<PathBuf>,
    /// Do not check whether certificates of the authority are revoked
    #[arg(long)]
    insecure_skip_tsa_revocation: bool,
    #[command(flatten)]
    revocation: RevocationArgs,
}

impl AuthorityArgs {
    /// Reads what is needed to judge tokens.
    pub(super) fn open(&self, context: &Context) -> Result<Authority, Failure> {
        let options = VerifyOptions {
            revocation: self.revocation.load(context)?,
            ..VerifyOptions::at(context.now)
        };
        let revocation = if self.insecure_skip_tsa_revocation {
            context.printer.warning("certificates of the authority are not checked for revocation");
            AuthorityRevocation::InsecureSkip
        } else {
            AuthorityRevocation::Check
        };
        let roots = match &self.timestamp_root_cert {
            Some(path) => vec![root(path)?],
            None => tsa_stores(context)?,
        };
        Ok(Authority { roots, options, revocation })
    }

    fn is_given(&self) -> bool {
        let Self { timestamp_root_cert, insecure_skip_tsa_revocation, revocation } = self;
        timestamp_root_cert.is_some() || *insecure_skip_tsa_revocation || revocation.is_given()
    }
}

/// Who is believed about time.
#[derive(Debug)]
pub(super) struct Authority {
    roots: Vec<Certificate>,
    options: VerifyOptions,
    revocation: AuthorityRevocation,
}

impl Authority {
    /// Whether a token proves when a signature was made.
    pub(super) fn check(
        &self,
        token: &[u8],
        envelope: &Envelope,
        content: &SignedContent,
    ) -> Result<VerifiedTimestamp, CandidateError> {
        let (signature, chain) = (envelope.signature(), content.chain());
        check_timestamp(token, signature, chain, &self.roots, &self.options, self.revocation)
    }

    /// The same for a token that was made just now: the authority's certificates must be valid by
    /// our clock too (§6.1), not only by its own.
    fn check_fresh(
        &self,
        token: &[u8],
        envelope: &Envelope,
        content: &SignedContent,
    ) -> Result<VerifiedTimestamp, CandidateError> {
        let timestamp = self.check(token, envelope, content)?;
        let now = self.options.now;
        timestamp.chain().check_validity(now, now).map_err(CandidateError::Validity)?;
        Ok(timestamp)
    }
}

/// The one root certificate of a file. The texts are notation's.
fn root(path: &Path) -> Result<Certificate, Failure> {
    let refused = |what: &str| {
        let expected = "Expecting single x509 root certificate in PEM or DER format from the file";
        Failure::new(
            Exit::NotTrusted,
            format!("{what} {:?}. {expected}", path.display().to_string()),
        )
    };
    let bytes = read_input(path, MAX_STORE_FILE_BYTES)?;
    let mut certificates = x509::certificates_from_bytes(&bytes).map_err(|error| {
        Failure::of(Exit::NotTrusted, &error).prefixed(&path.display().to_string())
    })?;
    match (certificates.pop(), certificates.is_empty()) {
        (None, _) => Err(refused("cannot find any certificate from")),
        (Some(_), false) => Err(refused("found more than one certificates from")),
        (Some(root), true) if is_root_ca(&root) => Ok(root),
        (Some(_), true) => Err(Failure::new(
            Exit::NotTrusted,
            format!(
                "certificate from {:?} is not a root certificate. Expecting single x509 root \
                 certificate in PEM or DER format from the file",
                path.display().to_string()
            ),
        )),
    }
}

/// The roots of all `tsa` stores there are.
fn tsa_stores(context: &Context) -> Result<Vec<Certificate>, Failure> {
    let stores = TrustStores::new(&context.dirs.config()?);
    let mut references: Vec<StoreRef> =
        stores.list(Some(StoreType::Tsa), None)?.into_iter().map(|entry| entry.store).collect();
    references.dedup();
    let mut roots = Vec::new();
    for store in &references {
        roots.extend(stores.load(store)?);
    }
    if roots.is_empty() {
        let hint = "dockseal cert add --type tsa --store STORE ROOT.crt".to_owned();
        return Err(Failure::new(Exit::NotTrusted, "no timestamping authority is trusted")
            .with_hint(Some(hint)));
    }
    Ok(roots)
}

// Whether a new signature is timestamped.
#[derive(Debug, clap::Args)]
pub(super) struct TimestampArgs {
    /// Ask the timestamping authority (RFC 3161) at URL, http or https, for a countersignature,
    /// such as `http://tsa.example/`; the only use of a network, without proxy and redirects
    #[arg(long, visible_alias = "timestamp", short = 't', value_name = "URL")]
    timestamp_url: Option<String>,
    #[command(flatten)]
    authority: AuthorityArgs,
}

impl TimestampArgs {
    /// Reads everything that is needed, so that nothing is signed or sent in vain.
    pub(super) fn open(&self, context: &Context) -> Result<Option<Countersigner>, Failure> {
        let Some(url) = &self.timestamp_url else {
            if self.authority.is_given() {
                return Err(Failure::usage(
                    "options about the timestamping authority need --timestamp-url URL",
                ));
            }
            return Ok(None);
        };
        Ok(Some(Countersigner::asking(url, self.authority.open(context)?)?))
    }
}

/// A timestamping authority that will be asked.
#[derive(Debug)]
pub(super) struct Countersigner {
    url: String,
    client: TsaClient,
    authority: Authority,
}

impl Countersigner {
    /// The authority at a URL that leads to one root.
    pub(super) fn new(url: &str, root: Certificate, context: &Context) -> Result<Self, Failure> {
        let options = VerifyOptions {
            revocation: RevocationArgs::default().load(context)?,
            ..VerifyOptions::at(context.now)
        };
        let revocation = AuthorityRevocation::Check;
        Self::asking(url, Authority { roots: vec![root], options, revocation })
    }

    fn asking(url: &str, authority: Authority) -> Result<Self, Failure> {
        let client = TsaClient::new(url).map_err(|error| Failure::from(error).prefixed(url))?;
        Ok(Self { url: url.to_owned(), client, authority })
    }

    /// The same signature with a timestamp that verifies.
    pub(super) fn countersign(
        &self,
        signature: NewSignature,
    ) -> Result<(NewSignature, VerifiedTimestamp), Failure> {
        sign::countersign(
            signature,
            self.authority.options.certificate_rules,
            |request| self.client.ask(request).map_err(Failure::from),
            |token, envelope, content| {
                self.authority.check_fresh(token, envelope, content).map_err(Failure::from)
            },
        )
        .map_err(|failure| failure.prefixed(&format!("timestamp of {}", self.url)))
    }
}

/// The signature, with a timestamp if there is an authority to ask.
pub(super) fn countersigned(
    authority: Option<&Countersigner>,
    signature: NewSignature,
    context: &Context,
) -> Result<NewSignature, Failure> {
    let Some(authority) = authority else { return Ok(signature) };
    let (signature, timestamp) = authority.countersign(signature)?;
    let (moment, by) = (timestamp.generated(), timestamp.chain().leaf().subject());
    context.printer.note(format_args!("Timestamped at {moment} by {by}"));
    Ok(signature)
}

/// What to do where an authority can't be asked.
pub(super) fn by_way_of_files(error: &TsaError) -> Failure {
    Failure::of(Exit::Unavailable, error).with_hint(Some(
        "sign without --timestamp-url, then: dockseal timestamp request SIGNATURE -o FILE.tsq, \
         send it, dockseal timestamp attach SIGNATURE FILE.tsr"
            .to_owned(),
    ))
}
