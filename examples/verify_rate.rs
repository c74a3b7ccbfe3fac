//! Signatures per second in one process: verifies 1,000, with trust stores and policy.
//!
//! ```text
//! verify_rate CONFIG MANIFEST SIGNATURE...
//! ```
//!
//! The files are taken in turn, and read and judged anew each time. Prints how many a second.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dockseal::fsutil::read_bounded;
use dockseal::image::descriptor::Descriptor;
use dockseal::image::digest::Digest;
use dockseal::store::detached::DetachedFiles;
use dockseal::trust::policy::OciPolicy;
use dockseal::trust::store::TrustStores;
use dockseal::verify::{Verdict, Verifier, VerifyOptions};

const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const SIGNATURES: u32 = 1000;
const LIMIT: u64 = 4 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let [config, manifest, files @ ..] = arguments.as_slice() else {
        return Err("usage: verify_rate CONFIG MANIFEST SIGNATURE...".into());
    };
    let manifest = read_bounded(manifest, LIMIT)?;
    let size = manifest.len().try_into()?;
    let subject = Descriptor::new(MEDIA_TYPE, Digest::sha256(&manifest), size);
    let policy = OciPolicy::parse(&read_bounded(&config.join("trustpolicy.json"), LIMIT)?)?;
    let stores = TrustStores::new(config);

    let start = Instant::now();
    let mut each = files.iter().cycle();
    for _ in 0..SIGNATURES {
        let file = each.next().ok_or("no signature")?;
        verify(&policy, &stores, &subject, file)?;
    }
    let rate = f64::from(SIGNATURES) / start.elapsed().as_secs_f64();
    Ok(writeln!(std::io::stdout(), "{rate:.0}")?)
}

fn verify(
    policy: &OciPolicy,
    stores: &TrustStores,
    subject: &Descriptor,
    file: &Path,
) -> Result<(), Box<dyn Error>> {
    let options = VerifyOptions::at(jiff::Timestamp::now());
    let files = DetachedFiles::new(file.to_owned(), None);
    match Verifier::new(policy.select(None)?, stores, options).verify(subject, &files)? {
        Verdict::Trusted(_) => Ok(()),
        Verdict::Skipped => Err("the policy skips verification".into()),
    }
}
