//! `dockseal cache`

use snapbox::str;

use crate::{Host, MANIFEST};

const DIGEST: &str = "sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";

/// A host that only verifies gets signatures as files.
#[test]
fn signature_files_are_added() {
    let host = Host::ready();
    host.run(&["sign", "--local", "--output", "good.sig", MANIFEST]).code(0);
    host.run(&["cache", "list"]).code(0).stdout_eq("");
    let mut broken = host.read("good.sig");
    broken[60] ^= 1;
    host.write("broken.sig", broken);
    let assert = host.run(&["cache", "add", "good.sig", "broken.sig"]).stdout_eq("");
    assert!(!assert.get_output().status.success());
    host.run(&["cache", "list"]).code(0).stdout_eq("");
    host.run(&["cache", "add", "good.sig"]).code(0).stderr_eq("").stdout_eq(str![[r#"
sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 sha256:[..]

"#]]);
    host.run(&["verify", "--local", MANIFEST]).code(0);
}

#[test]
fn signatures_are_listed_and_removed() {
    let host = Host::ready();
    host.run(&["cache", "list"]).code(0).stdout_eq("").stderr_eq("");
    for format in ["jws", "cose"] {
        host.run(&["sign", "--local", "--signature-format", format, MANIFEST]).code(0);
    }
    let listed = || {
        let output = host.run(&["cache", "list", DIGEST]).code(0);
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        text.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let signatures = listed();
    assert_eq!(signatures.len(), 2);
    host.run(&["cache", "remove", DIGEST, &signatures[0]]).code(2).stdout_eq("").stderr_eq(str![[r#"
error: there is no terminal to ask for confirmation
hint: dockseal cache remove sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 sha256:[..] --yes

"#]]);
    host.run(&["cache", "remove", "-y", DIGEST, &signatures[0]]).code(0);
    assert_eq!(listed(), signatures[1..]);
    host.run(&["cache", "remove", "-y", DIGEST, DIGEST])
        .code(10)
        .stdout_eq(str![])
        .stderr_eq(str![[r#"
error: no signature sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 of sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707 is in the cache
hint: dockseal cache list sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707

"#]]);
    host.run(&["cache", "prune", "--all", "-y"]).code(0);
    assert!(listed().is_empty());
    host.run(&["verify", "--local", MANIFEST]).code(10);
}

/// security.md S3: an envelope that was altered in the cache is not taken for another one.
#[test]
fn s3_an_altered_cache_entry_is_refused() {
    let host = Host::ready();
    host.run(&["sign", "--local", MANIFEST]).code(0);
    let directory = host.path(&format!("cache/signature/sha256/{}/sha256", &DIGEST[7..]));
    let entry = std::fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&entry).unwrap();
    bytes.push(b' ');
    std::fs::remove_file(&entry).unwrap();
    std::fs::write(&entry, bytes).unwrap();
    host.run(&["verify", "--local", MANIFEST]).code(16).stdout_eq("");
}
