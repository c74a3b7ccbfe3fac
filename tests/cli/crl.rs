//! `dockseal crl`, and revocation in `dockseal verify` (spec/notation.md §5.5).

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use snapbox::str;

use crate::{Host, MANIFEST};

const URL: &str = "http://crl.example/root.crl";
const VERIFY: [&str; 5] = ["verify", "--local", "-s", "a.sig", MANIFEST];

fn list(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/crl").join(name)
}

/// A host with a signature by a certificate that can be revoked.
fn host() -> Host {
    let host = Host::ready();
    let command = host.command(&["cert", "add", "-t", "ca", "-s", "notary"]);
    std::fs::copy(list("root.crt"), host.path("revoking.crt")).unwrap();
    command.arg("revoking.crt").assert().code(0);
    host.command(&["sign", "--local", "-o", "a.sig", MANIFEST, "--key-file"])
        .arg(list("leaf.key"))
        .arg("--cert-file")
        .arg(list("leaf.chain.crt"))
        .assert()
        .code(0);
    host
}

fn import(host: &Host, name: &str) {
    host.command(&["crl", "import", "--url", URL]).arg(list(name)).assert().code(0);
}

#[test]
fn s13_without_data_revocation_is_unknown_and_the_policy_decides() {
    let host = host();
    host.run(&VERIFY).code(15).stdout_eq(str![]).stderr_eq(str![[r#"
error: signature a.sig is not trusted: signing certificate with subject "CN=revocable,O=Notary,ST=WA,C=US" revocation status is unknown: no CRL of http://crl.example/root.crl
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal crl import --url http://crl.example/root.crl FILE.crl

"#]]);
    host.policy(r#""permissive""#);
    host.run(&VERIFY).code(0).stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]).stderr_eq(str![[r#"
warning: revocation was set to "log" and failed with error: signing certificate with subject "CN=revocable,O=Notary,ST=WA,C=US" revocation status is unknown: no CRL of http://crl.example/root.crl
warning: trust policy statement "all" has level permissive and does not enforce authenticTimestamp, expiry, revocation
signer: CN=revocable,O=Notary,ST=WA,C=US
policy: statement "all" (permissive) of [HOST]/config/trustpolicy.oci.json
checked: integrity, authenticity, expiry, authenticTimestamp, content, userMetadata; failed: revocation

"#]]);
    host.policy(r#""strict","override":{"revocation":"skip"}"#);
    host.run(&VERIFY).code(0);
}

#[test]
fn lists_of_the_cache_decide() {
    let host = host();
    import(&host, "good.crl");
    host.run(&VERIFY).code(0).stdout_eq(str![[r#"
Successfully verified signature for net-monitor_v1.json@sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    host.run(&["crl", "list"]).code(0).stdout_eq(str![[r#"
ISSUER                                 THIS UPDATE            NEXT UPDATE            ENTRIES   DELTA   FILE                                                               
CN=revoking root,O=Notary,ST=WA,C=US   [TIME]   [TIME]   0         no      3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45   

"#]]).stderr_eq(str![]);
    import(&host, "revoked.crl");
    host.run(&VERIFY).code(15).stdout_eq(str![]).stderr_eq(str![[r#"
error: signature a.sig is not trusted: signing certificate with subject "CN=revocable,O=Notary,ST=WA,C=US" is revoked
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal inspect a.sig

"#]]);
    host.command(&["crl", "import", "--force", "--url", URL])
        .arg(list("expired.crl"))
        .assert()
        .code(0);
    host.run(&VERIFY).code(15).stdout_eq(str![]).stderr_eq(str![[r#"
error: signature a.sig is not trusted: signing certificate with subject "CN=revocable,O=Notary,ST=WA,C=US" revocation status is unknown: CRL of http://crl.example/root.crl: CRL expired at [TIME]
  policy: statement "all" (strict) of [HOST]/config/trustpolicy.oci.json
hint: dockseal crl import --url http://crl.example/root.crl FILE.crl

"#]]);
}

#[test]
fn lists_from_files_decide_and_revoked_wins() {
    let host = host();
    let verify = |lists: &[&str]| {
        let mut command = host.command(&VERIFY);
        for name in lists {
            command = command.arg("--crl").arg(list(name));
        }
        command.assert()
    };
    verify(&["good.crl"]).code(0);
    verify(&["good.crl.pem"]).code(0);
    verify(&["expired.crl"]).code(15);
    verify(&["expired.crl", "good.crl"]).code(0);
    verify(&["good.crl", "revoked.crl"]).code(15);
    import(&host, "good.crl");
    verify(&["revoked.crl"]).code(15);
    verify(&["root.crt"]).code(16);
}

#[test]
fn what_is_no_list_is_not_imported() {
    let host = host();
    host.command(&["crl", "import", "--url", URL])
        .arg(list("root.crt"))
        .assert()
        .code(16)
        .stdout_eq("");
    let import = host.command(&["crl", "import", "--url", URL]).arg(list("expired.crl")).assert();
    import
        .code(0)
        .stdout_eq(str![[r#"
Successfully imported the CRL of http://crl.example/root.crl

"#]])
        .stderr_eq(str![[r#"
warning: the CRL expired at [TIME], it will not be believed
wrote [HOST]/cache/crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45

"#]]);
}

/// The cache is notation's: its file names and members.
#[test]
fn the_cache_has_notations_form() {
    let host = host();
    import(&host, "good.crl");
    // printf %s http://crl.example/root.crl | sha256sum
    let name = "3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45";
    let bytes = host.read(&format!("cache/crl/{name}"));
    let entry: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert!(entry["baseCRL"].as_str().unwrap().starts_with("MI"));
    assert!(entry.get("deltaCRL").is_none());
}

/// What was revoked stays revoked (a rollback): only on demand an older list replaces a newer one.
#[test]
fn an_older_list_replaces_no_newer_one() {
    let host = host();
    import(&host, "revoked.crl");
    host.run(&VERIFY).code(15);
    let good = || host.command(&["crl", "import", "--url", URL]).arg(list("good.crl"));
    good().assert().code(12).stdout_eq("").stderr_eq(str![[r#"
error: [REPO]/testdata/crl/good.crl is older than the CRL of http://crl.example/root.crl in the cache
  cached: CRL number 0x03 of CN=revoking root,O=Notary,ST=WA,C=US, issued at [TIME]
  found:  CRL number 0x01 of CN=revoking root,O=Notary,ST=WA,C=US, issued at [TIME]
hint: if the older one is meant all the same: dockseal crl import --url http://crl.example/root.crl [REPO]/testdata/crl/good.crl --force

"#]]);
    host.run(&VERIFY).code(15);
    // The same list again is no other one.
    import(&host, "revoked.crl");
    // Of another URL nothing is known.
    host.command(&["crl", "import", "--url", "http://crl.example/other.crl"])
        .arg(list("good.crl"))
        .assert()
        .code(0);
    good().arg("--force").assert().code(0);
    host.run(&VERIFY).code(0);
    // What can't be read is no newer list.
    let name = "3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45";
    host.write(&format!("cache/crl/{name}"), "no list");
    import(&host, "good.crl");
    host.run(&VERIFY).code(0);
}

/// Lists as anybody can write them: who imports one does not have the certificate that verifies it.
struct Made {
    issuer: &'static str,
    number: Option<u8>,
    base: Option<u8>,
    day: u8,
}

/// A complete list of the authority: its number, and the day of its issue.
const fn complete(number: u8, day: u8) -> Made {
    Made { issuer: "authority", number: Some(number), base: None, day }
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).unwrap();
    // The second form is for lengths that do not fit into seven bits.
    let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
    [vec![tag], length, content].concat()
}

impl Made {
    fn der(&self) -> Vec<u8> {
        let extension = |id: u8, number: u8| {
            let value = tlv(0x04, &[&tlv(0x02, &[&[number]])]);
            tlv(0x30, &[&[0x06, 3, 0x55, 0x1d, id], &value])
        };
        // ecdsa-with-SHA256; CN.
        let algorithm = tlv(0x30, &[&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]]);
        let name =
            tlv(0x30, &[&[0x06, 3, 0x55, 0x04, 0x03], &tlv(0x0c, &[self.issuer.as_bytes()])]);
        let name = tlv(0x30, &[&tlv(0x31, &[&name])]);
        let this_update = tlv(0x17, &[format!("2601{:02}000000Z", self.day).as_bytes()]);
        let next_update = tlv(0x17, &[b"460101000000Z"]);
        let number = self.number.map(|number| extension(20, number)).unwrap_or_default();
        let base = self.base.map(|number| extension(27, number)).unwrap_or_default();
        let extensions = match [number, base].concat() {
            none if none.is_empty() => none,
            some => tlv(0xa0, &[&tlv(0x30, &[&some])]),
        };
        let signed =
            tlv(0x30, &[&[0x02, 1, 1], &algorithm, &name, &this_update, &next_update, &extensions]);
        tlv(0x30, &[&signed, &algorithm, &tlv(0x03, &[&[0, 1, 2, 3]])])
    }
}

impl Host {
    /// Imports a list that was made; what is said on stderr.
    fn import_made(&self, list: &Made, delta: Option<&Made>, more: &[&str], code: i32) -> String {
        self.write("made.crl", list.der());
        let mut args = vec!["crl", "import", "--url", URL, "made.crl"];
        if let Some(delta) = delta {
            self.write("delta.crl", delta.der());
            args.extend(["--delta", "delta.crl"]);
        }
        let output = self.run(&[&args[..], more].concat()).code(code).get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Neither the number nor the date goes back, so that no row of lists leads to an older one.
#[test]
fn no_row_of_lists_leads_back() {
    let host = host();
    let numberless = |day| Made { number: None, ..complete(0, day) };
    let older = "made.crl is older than the CRL of http://crl.example/root.crl in the cache";
    for (list, code, expected) in [
        (numberless(5), 0, ""),
        (numberless(4), 12, older),
        (complete(8, 10), 0, ""),
        // The same again, and another of the same place in the row.
        (complete(8, 10), 0, ""),
        (complete(9, 9), 12, older),
        (complete(7, 11), 12, older),
        (
            numberless(12),
            12,
            "made.crl has no number, unlike the CRL of http://crl.example/root.crl",
        ),
        (complete(3, 3), 12, older),
        (complete(9, 11), 0, ""),
    ] {
        let said = host.import_made(&list, None, &[], code);
        assert!(said.contains(expected), "{said}");
        assert!(code == 0 || said.contains("--force\n"), "{said}");
    }
    let delta = |number, base, day| Made { base: Some(base), ..complete(number, day) };
    // What a delta list told is not forgotten either.
    host.import_made(&complete(9, 11), Some(&delta(12, 9, 14)), &[], 0);
    host.import_made(&complete(9, 11), None, &[], 12);
    host.import_made(&complete(12, 14), None, &[], 0);
    host.import_made(&complete(3, 3), None, &["--force"], 0);
}

/// Another issuer's list would answer nothing, and keep the right one away.
#[test]
fn another_issuers_list_is_asked_for() {
    let host = host();
    host.import_made(&complete(8, 10), None, &[], 0);
    let other = Made { issuer: "somebody", ..complete(1, 28) };
    let said = host.import_made(&other, None, &[], 12);
    snapbox::assert_data_eq!(
        said,
        str![[r#"
error: made.crl has another issuer than the CRL of http://crl.example/root.crl in the cache
  expected issuer: CN=authority
  found issuer:    CN=somebody
hint: if the issuer has changed: dockseal crl import --url http://crl.example/root.crl made.crl --force

"#]]
    );
    host.import_made(&complete(9, 11), None, &[], 0);
    host.import_made(&other, None, &["--force"], 0);
    host.import_made(&complete(10, 12), None, &[], 12);
}

/// A delta list that verification would refuse is not imported, even with --force.
#[test]
fn a_delta_list_has_to_continue_the_list() {
    let host = host();
    let delta = |number, base| Made { base: Some(base), ..complete(number, 20) };
    for (base, delta, expected) in [
        (complete(3, 3), delta(9, 5), "it starts from a later base"),
        (complete(8, 10), delta(8, 5), "its number is not greater"),
        (complete(8, 10), Made { issuer: "somebody", ..delta(9, 8) }, "it has another issuer"),
        (Made { number: None, ..complete(0, 10) }, delta(9, 8), "a CRL number is missing"),
    ] {
        for more in [&[][..], &["--force"]] {
            let said = host.import_made(&base, Some(&delta), more, 16);
            let start = "error: delta.crl: delta CRL does not continue the base CRL: ";
            assert!(said.contains(&format!("{start}{expected}\n")), "{said}");
        }
    }
    assert!(!host.path("cache/crl").exists(), "nothing was imported");
    host.import_made(&complete(8, 10), Some(&delta(9, 5)), &[], 0);
    // What notation cached may be such a list: it is shown, and counts without the delta list.
    let name = "cache/crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45";
    let text = |list: &Made| STANDARD.encode(list.der());
    let other = Made { issuer: "somebody", ..delta(99, 8) };
    let entry = json!({"baseCRL": text(&complete(8, 10)), "deltaCRL": text(&other)});
    host.write(name, entry.to_string());
    let listed = host.run(&["crl", "list"]).code(0).get_output().stdout.clone();
    assert!(String::from_utf8(listed).unwrap().contains("CN=authority"));
    host.import_made(&complete(7, 10), None, &[], 12);
    host.import_made(&complete(9, 11), None, &[], 0);
}

/// Kits go by the same rule; whom a kit may replace is decided by its version.
#[test]
fn a_kits_list_goes_not_back_either() {
    let sender = crate::kit::sender();
    let host = crate::kit::receiver(&sender);
    let name = "cache/crl/3a6c7c43216426d6c40e2028dd4dda2d7a1144556aa08e95082925e8c5c31d45";
    let numberless = Made { number: None, ..complete(0, 12) };
    let other = Made { issuer: "somebody", ..complete(1, 28) };
    let mut version = 0;
    let mut import = |list: &Made, more: &[&str], action: &str| {
        version += 1;
        sender.write("made.crl", list.der());
        let add = format!("{URL}=made.crl");
        let options = ["--add-crl", &add];
        host.write("kit.tar", crate::kit::export(&sender, &version.to_string(), &options));
        let import: &[&str] = if version == 1 { &crate::kit::FIRST } else { &crate::kit::NEXT };
        let output = host.run(&[import, more].concat()).code(0).get_output().stdout.clone();
        let said = String::from_utf8(output).unwrap();
        assert!(said.contains(&format!("{action:<13}crl/3a6c")), "{action}: {said}");
        host.read(name)
    };
    let first = import(&complete(8, 10), &[], "add");
    for (list, action) in [
        (complete(9, 9), "keep-newer"),
        (complete(7, 11), "keep-newer"),
        (numberless, "keep-newer"),
    ] {
        assert_eq!(import(&list, &["--allow-rollback"], action), first);
    }
    assert_eq!(import(&other, &[], "keep-foreign"), first);
    let second = import(&complete(9, 11), &[], "change");
    assert_ne!(second, first);
    assert_ne!(import(&other, &["--allow-rollback"], "change"), second);
}
