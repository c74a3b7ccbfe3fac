//! `dockseal plugin install`, `list` and `uninstall` (spec/notation.md §8.4).

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use snapbox::str;
use zip::write::SimpleFileOptions;

use crate::Host;
use crate::tools::can_trace;

/// A script that says who it is, and leaves a trace.
fn plugin(name: &str, version: &str) -> String {
    format!(
        "#!/bin/sh\necho $1 >>ran\necho '{}'\n",
        json!({
            "name": name, "description": "a test", "version": version, "url": "u",
            "supportedContractVersions": ["1.0"], "capabilities": ["SIGNATURE_GENERATOR.RAW"],
        })
    )
}

fn zip(path: &Path, files: &[(&str, u32, &[u8])]) {
    let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, mode, content) in files {
        archive.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap();
}

fn header(name: &str, mode: u32, size: usize, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(mode);
    header.set_size(u64::try_from(size).unwrap());
    header.set_entry_type(kind);
    header.set_cksum();
    header
}

fn tgz(path: &Path, files: &[(&str, u32, &[u8])]) {
    let mut archive =
        tar::Builder::new(GzEncoder::new(File::create(path).unwrap(), Compression::fast()));
    for (name, mode, content) in files {
        let header = header(name, *mode, content.len(), tar::EntryType::Regular);
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}

fn install<'a>(source: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["plugin", "install", "--file", source], more].concat()
}

/// Refused, without a trace and without having run anything.
fn refused(host: &Host, source: &str, exit: i32, message: &str) {
    let output = host.run(&install(source, &[])).code(exit).stdout_eq(str![]);
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains(message), "{source}: {error}");
    assert!(!host.path("ran").exists(), "{source} was run");
    let left = fs::read_dir(host.path("config/plugins")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "{source}");
}

#[test]
fn programs_and_archives_are_installed_listed_and_removed() {
    let host = Host::empty();
    host.run(&["plugin", "list"]).code(0).stdout_eq(str![[r#"
NAME   DESCRIPTION   VERSION   CAPABILITIES   ERROR   

"#]]);
    let script = plugin("a", "1.0.0");
    host.write("notation-a", &script);
    fs::set_permissions(host.path("notation-a"), fs::Permissions::from_mode(0o755)).unwrap();
    host.run(&install("notation-a", &[])).code(0).stderr_eq(str![]).stdout_eq(str![[r#"
Successfully installed plugin a, version 1.0.0

"#]]);
    let files = [
        ("LICENSE", 0o644, &b"free"[..]),
        ("some/where/notation-b.c", 0o755, plugin("b.c", "2.0.0").as_bytes()),
    ]
    .map(|(name, mode, content)| (name, mode, content.to_vec()));
    let files = files.each_ref().map(|(name, mode, content)| (*name, *mode, content.as_slice()));
    tgz(&host.path("b.tar.gz"), &files);
    host.run(&["plugin", "add", "b.tar.gz", "--file"]).code(0).stdout_eq(str![[r#"
Successfully installed plugin b.c, version 2.0.0

"#]]);
    let mode = |path: &str| fs::metadata(host.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("config/plugins/b.c/notation-b.c"), 0o755);
    assert_eq!(mode("config/plugins/b.c/LICENSE"), 0o644);
    // Many tools make zip archives that don't say what is executable.
    zip(&host.path("d.zip"), &[("notation-d", 0o644, plugin("d", "0.1.0").as_bytes())]);
    // An installation that was killed.
    host.write("config/plugins/.dockseal-killed/new/notation-d", "half of it");
    host.run(&install("d.zip", &[])).code(0);
    assert!(!host.path("config/plugins/.dockseal-killed").exists());
    fs::create_dir_all(host.path("config/plugins/none")).unwrap();
    host.run(&["plugin", "ls"]).code(0).stderr_eq(str![]).stdout_eq(str![[r#"
NAME   DESCRIPTION   VERSION   CAPABILITIES                ERROR [..]
a      a test        1.0.0     [SIGNATURE_GENERATOR.RAW]   <nil> [..]
b.c    a test        2.0.0     [SIGNATURE_GENERATOR.RAW]   <nil> [..]
d      a test        0.1.0     [SIGNATURE_GENERATOR.RAW]   <nil> [..]
none                           []                          plugin executable file [HOST]/config/plugins/none/notation-none not found   

"#]]);
    host.run(&["plugin", "uninstall", "a"]).code(2).stdout_eq(str![]).stderr_eq(str![[r#"
error: there is no terminal to ask for confirmation
hint: dockseal plugin uninstall a --yes

"#]]);
    for name in ["a", "b.c", "d", "none"] {
        host.run(&["plugin", "rm", "-y", name])
            .code(0)
            .stdout_eq(format!("Successfully uninstalled plugin {name}\n"));
    }
    host.run(&["plugin", "remove", "a"]).code(20).stdout_eq(str![]);
    host.run(&["plugin", "uninstall", "-y", "../../config"]).code(2).stdout_eq(str![]);
    assert_eq!(fs::read_dir(host.path("config/plugins")).unwrap().count(), 0);
}

#[test]
fn only_older_versions_are_replaced_unless_forced() {
    let host = Host::empty();
    let put = |version: &str| {
        host.executable("notation-a", plugin("a", version).trim_start_matches("#!/bin/sh\n"));
    };
    put("1.9.0");
    host.run(&install("notation-a", &[])).code(0);
    host.write("config/plugins/a/more", "");
    host.run(&install("notation-a", &[])).code(20).stdout_eq(str![]).stderr_eq(str![[r#"
error: plugin a with version 1.9.0 already exists
hint: to replace what is installed: dockseal plugin install --file notation-a --force

"#]]);
    put("1.9.0-rc.1");
    host.run(&install("notation-a", &[])).code(20).stderr_eq(str![[r#"
error: the installing plugin a has version 1.9.0-rc.1, which is lower than the existing version 1.9.0
hint: to replace what is installed: dockseal plugin install --file notation-a --force

"#]]);
    put("next");
    host.run(&install("notation-a", &[])).code(20).stderr_eq(str![[r#"
error: versions "next" (new) and "1.9.0" (installed) can't be compared as SemVer
hint: to replace what is installed: dockseal plugin install --file notation-a --force

"#]]);
    assert!(host.path("config/plugins/a/more").exists(), "nothing has changed");
    put("1.10.0");
    host.run(&install("notation-a", &[])).code(0).stdout_eq(str![[r#"
Successfully updated plugin a from version 1.9.0 to 1.10.0

"#]]);
    assert!(!host.path("config/plugins/a/more").exists(), "all of the old one is gone");
    put("1.0.0");
    host.run(&install("notation-a", &["--force"])).code(0).stdout_eq(str![[r#"
Successfully updated plugin a from version 1.10.0 to 1.0.0

"#]]);
    host.executable("config/plugins/a/notation-a", "exit 1");
    put("2.0.0");
    let output = host.run(&install("notation-a", &[])).code(20);
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains("the plugin that is installed can't be compared with: "), "{error}");
    host.run(&install("notation-a", &["--force"])).code(0);
    let names: Vec<_> = fs::read_dir(host.path("config/plugins"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a"], "nothing is left behind");
}

#[test]
fn what_is_not_as_it_must_be_is_not_even_run() {
    let host = Host::empty();
    let script = plugin("a", "1.0.0");
    let script = script.as_bytes();
    let good = ("notation-a", 0o755, script);
    for (name, files, message) in [
        ("slip", vec![good, ("../evil", 0o644, b"")], "cannot contain '..', but found \"../evil\""),
        ("dots", vec![good, ("a..b", 0o644, b"")], "cannot contain '..'"),
        ("twice", vec![good, ("x/notation-a", 0o755, script)], "\"notation-a\" is in the archive"),
        ("two", vec![good, ("notation-b", 0o755, script)], "notation-a, notation-b"),
        ("none", vec![("a", 0o755, script)], "no plugin executable file was found"),
        ("name", vec![("notation-a b", 0o755, script)], "no plugin executable file was found"),
    ] {
        for make in [zip, tgz] as [fn(&Path, &[(&str, u32, &[u8])]); 2] {
            make(&host.path(name), &files);
            refused(&host, name, 16, message);
        }
    }
    // Entries that are no files.
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Fifo] {
        let file = File::create(host.path("link")).unwrap();
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        archive
            .append(&header("notation-a", 0o755, script.len(), tar::EntryType::Regular), script)
            .unwrap();
        archive.append(&header("lib", 0o755, 0, kind), &b""[..]).unwrap();
        archive.into_inner().unwrap().finish().unwrap();
        refused(&host, "link", 16, "\"lib\" in the archive is neither a regular file nor");
    }
    let mut archive = zip::ZipWriter::new(File::create(host.path("link")).unwrap());
    archive.add_symlink("notation-a", "/bin/sh", SimpleFileOptions::default()).unwrap();
    archive.finish().unwrap();
    refused(&host, "link", 16, "\"notation-a\" in the archive is neither a regular file nor");
    // Damage.
    for make in [zip, tgz] as [fn(&Path, &[(&str, u32, &[u8])]); 2] {
        make(&host.path("whole"), &[good, ("text", 0o644, &[b'x'; 5000])]);
        let whole = host.read("whole");
        host.write("cut", &whole[..whole.len() - 6]);
        refused(&host, "cut", 16, "archive can't be read");
        let mut damaged = whole.clone();
        // The first file's content, in both.
        damaged[60] ^= 0x10;
        host.write("damaged", damaged);
        refused(&host, "damaged", 16, "archive can't be read");
    }
    host.write("notation-text", "text");
    refused(&host, "notation-text", 16, "neither a .zip or .tar.gz archive nor an executable");
    host.executable("program", "");
    refused(&host, "program", 16, "neither a .zip or .tar.gz archive nor an executable");
    refused(&host, ".", 20, "is not a regular file");
    refused(&host, "nowhere", 20, "cannot read nowhere");
    tgz(&host.path("good"), &[good]);
    let wrong = "0".repeat(64);
    let output = host.run(&install("good", &["--sha256sum", &wrong])).code(13);
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains("checksum does not match user input. Expecting 0000"), "{error}");
    host.run(&install("good", &["--sha256sum", "abc"])).code(2).stdout_eq(str![]);
    assert!(!host.path("ran").exists());
    let (error, _) = error.split_once("\nhint: ").unwrap();
    let found = error.rsplit(' ').next().unwrap().to_ascii_uppercase();
    host.run(&install("good", &["--sha256sum", &found])).code(0);
    assert!(host.path("ran").exists());
}

/// A bomb is noticed when it goes off: 257 MiB that compress to less than one.
#[test]
fn s11_bombs_are_refused() {
    let host = Host::empty();
    let script = plugin("a", "1.0.0");
    let zeros = vec![0; 129 << 20];
    let files =
        [("notation-a", 0o755, script.as_bytes()), ("x", 0o644, &zeros), ("y", 0o644, &zeros)];
    for make in [zip, tgz] as [fn(&Path, &[(&str, u32, &[u8])]); 2] {
        make(&host.path("bomb"), &files);
        assert!(fs::metadata(host.path("bomb")).unwrap().len() < 4 << 20);
        refused(&host, "bomb", 16, "total file size reached the 256 MiB size limit");
    }
    let large = File::create(host.path("notation-large")).unwrap();
    large.set_len((256 << 20) + 1).unwrap();
    refused(&host, "notation-large", 16, "is larger than the limit of 256 MiB");
}

#[test]
fn a_plugin_that_does_not_say_who_it_is_is_not_installed() {
    let host = Host::empty();
    for (script, message) in [
        ("exit 1", "failed to get metadata of new plugin: plugin \"a\""),
        ("sleep 600", "has not ended after 1 seconds and was killed"),
        (plugin("b", "1").trim_start_matches("#!/bin/sh\n"), "must be \"notation-b\" instead of"),
    ] {
        host.executable("notation-a", script);
        let output = host.run(&install("notation-a", &["--plugin-timeout", "1s"])).code(20);
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(error.contains(message), "{script}: {error}");
        assert_eq!(fs::read_dir(host.path("config/plugins")).unwrap().count(), 0);
    }
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let host = Host::empty();
    let url = "https://example.com/notation-a.tar.gz";
    host.run(&["plugin", "install", "--url", url]).code(2).stdout_eq(str![]).stderr_eq(str![[r#"
error: dockseal works offline and loads no plugins from URLs
hint: load it elsewhere, then: dockseal plugin install --file FILE --sha256sum HEX

"#]]);
    for wrong in [&["plugin", "install"][..], &["plugin", "install", "x"], &["plugin", "uninstall"]]
    {
        host.run(wrong).code(2).stdout_eq(str![]);
    }
    // Both at once would be one or the other.
    host.run(&["plugin", "install", "--file", "--url", "x"]).code(2);
}

/// For strace: two directories can't be swapped, as on some file systems.
const UNABLE: [&str; 4] =
    ["-e", "trace=renameat2,?rename,renameat", "-e", "inject=renameat2:error=EINVAL"];

/// Runs an update with which something happens at a rename, the `number`th.
fn update_hit(host: &Host, source: &str, what: &str, number: &str) -> (Option<i32>, Vec<String>) {
    let inject = format!("inject=?rename,renameat:{what}:when={number}");
    host.trace(&[&UNABLE[..], &["-e", &inject]].concat(), &install(source, &["--force"]))
}

/// Updates the plugin, and says the how manieth rename takes the installed one away.
fn rename_away(host: &Host, source: &str) -> usize {
    let (status, trace) = host.trace(&UNABLE, &install(source, &["--force"]));
    assert_eq!(status, Some(0), "{trace:#?}");
    assert!(trace.iter().any(|line| line.contains("RENAME_EXCHANGE")), "{trace:#?}");
    let mut renames = trace.iter().filter(|line| !line.contains("renameat2("));
    renames.position(|line| line.contains("/old-a\"")).unwrap() + 1
}

/// Where two directories can't be swapped, an update that is killed may leave no plugin in its place:
/// the next change of plugins puts it back.
#[test]
fn a_killed_update_loses_no_plugin() {
    if !can_trace() {
        return;
    }
    let host = Host::ready();
    host.executable("old/notation-a", &plugin("a", "1.0.0"));
    host.executable("new/notation-a", &plugin("a", "2.0.0"));
    host.executable("notation-b", &plugin("b", "1.0.0"));
    let has = |version: &str| {
        let program = host.read("config/plugins/a/notation-a");
        String::from_utf8(program).unwrap().contains(&format!("\"version\":\"{version}\""))
    };
    host.run(&install("old/notation-a", &[])).code(0);
    let last = rename_away(&host, "new/notation-a") + 1;
    for number in 1..=last {
        host.run(&install("old/notation-a", &["--force"])).code(0);
        let (status, trace) =
            update_hit(&host, "new/notation-a", "signal=SIGKILL", &number.to_string());
        assert_eq!(status, None, "{trace:#?}");
        assert_eq!(host.path("config/plugins/a").exists(), number < last, "killed at {number}");
        host.run(&install("notation-b", &["--force"])).code(0);
        assert!(has("1.0.0"), "killed at {number}");
    }
    let left = fs::read_dir(host.path("config/plugins")).unwrap();
    assert_eq!(left.count(), 2, "nothing else is left");

    // Who removes it then does not get it back later.
    update_hit(&host, "new/notation-a", "signal=SIGKILL", &last.to_string());
    assert!(!host.path("config/plugins/a").exists());
    host.run(&["plugin", "uninstall", "--yes", "a"]).code(0);
    host.run(&install("notation-b", &["--force"])).code(0);
    assert!(!host.path("config/plugins/a").exists());
}

/// An update that can't be ended, and not be taken back either, keeps what was installed.
#[test]
fn a_failed_update_loses_no_plugin() {
    if !can_trace() {
        return;
    }
    let host = Host::ready();
    host.executable("notation-a", &plugin("a", "1.0.0"));
    host.executable("notation-b", &plugin("b", "1.0.0"));
    host.run(&install("notation-a", &[])).code(0);
    let from = format!("{}+", rename_away(&host, "notation-a") + 1);
    let (status, trace) = update_hit(&host, "notation-a", "error=EIO", &from);
    assert_eq!(status, Some(20), "{trace:#?}");
    assert!(!host.path("config/plugins/a").exists());
    host.run(&install("notation-b", &[])).code(0);
    assert!(host.path("config/plugins/a/notation-a").exists());
}
