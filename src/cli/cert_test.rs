//! `dockseal cert generate-test` and `cleanup-test`: a test key with a certificate that is trusted.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::fsutil::{self, Mode};
use crate::image::hint::Hint;
use crate::signature::algorithm::KeySpec;
use crate::signature::signer::keys::{KeySource, KeysError, MakeDefault, SigningKey, SigningKeys};
use crate::signature::x509::generate;
use crate::trust::store::{StoreRef, StoreType, TrustStores, is_file_name};

use super::cert::{confirmed, described};
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal cert generate-test --default my-test")]
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
        let report = json!({
            "verdict": "generated",
            "key": {
                "name": name,
                "isDefault": self.default,
                "keyPath": key_path,
                "certificatePath": cert_path,
                "plugin": null,
                "id": null,
            },
            "notAfter": expiry.to_string(),
            "store": described(&store),
            "file": file,
        });
        let source = KeySource::Local { key_path, cert_path };
        let default = if self.default { MakeDefault::Yes } else { MakeDefault::No };
        keys.add(SigningKey { name: name.clone(), source: Some(source) }, default)?;
        keys.save(&config)?;
        printer.line(format_args!("{name}: added to the key list"))?;
        if self.default {
            printer.line(format_args!("{name}: marked as default signing key"))?;
        }
        Ok(printer.json(report)?)
    }
}

/// The store of a test certificate; the name must be one for a file and a store.
fn test_store(name: &str) -> Result<StoreRef, Failure> {
    StoreRef::new(StoreType::Ca, name)
        .ok_or_else(|| Failure::usage("name must follow [a-zA-Z0-9_.-]+ format"))
}

/// Nothing of an earlier key is overwritten.
fn refuse_existing(keys: &SigningKeys, name: &str, key_path: &Path) -> Result<(), Failure> {
    let hint = Hint::command("", &["dockseal", "cert", "cleanup-test", name]);
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
#[command(after_help = "Example:
  dockseal cert cleanup-test my-test")]
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
            return Ok(printer.json(json!({"verdict": "kept", "name": name}))?);
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
        printer.line("Cleanup completed successfully")?;
        Ok(printer.json(json!({"verdict": "deleted", "name": name}))?)
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
