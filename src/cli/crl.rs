//! `dockseal crl`: revocation lists for hosts without a network.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::signature::x509::crl::Crl;
use crate::trust::crls::{CrlBundle, CrlCache, NotNewer, read_crl};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::table;

// Subcommands of `dockseal crl`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum CrlCommand {
    /// Put a CRL into the cache that notation uses too
    Import(ImportArgs),
    /// List the cached CRLs
    #[command(visible_alias = "ls")]
    #[command(after_help = "Example:
  dockseal crl list")]
    List,
}

impl CrlCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let cache = CrlCache::new(&context.dirs.cache()?);
        match self {
            Self::Import(args) => args.run(context, &cache),
            Self::List => list(context, &cache),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal crl import --url http://ca.example/root.crl root.crl")]
pub(super) struct ImportArgs {
    /// Distribution point, exactly as the certificates have it
    #[arg(long, value_name = "URL")]
    url: String,
    /// The delta CRL that continues the CRL
    #[arg(long, value_name = "FILE")]
    delta: Option<PathBuf>,
    /// Replace a newer list, or another issuer's, too
    #[arg(long)]
    force: bool,
    /// The CRL, DER or PEM
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl ImportArgs {
    fn run(self, context: &Context, cache: &CrlCache) -> Result<(), Failure> {
        let bundle = CrlBundle {
            base: read_crl(&self.file)?,
            delta: self.delta.as_deref().map(read_crl).transpose()?,
        };
        let printer = context.printer;
        for crl in std::iter::once(&bundle.base).chain(&bundle.delta) {
            match crl.next_update() {
                None => printer.warning("the CRL has no next update, it will not be believed"),
                Some(next) if next < context.now => printer
                    .warning(format_args!("the CRL expired at {next}, it will not be believed")),
                Some(_) => {}
            }
        }
        if bundle.base.is_delta() {
            return Err(Failure::usage("the file holds a delta CRL; it goes with --delta"));
        }
        if bundle.delta.as_ref().is_some_and(|delta| !delta.is_delta()) {
            return Err(Failure::usage("the file of --delta holds a complete CRL, no delta CRL"));
        }
        self.check_delta(&bundle)?;
        if !self.url.contains(':') {
            let text = format!("--url: expected a URL such as http://..., found {:?}", self.url);
            return Err(Failure::usage(text));
        }
        if !self.force {
            self.refuse_rollback(&bundle, cache)?;
        }
        let path = cache.put(&self.url, &bundle)?;
        printer.note(format_args!("wrote {}", path.display()));
        printer.line(format_args!("Successfully imported the CRL of {}", self.url))?;
        Ok(printer.json(json!({"verdict": "imported", "url": self.url, "path": path}))?)
    }
}

impl ImportArgs {
    /// A delta list that does not continue the list is believed by nobody.
    fn check_delta(&self, bundle: &CrlBundle) -> Result<(), Failure> {
        let (Some(delta), Some(file)) = (&bundle.delta, &self.delta) else { return Ok(()) };
        bundle.base.check_delta(delta).map_err(|error| {
            Failure::new(Exit::Malformed, format!("{}: {error}", file.display()))
                .with_detail(format!("base:  {}", issued(&bundle.base)))
                .with_detail(format!("delta: {}", issued(delta)))
                .with_hint(Some("get both lists anew, or leave --delta out".to_owned()))
        })
    }

    /// A list that is older than the cached one knows less of what is revoked, and another issuer's
    /// knows nothing of it. A cached list that can't be read is believed by nobody, and replaced.
    fn refuse_rollback(&self, bundle: &CrlBundle, cache: &CrlCache) -> Result<(), Failure> {
        let Ok(Some(cached)) = cache.get(&self.url) else { return Ok(()) };
        let Err(reason) = bundle.may_replace(&cached) else { return Ok(()) };
        let (is, hint) = match reason {
            NotNewer::OtherIssuer => ("has another issuer than", "if the issuer has changed"),
            NotNewer::NoNumber => ("has no number, unlike", "if it is newer all the same"),
            NotNewer::Older => ("is older than", "if the older one is meant all the same"),
        };
        let text = format!("{} {is} the CRL of {} in the cache", self.file.display(), self.url);
        let failure = Failure::new(Exit::NotTrusted, text);
        let failure = if reason == NotNewer::OtherIssuer {
            failure
                .with_detail(format!("expected issuer: {}", cached.latest().issuer()))
                .with_detail(format!("found issuer:    {}", bundle.latest().issuer()))
        } else {
            failure
                .with_detail(format!("cached: {}", issued(cached.latest())))
                .with_detail(format!("found:  {}", issued(bundle.latest())))
        };
        Err(failure.with_hint(Some(format!("{hint}: --force"))))
    }
}

/// When a list was issued, by whom.
fn issued(crl: &Crl) -> String {
    let kind = if crl.is_delta() { "delta CRL" } else { "CRL" };
    let number = crl.number().map(|number| format!(" number 0x{number}")).unwrap_or_default();
    let base = crl.base_number().map(|number| format!(" from 0x{number}")).unwrap_or_default();
    format!("{kind}{number}{base} of {}, issued at {}", crl.issuer(), crl.this_update())
}

/// The cache has digests of URLs only, so lists are told apart by their issuers.
fn list(context: &Context, cache: &CrlCache) -> Result<(), Failure> {
    let header = ["ISSUER", "THIS UPDATE", "NEXT UPDATE", "ENTRIES", "DELTA", "FILE"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut report = Vec::new();
    for path in cache.entries()? {
        let bundle = match cache.read(&path) {
            Ok(Some(bundle)) => bundle,
            Ok(None) => continue,
            Err(error) => {
                context.printer.warning(error);
                continue;
            }
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        report.push(json!({
            "issuer": bundle.base.issuer().to_string(),
            "thisUpdate": bundle.base.this_update().to_string(),
            "nextUpdate": bundle.base.next_update().map(|next| next.to_string()),
            "entries": bundle.base.entry_count(),
            "hasDelta": bundle.delta.is_some(),
            "path": path,
        }));
        rows.push(vec![
            bundle.base.issuer().to_string(),
            bundle.base.this_update().to_string(),
            bundle.base.next_update().map_or_else(|| "-".to_owned(), |next| next.to_string()),
            bundle.base.entry_count().to_string(),
            if bundle.delta.is_some() { "yes" } else { "no" }.to_owned(),
            name.unwrap_or_default(),
        ]);
    }
    context.printer.text(&table(&rows))?;
    Ok(context.printer.json(json!({"crls": report}))?)
}
