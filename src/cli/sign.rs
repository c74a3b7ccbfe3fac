//! `dockseal sign`

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::SignedDuration;
use zeroize::Zeroizing;

use crate::image::descriptor::Descriptor;
use crate::image::hint::{self, Hint};
use crate::plugin::{PluginConfig, PluginKey, PluginSigner};
use crate::sign::{self, SignError, SignOptions};
use crate::signature::envelope::EnvelopeFormat;
use crate::signature::signer::config::NotationConfig;
use crate::signature::signer::keys::{KeySource, SigningKeys};
use crate::signature::signer::local::LocalSigner;
use crate::signature::signer::{Signer, SignerError};
use crate::signature::x509::CertificateRules;
use crate::store::cache::SignatureCache;
use crate::store::detached::DetachedFiles;
use crate::store::layout::{LayoutTarget, SignatureManifest};
use crate::store::{Added, NewSignature, SignatureStore};

use super::authority::{TimestampArgs, countersigned};
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::host_trust::check_key_files;
use super::output::Verbosity;
use super::plugins::PluginArgs;
use super::recursive;
use super::subject::{ContentSeen, Subject, SubjectArgs, user_metadata};
use super::{duration, read_input, report, token};

/// Largest key or certificate file.
pub(super) const MAX_KEY_BYTES: u64 = 1 << 20;

// Arguments of `dockseal sign`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal sign image.tar --embed
  dockseal sign oci-archive:layout.tar:v1
  dockseal sign containerd:registry.example/app:v1 --namespace k8s.io --embed
  dockseal sign --local -o image.jws.sig manifest.json")]
pub(super) struct SignArgs {
    /// Write the signature to FILE, or - for standard output [default: the OCI layout (--oci-layout,
    /// oci:, oci-archive:), else the signature cache]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put the signature beside the image: into its archive, with the manifest if that does not hold
    /// it, or into containerd, where it lives as long as the image
    #[arg(long, conflicts_with_all = ["output", "oci_layout", "local", "descriptor"],
        group = "in_layout")]
    embed: bool,
    /// Make an image record REPOSITORY@DIGEST of the signature in containerd, by which it can be
    /// exported and pushed
    #[arg(long, requires = "embed")]
    record: bool,
    /// Sign every manifest below an index too, each with a signature of its own
    #[arg(long, conflicts_with = "output")]
    recursive: bool,
    #[command(flatten)]
    format: FormatArgs,
    /// Form of the signature manifest in an OCI layout or archive; notation 1.3 does not see oci1.1
    #[arg(long, value_enum, default_value_t, value_name = "FORM", requires = "in_layout")]
    signature_manifest: ManifestForm,
    /// Sign with certificates that notation accepts and dockseal would not
    #[arg(long)]
    lenient_certs: bool,
    /// Metadata to be signed too; repeatable
    #[arg(long, short = 'm', value_name = "KEY=VALUE", value_parser = user_metadata)]
    user_metadata: Vec<(String, String)>,
    /// How long the signature is valid, such as 720h [default: forever]
    #[arg(long, short, value_name = "DURATION", value_parser = duration::parse)]
    expiry: Option<SignedDuration>,
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten, next_help_heading = "Key options")]
    key: KeyArgs,
    #[command(flatten, next_help_heading = "Timestamp options")]
    timestamp: TimestampArgs,
}

/// Form of signature manifests.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum ManifestForm {
    /// For every notation
    #[default]
    Legacy,
    /// With artifactType
    #[value(name = "oci1.1")]
    Oci11,
}

impl From<ManifestForm> for SignatureManifest {
    fn from(form: ManifestForm) -> Self {
        match form {
            ManifestForm::Legacy => Self::Legacy,
            ManifestForm::Oci11 => Self::Oci11,
        }
    }
}

// Which format signatures have.
#[derive(Debug, clap::Args)]
pub(super) struct FormatArgs {
    /// Format of the signature envelope [default: the configuration's, else jws]
    #[arg(long, value_name = "FORMAT", value_parser = ["jws", "cose"])]
    pub(super) signature_format: Option<String>,
}

impl FormatArgs {
    /// The option, else what the configuration says, else JWS.
    pub(super) fn format(&self, context: &Context) -> Result<EnvelopeFormat, Failure> {
        match self.signature_format.as_deref() {
            Some("cose") => Ok(EnvelopeFormat::Cose),
            Some(_) => Ok(EnvelopeFormat::Jws),
            // A key given by its files needs no configuration directory.
            None => match context.dirs.config() {
                Ok(config) => Ok(NotationConfig::load(&config)?
                    .signature_format()
                    .unwrap_or(EnvelopeFormat::Jws)),
                Err(_) => Ok(EnvelopeFormat::Jws),
            },
        }
    }
}

// Which key signs.
#[derive(Debug, Default, clap::Args)]
pub(super) struct KeyArgs {
    /// Name of the signing key [default: the default key]
    #[arg(long, short, value_name = "NAME", conflicts_with = "key_itself")]
    key: Option<String>,
    /// Signing plugin that has the key --id
    #[arg(long, value_name = "PLUGIN", requires = "id", conflicts_with_all = ["key", "key_itself"])]
    plugin: Option<String>,
    /// The key's name for the plugin
    #[arg(long, value_name = "ID", requires = "plugin")]
    id: Option<String>,
    #[command(flatten)]
    plugins: PluginArgs,
    /// Private key, PEM, or with its chain PKCS#12 (.p12, .pfx)
    #[arg(long, value_name = "FILE", group = "key_itself")]
    key_file: Option<PathBuf>,
    /// Private key on a PKCS#11 token, as RFC 7512 names it, such as
    /// 'pkcs11:token=release;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so'
    #[arg(long, value_name = "URI", group = "key_itself")]
    key_uri: Option<KeyUri>,
    /// Certificate chain of the private key, PEM, leaf first [default for --key-uri:
    /// the certificates on the token]
    #[arg(long, value_name = "FILE", requires = "key_itself")]
    cert_file: Option<PathBuf>,
    /// File whose first line is the passphrase of the private key or the PIN of the token,
    /// or - for standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// The name of a key on a token. Some people write the PIN into it, so it is not shown.
#[derive(Clone)]
struct KeyUri(String);

impl FromStr for KeyUri {
    type Err = Infallible;

    fn from_str(uri: &str) -> Result<Self, Infallible> {
        Ok(Self(uri.to_owned()))
    }
}

impl fmt::Debug for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyUri(..)")
    }
}

/// Largest passphrase.
const MAX_PASSPHRASE_BYTES: u64 = 4096;

/// The passphrase that is the first line of a file.
pub(super) fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(read_input(path, MAX_PASSPHRASE_BYTES)?);
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("{} is no text in UTF-8", path.display())))?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

impl KeyArgs {
    /// A key of a plugin, or else one of the list.
    pub(super) fn with_plugins(
        key: Option<String>,
        plugin: Option<String>,
        id: Option<String>,
        plugins: PluginArgs,
    ) -> Self {
        Self { key, plugin, id, plugins, ..Self::default() }
    }

    /// The first line of the passphrase file. Passphrases are never arguments: those are public.
    fn passphrase(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        self.passphrase_file.as_deref().map(first_line).transpose()
    }

    fn open_files(&self, key: &Path) -> Result<LocalSigner, Failure> {
        let passphrase = self.passphrase()?;
        if let Some(certificates) = &self.cert_file {
            return read_pair(key, certificates, passphrase.as_ref().map(|text| text.as_str()));
        }
        let is_pkcs12 = key.extension().is_some_and(|extension| {
            extension.eq_ignore_ascii_case("p12") || extension.eq_ignore_ascii_case("pfx")
        });
        if !is_pkcs12 {
            return Err(Failure::usage("--key-file needs --cert-file, the chain of the key"));
        }
        let bytes = read_input(key, MAX_KEY_BYTES)?;
        LocalSigner::from_pkcs12(&bytes, passphrase.as_ref().map_or("", |text| text.as_str()))
            .map_err(|error| {
                Failure::of(Exit::Unavailable, &error)
                    .with_detail(format!("key: {}", key.display()))
            })
    }

    /// Reads the key, or asks its plugin about it.
    pub(super) fn signer(&self, context: &Context) -> Result<KeySigner, Failure> {
        if let Some(uri) = &self.key_uri {
            let certificates = self.cert_file.as_deref();
            return Ok(KeySigner::Token(token::signer(&uri.0, self.passphrase()?, certificates)?));
        }
        if let Some(key) = &self.key_file {
            check_key_files(context, &[key])?;
            return Ok(KeySigner::Local(self.open_files(key)?));
        }
        if let (Some(plugin), Some(id)) = (&self.plugin, &self.id) {
            return self.plugin_signer(context, plugin, id, &PluginConfig::new());
        }
        let config = context.dirs.config()?;
        let keys = SigningKeys::load(&config)?;
        check_key_files(context, &[&config, &SigningKeys::path(&config)])?;
        let key = keys.find(self.key.as_deref())?;
        match &key.source {
            Some(KeySource::Local { key_path, cert_path }) => {
                check_key_files(context, &[key_path, cert_path])?;
                let passphrase = self.passphrase()?;
                let passphrase = passphrase.as_ref().map(|text| text.as_str());
                Ok(KeySigner::Local(read_pair(key_path, cert_path, passphrase)?))
            }
            Some(KeySource::Plugin { id, plugin, config }) => {
                self.plugin_signer(context, plugin, id, config)
            }
            None => Err(Failure::new(
                Exit::Unavailable,
                format!("key {} says neither files nor a plugin", key.name),
            )),
        }
    }

    /// The options say what the plugin is told over what the list of keys says.
    fn plugin_signer(
        &self,
        context: &Context,
        plugin: &str,
        id: &str,
        config: &PluginConfig,
    ) -> Result<KeySigner, Failure> {
        let plugin = self.plugins.directory(context)?.find(plugin)?;
        context.printer.detail(format_args!("plugin: {}", plugin.path().display()));
        let mut config = config.clone();
        config.extend(self.plugins.config());
        Ok(KeySigner::Plugin(PluginSigner::new(plugin, PluginKey { id: id.to_owned(), config })?))
    }
}

/// Who signs.
pub(super) enum KeySigner {
    /// Files.
    Local(LocalSigner),
    /// A token.
    Token(Box<dyn Signer>),
    /// A plugin.
    Plugin(PluginSigner),
}

impl KeySigner {
    /// Signs a manifest.
    pub(super) fn sign(
        &self,
        subject: &Descriptor,
        options: &SignOptions,
    ) -> Result<NewSignature, SignError> {
        match self {
            Self::Local(signer) => sign::sign(subject, options, signer),
            Self::Token(signer) => sign::sign(subject, options, &**signer),
            Self::Plugin(PluginSigner::Raw(signer)) => sign::sign(subject, options, signer),
            Self::Plugin(PluginSigner::Envelope(plugin)) => {
                sign::generate(subject, options, plugin)
            }
        }
    }

    /// Who signs files.
    pub(super) fn for_blobs(self) -> Result<Box<dyn Signer>, Failure> {
        Ok(match self {
            Self::Local(signer) => Box::new(signer),
            Self::Token(signer) => signer,
            Self::Plugin(plugin) => Box::new(plugin.for_blobs()?),
        })
    }
}

/// Reads a private key and its chain.
pub(super) fn read_pair(
    key: &Path,
    certificates: &Path,
    passphrase: Option<&str>,
) -> Result<LocalSigner, Failure> {
    let key_bytes = read_input(key, MAX_KEY_BYTES)?;
    let chain = read_input(certificates, MAX_KEY_BYTES)?;
    let signer = match passphrase {
        Some(text) => LocalSigner::from_encrypted_pem(&key_bytes, text.as_bytes(), &chain),
        None => LocalSigner::from_pem(&key_bytes, &chain),
    };
    signer.map_err(|error| {
        let hint = match error {
            SignerError::Encrypted => {
                Some("its first line is the passphrase: --passphrase-file FILE".into())
            }
            _ => Hint::command(
                "PEM is expected, and the certificate of the key first",
                &["head", "-n", "1", &hint::path(key), &hint::path(certificates)],
            ),
        };
        Failure::of(Exit::Unavailable, &error)
            .with_detail(format!("key: {}", key.display()))
            .with_detail(format!("certificates: {}", certificates.display()))
            .with_hint(hint)
    })
}

impl SignArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let format = self.format.format(context)?;
        if self.embed {
            self.subject.of_image()?.check_place(self.record)?;
        }
        // Without a key nothing is worth hashing.
        let authority = self.timestamp.open(context)?;
        let signer = self.key.signer(context)?;
        let subject = self.subject.resolve_to_sign(context)?;
        self.refuse_overwriting(&subject)?;
        if let Some(output) = &self.output {
            self.check_name(context, output, format)?;
        }
        if let (true, Some(containerd)) = (self.embed, &subject.containerd) {
            // Before anybody signs.
            containerd.check_writable()?;
        }
        let options = SignOptions {
            format,
            expires_in: self.expiry.filter(|expiry| !expiry.is_zero()),
            user_metadata: self.user_metadata.iter().cloned().collect(),
            certificate_rules: match self.lenient_certs {
                true => CertificateRules::Lenient,
                false => CertificateRules::Strict,
            },
            ..SignOptions::at(context.now)
        };
        let make = |descriptor: &Descriptor| {
            let envelope = signer.sign(descriptor, &options)?;
            countersigned(authority.as_ref(), envelope, context)
        };
        if self.recursive {
            let store = self.store(&subject, context)?;
            return recursive::sign(&subject, &make, &*store, context.printer);
        }
        let envelope = make(&subject.descriptor)?;
        if subject.content == ContentSeen::No {
            context.printer.note("signed the descriptor only, content was not checked");
        }
        let Some(output) = &self.output else {
            let added = self.store(&subject, context)?.add(&subject.descriptor, &envelope)?;
            return tell(context, &subject, &envelope, &added);
        };
        if output.as_os_str() == "-" {
            context.printer.note(format_args!("Successfully signed {}", subject.reference()));
            return Ok(context.printer.data(&envelope.bytes)?);
        }
        let added = DetachedFiles::new(output.clone(), []).add(&subject.descriptor, &envelope)?;
        tell(context, &subject, &envelope, &added)
    }

    /// Where signatures go when no file is named: beside the image, else the cache.
    fn store(
        &self,
        subject: &Subject,
        context: &Context,
    ) -> Result<Box<dyn SignatureStore>, Failure> {
        let form = self.signature_manifest.into();
        let layout = match (&subject.layout, &subject.inside) {
            _ if self.embed => {
                return self.subject.of_image()?.beside(subject, form, self.record, context);
            }
            (Some(layout), _) => layout.clone(),
            (None, Some(layout)) if layout.root().is_dir() => {
                // What is signed has to be there (rule N-08).
                layout.resolve(&LayoutTarget::Digest(subject.descriptor.digest.clone()))?;
                layout.clone()
            }
            (None, Some(_)) => {
                return self.subject.of_image()?.beside(subject, form, false, context);
            }
            (None, None) => return Ok(Box::new(SignatureCache::new(&context.dirs.cache()?))),
        };
        Ok(Box::new(layout.writing(form)))
    }

    /// The input is never overwritten.
    fn refuse_overwriting(&self, subject: &Subject) -> Result<(), Failure> {
        let (Some(output), Some(input)) = (&self.output, &subject.path) else { return Ok(()) };
        let is_same = match (output.canonicalize(), input.canonicalize()) {
            (Ok(output), Ok(input)) => output == input,
            // What does not exist is not the input.
            _ => false,
        };
        match is_same {
            true => Err(Failure::usage(format!(
                "the signature would overwrite {}, which is to be signed",
                input.display()
            ))),
            false => Ok(()),
        }
    }

    /// A name that announces the other format would make a file that nobody verifies.
    fn check_name(
        &self,
        context: &Context,
        output: &Path,
        format: EnvelopeFormat,
    ) -> Result<(), Failure> {
        let name = output.file_name().map(|name| name.to_string_lossy().into_owned());
        match name.as_deref().and_then(EnvelopeFormat::from_file_name) {
            Some(named) if named != format => Err(Failure::usage(format!(
                "{} announces a {named} signature, this is a {format} signature",
                output.display()
            ))
            .with_hint(Some(format!("--signature-format {named}")))),
            Some(_) => Ok(()),
            None => {
                context.printer.detail(format_args!(
                    "notation's blob commands want a name that ends with .{format}.sig"
                ));
                Ok(())
            }
        }
    }
}

fn tell(
    context: &Context,
    subject: &Subject,
    envelope: &NewSignature,
    added: &Added,
) -> Result<(), Failure> {
    let printer = context.printer;
    printer.json(report::signed(&subject.descriptor, envelope, added))?;
    if printer.verbosity() == Verbosity::Quiet {
        return Ok(printer.line(&subject.descriptor.digest)?);
    }
    printer.line(format_args!("Successfully signed {}", subject.reference()))?;
    printer.note(format_args!("Signature written to {}", added.location.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What people write into an URI ends in no log.
    #[test]
    fn pins_are_not_shown() {
        let uri = Some("pkcs11:token=a?pin-value=geheim".parse().unwrap());
        let arguments = KeyArgs { key_uri: uri, ..KeyArgs::default() };
        let shown = format!("{arguments:?} {arguments:#?}");
        assert!(shown.contains("KeyUri") && !shown.contains("geheim"), "{shown}");
    }
}
