//! References of registries without a registry.
//!
//! notation asks the registry for the manifest's descriptor and its signatures. Offline there is
//! the signature cache, in which `dockseal sign --local` keeps signatures by the digest of the
//! manifest. So `REPOSITORY@DIGEST` can be verified, listed and inspected if the cache has
//! signatures of that digest, and the repository selects the policy as ever. This is what
//! `nerdctl --verify=notation` calls: it resolves the digest itself. Media type and size are then
//! those that the trusted signature says, because nobody else says any; a digest determines the
//! content, so only the media type is believed on the signer's word, and a warning tells so.
//!
//! Not possible: a tag, which only the registry can resolve, and signing, for which a digest is too
//! little (rule N-07).

use std::str::FromStr as _;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::image::descriptor::Descriptor;
use crate::image::digest::Digest;
use crate::signature::envelope::Envelope;
use crate::store::cache::SignatureCache;
use crate::store::{SignatureStore, StoredSignature};
use crate::trust::scope::Repository;

/// Most things that signatures of one digest may say it is: honest ones say one.
const MAX_SUBJECTS: usize = 8;

/// `repository:tag` or `repository@digest`.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) repository: Repository,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Tag(String),
    Digest(Digest),
}

impl Reference {
    /// Parses a reference of a registry; the errors are notation's.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = |reason: String| {
            Failure::usage(format!(
                "{text:?}: invalid reference: {reason}. Expecting <registry>/<repository>:<tag> or \
                 <registry>/<repository>@<digest>"
            ))
        };
        let Some((registry, rest)) = text.split_once('/') else {
            return Err(invalid("missing registry or repository".to_owned()));
        };
        let (path, target) = if let Some((path, digest)) = rest.split_once('@') {
            if digest.is_empty() {
                return Err(invalid("no tag or digest".to_owned()));
            }
            let digest = Digest::from_str(digest).map_err(|error| {
                invalid(format!("invalid digest {digest:?}")).with_detail(error.to_string())
            })?;
            // As everywhere, a digest beats the tag before it.
            (path.split(':').next().unwrap_or(path), Target::Digest(digest))
        } else {
            let (path, tag) = rest
                .split_once(':')
                .filter(|(_, tag)| !tag.is_empty())
                .ok_or_else(|| invalid("no tag or digest".to_owned()))?;
            (path, Target::Tag(tag.to_owned()))
        };
        let repository = Repository::parse(&format!("{registry}/{path}"))
            .map_err(|_| invalid(format!("invalid repository {path:?}")))?;
        Ok(Self { repository, target })
    }

    /// The digest, which a tag is not.
    pub(super) fn digest(&self) -> Result<&Digest, Failure> {
        match &self.target {
            Target::Digest(digest) => Ok(digest),
            Target::Tag(tag) => Err(Failure::new(
                Exit::Unavailable,
                format!(
                    "this build is offline and can't ask the registry for the digest of the tag \
                     {tag:?}: use {}@<digest> with signatures in the signature cache, or \
                     --oci-layout",
                    self.repository
                ),
            )),
        }
    }

    /// The signatures of the digest that the cache has.
    pub(super) fn cached(&self, context: &Context) -> Result<Cached, Failure> {
        let digest = self.digest()?.clone();
        let store = SignatureCache::new(&context.dirs.cache()?);
        // The cache goes by the digest alone.
        let signatures = store.list(&Descriptor::new("", digest.clone(), 0))?;
        if signatures.is_empty() {
            return Err(Failure::new(
                Exit::NoSignature,
                format!(
                    "this build is offline and asks no registry, and the signature cache has no \
                     signature of {}@{digest}: use --oci-layout, or dockseal cache add SIGNATURE",
                    self.repository
                ),
            ));
        }
        context.printer.warning(format_args!(
            "{}@{digest} was not looked up in the registry: its signatures are those of the \
             signature cache, its media type is the signed one",
            self.repository
        ));
        Ok(Cached { store, digest, signatures })
    }
}

/// Signatures of a digest in the signature cache.
pub(super) struct Cached {
    pub(super) store: SignatureCache,
    digest: Digest,
    pub(super) signatures: Vec<StoredSignature>,
}

impl Cached {
    /// What the signatures say the digest is, without repetitions. Nothing here is trusted yet;
    /// whatever is verified against one of these has this digest.
    pub(super) fn subjects(&self) -> Vec<Descriptor> {
        let mut subjects: Vec<Descriptor> = Vec::new();
        for signature in &self.signatures {
            let Ok(bytes) = self.store.read(signature) else { continue };
            let target = Envelope::decode_any(&bytes)
                .and_then(|envelope| envelope.unverified_content())
                .map(|content| content.payload().target().clone());
            let Ok(target) = target else { continue };
            let is_new = !subjects.iter().any(|known| known.same_content(&target));
            if target.digest == self.digest && is_new && subjects.len() < MAX_SUBJECTS {
                subjects.push(target);
            }
        }
        subjects
    }

    /// The digest as something of which no signature says what it is. No signature is for it;
    /// verification then says what is wrong with every one of them.
    pub(super) fn unknown(&self) -> Descriptor {
        Descriptor::new("", self.digest.clone(), 0)
    }
}

/// Signing needs the manifest.
pub(super) fn sign(text: &str) -> Failure {
    let reference = match Reference::parse(text) {
        Ok(reference) => reference,
        Err(failure) => return failure,
    };
    Failure::new(
        Exit::Unavailable,
        format!(
            "this build is offline and can't get the manifest of {} from the registry: use \
             --oci-layout, or dockseal sign --local with the manifest",
            reference.repository
        ),
    )
}

/// Arguments of `notation login`; only refused.
#[derive(Debug, clap::Args)]
#[command(override_usage = "notation login [flags] <server>")]
pub(super) struct LoginArgs {
    #[arg(value_name = "server")]
    server: Vec<String>,
    /// Username for registry operations
    #[arg(long, short, value_name = "string")]
    username: Option<String>,
    /// Password for registry operations
    #[arg(long, short, value_name = "string")]
    password: Option<String>,
    /// Take the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Use HTTP protocol while connecting to registries
    #[arg(long)]
    insecure_registry: bool,
}

/// Arguments of `notation logout`; only refused.
#[derive(Debug, clap::Args)]
#[command(override_usage = "notation logout [flags] <server>")]
pub(super) struct LogoutArgs {
    #[arg(value_name = "server")]
    server: Vec<String>,
}

impl LoginArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        needs_registry("login", &self.server)
    }
}

impl LogoutArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        needs_registry("logout", &self.server)
    }
}

fn needs_registry(verb: &str, server: &[String]) -> Result<(), Failure> {
    super::flags::only(server, "no hostname specified")?;
    Err(Failure::usage(format!("\"notation {verb}\" needs a registry, and this build is offline")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";

    #[test]
    fn references_have_a_registry_and_a_tag_or_digest() {
        for (text, repository, is_digest) in [
            ("a/b:v1", "a/b", false),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b", false),
            (&format!("a/b@{DIGEST}"), "a/b", true),
            (&format!("a:1/b:v1@{DIGEST}"), "a:1/b", true),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.repository.as_str(), repository, "{text}");
            assert_eq!(reference.digest().is_ok(), is_digest, "{text}");
        }
        for (text, reason) in [
            ("a", "missing registry or repository"),
            ("a:v1", "missing registry or repository"),
            ("a/b", "no tag or digest"),
            ("a/b:", "no tag or digest"),
            ("a/b@", "no tag or digest"),
            ("a/B:v1", "invalid repository \"B\""),
            ("a/b@sha256:12", "invalid digest \"sha256:12\""),
        ] {
            let message = Reference::parse(text).unwrap_err().message;
            assert!(message.contains(reason), "{text}: {message}");
        }
    }
}
