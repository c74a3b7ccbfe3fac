//! `--timestamp-url`: a timestamping authority of our own, `openssl ts` behind a loopback server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use dockseal::image::descriptor::Descriptor;
use dockseal::image::digest::Algorithm;
use dockseal::store::detached::DetachedFiles;
use dockseal::trust::files::PolicyFiles;
use dockseal::trust::store::TrustStores;
use dockseal::verify::{CandidateError, Verdict, Verifier, VerifyError, VerifyOptions};
use snapbox::str;

use crate::{Host, MANIFEST};

/// A root, an intermediate CA and two authorities: one that can't be revoked, one that could be.
const CONFIG: &str = "
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[plain]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[revocable]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
crlDistributionPoints = URI:http://crl.example/tsa.crl
[tsa]
default_tsa = authority
[authority]
serial = serial
crypto_device = builtin
digests = sha256, sha384, sha512
default_policy = 1.2.3.4
signer_digest = sha256
ess_cert_id_alg = sha256
";

/// What the authority does with a request.
#[derive(Clone, Copy)]
enum Behaviour {
    Answer,
    /// Answers with the certificate whose CRL is needed.
    Revocable,
    /// Answers another request about the same signature.
    OtherNonce,
    /// Answers a request about something else.
    OtherImprint,
    /// Refuses: `openssl ts` does so when a policy is asked for that it doesn't have.
    Refuse,
    Html,
    Fail,
    Redirect,
    Large,
    Garbage,
}

/// The files of the authorities below `tsa/` of a host.
pub(crate) struct Tsa {
    directory: PathBuf,
}

impl Tsa {
    pub(crate) fn new(host: &Host) -> Self {
        host.write("tsa/openssl.cnf", CONFIG);
        host.write("tsa/serial", "01\n");
        let tsa = Self { directory: host.path("tsa") };
        let key = "req -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        for name in ["root", "other"] {
            tsa.openssl(&format!(
                "{key} -x509 -days 2 -extensions root -subj /O=Lab/CN={name} -keyout {name}.key -out {name}.crt"
            ));
        }
        for (serial, (name, extensions)) in
            [("tsa", "plain"), ("revocable", "revocable"), ("inter", "root")]
                .into_iter()
                .enumerate()
        {
            tsa.openssl(&format!(
                "{key} -subj /O=Lab/CN={name} -keyout {name}.key -out {name}.csr"
            ));
            tsa.openssl(&format!(
                "x509 -req -in {name}.csr -CA root.crt -CAkey root.key -set_serial 1{serial} -days 1 -extfile openssl.cnf -extensions {extensions} -out {name}.crt"
            ));
        }
        tsa
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&self.directory)
            .output()
            .expect("these tests need the command openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The authority's answer to the request in a file of the host, in another one.
    pub(crate) fn answer_file(&self, request: &str, answer: &str) {
        self.openssl(&format!(
            "ts -reply -config openssl.cnf -queryfile ../{request} -signer tsa.crt -inkey tsa.key -out ../{answer}"
        ));
    }

    /// Serves requests as long as the test runs; the URL.
    fn serve(&self, behaviour: Behaviour) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tsa", listener.local_addr().unwrap());
        let directory = self.directory.clone();
        thread::spawn(move || {
            let tsa = Self { directory };
            for stream in listener.incoming() {
                tsa.answer(&mut stream.unwrap(), behaviour);
            }
        });
        url
    }

    fn answer(&self, stream: &mut TcpStream, behaviour: Behaviour) {
        let query = read_request(stream);
        fs::write(self.directory.join("query"), &query).unwrap();
        let imprint = imprint(&query);
        let (mut status, mut kind) = ("200 OK", "application/timestamp-reply");
        let reply = match behaviour {
            Behaviour::Answer => self.reply("tsa"),
            Behaviour::Revocable => self.reply("revocable"),
            Behaviour::OtherNonce => self.reply_to(&imprint, ""),
            Behaviour::OtherImprint => self.reply_to(&"0".repeat(imprint.len()), ""),
            Behaviour::Refuse => self.reply_to(&imprint, " -tspolicy 1.2.9"),
            Behaviour::Html => {
                kind = "text/html";
                self.reply("tsa")
            }
            Behaviour::Fail => {
                status = "500 Internal Server Error";
                self.reply("tsa")
            }
            Behaviour::Redirect => {
                status = "307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/";
                Vec::new()
            }
            Behaviour::Large => vec![0x30; (1 << 20) + 1],
            Behaviour::Garbage => b"\x30\x03\x02\x01".to_vec(),
        };
        let length = reply.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        // The client may have seen enough.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply));
    }

    fn reply(&self, name: &str) -> Vec<u8> {
        self.openssl(&format!(
            "ts -reply -config openssl.cnf -queryfile query -signer {name}.crt -inkey {name}.key -out reply"
        ));
        fs::read(self.directory.join("reply")).unwrap()
    }

    fn reply_to(&self, imprint: &str, options: &str) -> Vec<u8> {
        self.openssl(&format!("ts -query -digest {imprint} -sha256 -cert -out query{options}"));
        self.reply("tsa")
    }
}

/// The body of a request, which is as it has to be.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post /tsa http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/timestamp-query\r\n"), "{head}");
    let (_, length) = head.split_once("content-length: ").unwrap();
    let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    body
}

/// The SHA-256 in a request, hexadecimal.
fn imprint(query: &[u8]) -> String {
    let at = query.windows(2).position(|it| it == [0x04, 0x20]).unwrap() + 2;
    query[at..at + 32].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn host() -> (Host, Tsa) {
    let host = Host::ready();
    let tsa = Tsa::new(&host);
    (host, tsa)
}

/// A policy that asks for timestamps.
fn trust_tsa(host: &Host) {
    host.run(&["cert", "add", "-t", "tsa", "-s", "lab", "tsa/root.crt"]).code(0);
    host.policy(r#""strict""#);
    let policy = String::from_utf8(host.read("config/trustpolicy.oci.json")).unwrap();
    let policy = policy.replace(r#"["ca:notary"]"#, r#"["ca:notary","tsa:lab"]"#);
    host.write("config/trustpolicy.oci.json", policy);
}

#[test]
fn a_signature_is_timestamped_and_outlives_its_certificate() {
    let (host, tsa) = host();
    let url = tsa.serve(Behaviour::Answer);
    for format in ["jws", "cose"] {
        let file = format!("a.{format}.sig");
        let sign = ["sign", "--local", "--signature-format", format, "-o", &file, MANIFEST];
        host.run(&[&sign[..], &["-t", &url, "--timestamp-root-cert", "tsa/root.crt"]].concat())
            .code(0)
            .stderr_eq(str![[r#"
Timestamped at [TIME] by CN=tsa,O=Lab
Signature written to a.[..].sig

"#]]);
    }
    trust_tsa(&host);
    host.run(&["verify", "--local", "-s", "a.jws.sig", MANIFEST]).code(0);
    host.run(&["timestamp", "verify", "a.cose.sig"]).code(0);
    // The tsa stores do as well as a file.
    host.run(&["sign", "--local", "--timestamp", &url, "-o", "b.sig", MANIFEST]).code(0);
    host.run(&["blob", "sign", "--timestamp-url", &url, MANIFEST]).code(0);
    host.run(&["timestamp", "verify", &format!("{MANIFEST}.jws.sig")]).code(0);
    for file in ["a.jws.sig", "a.cose.sig", "b.sig"] {
        assert_eq!(verdict_in_twenty_years(&host, file), Ok(()), "{file}");
    }
    // Without a timestamp the leaf has expired by then.
    host.run(&["sign", "--local", "-o", "c.sig", MANIFEST]).code(0);
    assert_eq!(
        verdict_in_twenty_years(&host, "c.sig").unwrap_err(),
        "no timestamp countersignature was found in the signature envelope"
    );
    host.policy(r#""strict""#);
    let expired = verdict_in_twenty_years(&host, "a.jws.sig").unwrap_err();
    assert!(expired.contains("is not valid at 204"), "{expired}");
}

/// The signature with the countersignature takes the place of the one without, in the archive.
#[test]
fn a_signature_in_an_archive_is_timestamped_by_way_of_files() {
    let (host, tsa) = host();
    trust_tsa(&host);
    for name in ["graph-20.10-dup", "containerd-28-dup"] {
        host.write("image.tar", crate::archive::case(&format!("{name}/image.tar")));
        let output = host.run(&["-q", "sign", "--embed", "-e", "24h", "image.tar"]).code(0);
        let digest = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let reference = format!("image.tar@{}", digest.trim_end());
        let place = ["--oci-layout", &reference];
        host.run(&[&["timestamp", "request"], &place[..], &["-o", "a.tsq"]].concat()).code(0);
        tsa.answer_file("a.tsq", "a.tsr");
        host.run(&[&["timestamp", "attach"], &place[..], &["a.tsr"]].concat()).code(0);
        host.run(&[&["timestamp", "verify"], &place[..]].concat()).code(0);
        let output = host.run(&["--format", "json", "list", "image.tar"]).code(0);
        let document: serde_json::Value =
            serde_json::from_slice(&output.get_output().stdout).unwrap();
        assert_eq!(document["signatures"].as_array().unwrap().len(), 1, "{name}");
        host.run(&["verify", "image.tar"]).code(0);
    }
}

/// Signatures in layouts and in the cache get their timestamps where they are.
#[test]
fn a_signature_in_a_layout_is_timestamped_by_way_of_files() {
    let (host, tsa) = host();
    trust_tsa(&host);
    crate::parity::copy_unsigned(&host, "lay");
    for format in ["jws", "cose"] {
        let sign = ["sign", "--oci-layout", "--signature-format", format, "-e", "24h", "lay:v1"];
        host.run(&sign).code(0);
    }
    let listed = || {
        let output = host.run(&["--format", "json", "list", "--oci-layout", "lay:v1"]).code(0);
        let document: serde_json::Value =
            serde_json::from_slice(&output.get_output().stdout).unwrap();
        let list = document["signatures"].as_array().unwrap().clone();
        list.iter().map(|it| it.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let place = ["--oci-layout", "lay:v1"];
    let request = [&["timestamp", "request"], &place[..]].concat();
    host.run(&request).code(16).stdout_eq("").stderr_eq(str![[r#"
error: a request is about one signature
  lay@sha256:[..]
  lay@sha256:[..]
hint: dockseal timestamp request --oci-layout lay:v1 --only DIGEST

"#]]);
    let before = listed();
    for (at, digest) in before.iter().enumerate() {
        let name = format!("{at}.tsq");
        host.run(&[&request[..], &["--only", digest, "-o", &name]].concat()).code(0);
        tsa.answer_file(&name, &format!("{at}.tsr"));
    }
    let attach = [&["timestamp", "attach"], &place[..]].concat();
    // The answer finds its signature; the other one has none yet.
    host.run(&[&attach[..], &["1.tsr"]].concat()).code(0).stderr_eq("").stdout_eq(str![[r#"
Successfully timestamped lay@sha256:[..]: [TIME] by CN=tsa,O=Lab

"#]]);
    let between = listed();
    assert_eq!(between.len(), 2);
    assert!(between.contains(&before[0]) && !between.contains(&before[1]), "{between:?}");
    let verify = [&["timestamp", "verify"], &place[..]].concat();
    host.run(&verify).code(10).stdout_eq("").stderr_eq(str![[r#"
error: lay@sha256:[..]: no timestamp countersignature was found in the signature envelope
hint: dockseal help signatures

"#]]);
    host.run(&[&verify[..], &["--only", &between[1]]].concat()).code(0);
    host.run(&[&attach[..], &["0.tsr"]].concat()).code(0);
    host.run(&verify).code(0).stdout_eq(str![[r#"
Successfully verified timestamp of lay@sha256:[..]: [TIME] by CN=tsa,O=Lab
Successfully verified timestamp of lay@sha256:[..]: [TIME] by CN=tsa,O=Lab

"#]]);
    host.run(&["verify", "--oci-layout", "lay:v1"]).code(0);
    // Attached once more, it is the same signature and stays.
    let after = listed();
    host.run(&[&attach[..], &["0.tsr"]].concat()).code(0);
    let mut again = listed();
    again.sort_by_key(|it| after.iter().position(|other| other == it));
    assert_eq!(again, after);
    host.run(&[&attach[..], &["last.tsr"]].concat()).code(20);
    host.write("other.tsr", fs::read(crate::data("valid/ts/last.tsr")).unwrap());
    host.run(&[&attach[..], &["other.tsr"]].concat()).code(16).stdout_eq("").stderr_eq(str![[r#"
error: timestamp is not about this signature
hint: dockseal timestamp request SIGNATURE --output FILE.tsq

"#]]);
    let nothing = ["timestamp", "verify", "--oci-layout", "lay:v1", "--only", &before[0]];
    host.run(&nothing).code(10).stderr_eq(str![[r#"
error: no signature sha256:[..] is associated with lay:v1
hint: dockseal help signatures

"#]]);
    if let Some(binary) = std::env::var_os("NOTATION_BIN") {
        let (from, to) = ("config/trustpolicy.oci.json", "config/trustpolicy.json");
        fs::copy(host.path(from), host.path(to)).unwrap();
        assert!(crate::parity::notation_accepts(Path::new(&binary), &host, "lay:v1"));
    }
}

#[test]
fn a_signature_in_the_cache_is_timestamped_by_way_of_files() {
    let (host, tsa) = host();
    trust_tsa(&host);
    host.run(&["sign", "--local", MANIFEST]).code(0);
    let listed = || {
        let output = host.run(&["cache", "list"]).code(0);
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let before = listed();
    let manifest = before.split(' ').next().unwrap();
    host.run(&["timestamp", "request", "--cached", manifest, "-o", "a.tsq"]).code(0);
    tsa.answer_file("a.tsq", "a.tsr");
    host.run(&["timestamp", "attach", "--cached", manifest, "a.tsr"]).code(0);
    assert_eq!(listed().lines().count(), 1);
    assert_ne!(listed(), before);
    host.run(&["timestamp", "verify", "--cached", manifest]).code(0);
    host.run(&["verify", "--local", MANIFEST]).code(0);
    host.run(&["timestamp", "verify", "--cached", "v1"]).code(2).stderr_eq(str![[r#"
error: "v1" is not the digest of a manifest
hint: dockseal cache list

"#]]);
}

/// The verdict about the manifest after all certificates have expired.
fn verdict_in_twenty_years(host: &Host, file: &str) -> Result<(), String> {
    let config = host.path("config");
    let loaded = PolicyFiles::new(&config).load_oci().unwrap();
    let stores = TrustStores::new(&config);
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(20 * 365 * 24);
    let verifier =
        Verifier::new(loaded.policy.select(None).unwrap(), &stores, VerifyOptions::at(now));
    let manifest = host.read(MANIFEST);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let subject = Descriptor::of(media_type, Algorithm::Sha256, &manifest);
    match verifier.verify(&subject, &DetachedFiles::new(host.path(file), [])) {
        Ok(Verdict::Trusted(_)) => Ok(()),
        Err(VerifyError::NoneTrusted { best, .. }) => {
            assert!(!matches!(best.error, CandidateError::ContentMismatch { .. }));
            Err(best.error.to_string())
        }
        other => panic!("{other:?}"),
    }
}

/// Whatever the authority does wrong, nothing is written.
#[test]
fn s13_a_wrong_answer_is_no_signature() {
    let (host, tsa) = host();
    for (behaviour, code, expected) in [
        (Behaviour::OtherNonce, 16, "nonce of the timestamp is not the one of the request"),
        (Behaviour::OtherImprint, 16, "timestamp is not about this signature"),
        (Behaviour::Refuse, 20, "timestamping authority answered with status 2"),
        (Behaviour::Html, 20, "it answered with content type \"text/html\""),
        (Behaviour::Fail, 20, "it answered with HTTP status 500, expected 200"),
        (Behaviour::Redirect, 20, "it answered with HTTP status 307, redirects are not followed"),
        (Behaviour::Large, 20, "its answer is larger than 1048576 bytes"),
        (Behaviour::Garbage, 16, "timestamp token is malformed"),
        (Behaviour::Revocable, 14, "revocation status is unknown: no CRL of http://crl.example"),
    ] {
        let url = tsa.serve(behaviour);
        let root = ["--timestamp-root-cert", "tsa/root.crt"];
        let sign = ["sign", "--local", "-o", "a.sig", MANIFEST, "-t", &url];
        let output = host.run(&[&sign[..], &root].concat()).code(code).stdout_eq("");
        let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(said.starts_with(&format!("error: timestamp of {url}: ")), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!host.path("a.sig").exists(), "{expected}");
    }
    let url = tsa.serve(Behaviour::Revocable);
    let root = ["--timestamp-root-cert", "tsa/root.crt", "--insecure-skip-tsa-revocation"];
    host.run(&[&["sign", "--local", "-o", "a.sig", MANIFEST, "-t", &url][..], &root].concat())
        .code(0)
        .stderr_eq(str![[r#"
warning: certificates of the authority are not checked for revocation
Timestamped at [TIME] by CN=revocable,O=Lab
Signature written to a.sig

"#]]);
}

#[test]
fn the_root_is_exactly_one_and_a_root() {
    let (host, tsa) = host();
    let url = tsa.serve(Behaviour::Answer);
    host.write("tsa/two.crt", [host.read("tsa/root.crt"), host.read("tsa/other.crt")].concat());
    host.write("tsa/none.crt", "");
    let sign = |root: &str| {
        let arguments = ["-o", "a.sig", MANIFEST, "-t", &url, "--timestamp-root-cert", root];
        host.run(&[&["sign", "--local"][..], &arguments].concat())
    };
    sign("tsa/two.crt").code(12).stderr_eq(str![[r#"
error: found more than one certificates from "tsa/two.crt". Expecting single x509 root certificate in PEM or DER format from the file
hint: dockseal policy show

"#]]);
    for not_root in ["tsa/inter.crt", "tsa/tsa.crt"] {
        sign(not_root).code(12).stderr_eq(str![[r#"
error: certificate from "tsa/[..].crt" is not a root certificate. Expecting single x509 root certificate in PEM or DER format from the file
hint: dockseal policy show

"#]]);
    }
    sign("tsa/none.crt").code(12);
    sign("tsa/missing.crt").code(20);
    sign("tsa/other.crt").code(14).stderr_eq(str![[r#"
error: timestamp of http://127.0.0.1:[..]/tsa: timestamp countersignature: certificate "CN=tsa,O=Lab" of the timestamping authority leads to no trusted root
hint: dockseal help policy

"#]]);
    assert!(!host.path("a.sig").exists());
    host.run(&["sign", "--local", "-t", &url, MANIFEST]).code(12).stderr_eq(str![[r#"
error: no timestamping authority is trusted
hint: dockseal cert add --type tsa --store STORE ROOT.crt

"#]]);
}

#[test]
fn options_and_urls_that_make_no_sense_are_refused() {
    let (host, _) = host();
    let sign = ["sign", "--local", MANIFEST, "--timestamp-root-cert", "tsa/root.crt"];
    host.run(&sign).code(2).stderr_eq(str![[r#"
error: options about the timestamping authority need --timestamp-url URL
hint: dockseal sign --help

"#]]);
    for url in ["ftp://tsa.example", "http://user:secret@127.0.0.1:1", "tsa"] {
        host.run(&[&sign[..], &["-t", url]].concat()).code(2).stdout_eq("");
    }
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    host.run(&[&sign[..], &["-t", &format!("http://{port}")]].concat()).code(20).stderr_eq(str![[r#"
error: timestamp of http://127.0.0.1:[..]: io: Connection refused (os error 111)
hint: sign without --timestamp-url, then: dockseal timestamp request SIGNATURE -o FILE.tsq, send it, dockseal timestamp attach SIGNATURE FILE.tsr

"#]]);
    assert!(!host.path("cache/signature").exists());
}

/// The real notation accepts what was timestamped here, also when the certificate has expired.
/// Opt-in: `NOTATION_BIN` names a notation 1.3.
#[test]
fn notation_accepts_the_timestamp_of_an_expired_certificate() {
    let Some(binary) = std::env::var_os("NOTATION_BIN") else { return };
    let (host, tsa) = host();
    let url = tsa.serve(Behaviour::Answer);
    let lifetime = Duration::from_secs(30);
    let expires = short_lived_key(&host, lifetime);
    trust_tsa(&host);
    host.run(&["cert", "add", "-t", "ca", "-s", "notary", "short.root.crt"]).code(0);
    crate::parity::copy_unsigned(&host, "lay");
    let key = ["--key-file", "short.key", "--cert-file", "short.crt"];
    for format in ["jws", "cose"] {
        let sign = ["sign", "--oci-layout", "lay:v1", "-t", &url, "--signature-format", format];
        host.run(&[&sign[..], &key].concat()).code(0);
    }
    let accepts = || {
        let output = Command::new(&binary)
            .args(["verify", "--oci-layout", "--scope", "local/x", "lay:v1"])
            .current_dir(host.path(""))
            .env("NOTATION_EXPERIMENTAL", "1")
            .env("NOTATION_CONFIG", host.path("config"))
            .env("NOTATION_CACHE", host.path("cache"))
            .env("XDG_CONFIG_HOME", host.path(""))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    fs::rename(host.path("config/trustpolicy.oci.json"), host.path("config/trustpolicy.json"))
        .unwrap();
    let verdict = accepts();
    assert!(verdict.0, "{}", verdict.1);
    while std::time::SystemTime::now() <= expires {
        thread::sleep(Duration::from_millis(200));
    }
    let verdict = accepts();
    assert!(verdict.0, "{}", verdict.1);
    host.run(&["verify", "--oci-layout", "--scope", "local/x", "lay:v1"]).code(0);
    // Without the authority both see that it has expired.
    let path = "config/trustpolicy.json";
    let policy = String::from_utf8(host.read(path)).unwrap().replace(r#","tsa:lab""#, "");
    host.write(path, policy);
    assert!(!accepts().0);
    host.run(&["verify", "--oci-layout", "--scope", "local/x", "lay:v1"]).code(14);
}

/// A key whose certificate is valid for a moment only; when it ends.
fn short_lived_key(host: &Host, lifetime: Duration) -> std::time::SystemTime {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    };
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let params = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in [
            (DnType::CountryName, "XX"),
            (DnType::StateOrProvinceName, "Lab"),
            (DnType::OrganizationName, "Lab"),
            (DnType::CommonName, name),
        ] {
            params.distinguished_name.push(kind, value);
        }
        params
    };
    let root_key = KeyPair::generate().unwrap();
    let mut root = params("short root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_certificate = root.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = params("short");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let end = Duration::from_secs((since_epoch + lifetime).as_secs());
    leaf.not_before = epoch + (end - lifetime - Duration::from_secs(60));
    leaf.not_after = epoch + end;
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&root, &root_key)).unwrap();
    host.write("short.key", key.serialize_pem());
    host.write("short.crt", leaf.pem() + &root_certificate.pem());
    host.write("short.root.crt", root_certificate.pem());
    // Certificates are valid to the end of their last second.
    std::time::UNIX_EPOCH + end + Duration::from_secs(1)
}
