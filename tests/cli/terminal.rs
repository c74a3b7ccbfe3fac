//! Progress on a terminal: what is drawn while work stands still for as long as it takes to look,
//! and what is left when it is done, or interrupted.
//!
//! The commands run on a pseudo terminal. What they write to it goes through an emulator of the few
//! things that they may make a terminal do, and nothing else (`screen`).

mod screen;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dockseal::image::digest::Digest;
use rustix::process::Signal;
use serde_json::json;

use self::screen::{Change, Screen, Session};
use crate::Host;
#[cfg(feature = "docker")]
use crate::engine::{self, End, Loading, Mock};

/// More than pipes and sockets hold, so that what reads it waits for what comes.
const LAYER: usize = 3 << 20;

/// An archive of `docker save` with so many layers, and the beginnings of their names.
fn archive(layers: usize, size: usize) -> (Vec<u8>, Vec<String>) {
    let layer = |index: usize| {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        let content = vec![u8::try_from(index).unwrap(); size];
        header.set_size(size as u64);
        tar.append_data(&mut header, "file", content.as_slice()).unwrap();
        tar.into_inner().unwrap()
    };
    let layers: Vec<_> = (0..layers).map(layer).collect();
    let names: Vec<_> = layers.iter().map(|layer| Digest::sha256(layer).hex().to_owned()).collect();
    let members: Vec<_> = names.iter().map(|name| format!("{name}/layer.tar")).collect();
    let diff_ids: Vec<_> = names.iter().map(|name| format!("sha256:{name}")).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string();
    let config_name = format!("{}.json", Digest::sha256(config.as_bytes()).hex());
    let manifest =
        json!([{"Config": config_name, "RepoTags": ["lab/slow:1"], "Layers": members}]).to_string();
    let documents =
        [(config_name, config.into_bytes()), ("manifest.json".to_owned(), manifest.into_bytes())];
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members.into_iter().zip(layers).chain(documents) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    (tar.into_inner().unwrap(), names.iter().map(|name| name[..12].to_owned()).collect())
}

/// Everything below a directory of the host.
fn files(host: &Host, directory: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![host.path(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => directories.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    files
}

/// Whether anything is left of what was drawn.
fn has_progress(text: &str) -> bool {
    ["%", " eta ", "iB/", "/4 blobs"].iter().any(|it| text.contains(it))
}

const PLAIN: Change<'_> = &|_| {};

/// A layer that stands still has a line with its name, how much of it is done, the rate and the
/// remaining time; all together have one below it. At the end nothing of that can be read.
#[test]
fn a_line_for_each_layer_that_goes_away() {
    let (image, names) = archive(2, LAYER);
    let (first, rest) = image.split_at(LAYER + LAYER / 2);
    let host = Host::empty();
    let quiet = Session::start(&host, (80, 24), PLAIN, "manifest --no-cache --no-progress -");
    let (code, expected) = quiet.end(&image);
    assert_eq!(code, Some(0), "{expected}");
    assert!(expected.contains("schemaVersion"), "{expected}");
    for (size, line, total) in [
        ((80, 24), r" +\[=+> +\] +[0-9.]+ MiB/3\.00 MiB +[0-9.]+ .?i?B/s eta +[0-9]+[a-z]", "3"),
        ((60, 20), r" +\[=+> +\] +[0-9]+% +[0-9.]+ .?i?B/s eta +[0-9]+[a-z]", "3"),
        ((40, 10), r" +[0-9]+% +[0-9.]+ .?i?B/s eta +[0-9]+[a-z]", "3"),
        ((24, 3), r" +[0-9]+%", ""),
    ] {
        let mut session = Session::start(&host, size, PLAIN, "manifest --no-cache -");
        session.send(first);
        let text = session.shows(&format!("{}{line}", names[1]));
        assert!(!text.contains(&names[0]), "it is done:\n{text}");
        session.shows(&format!(r"(?m)^total .*{total}.*s"));
        let (code, text) = session.end(rest);
        assert_eq!(code, Some(0), "{text}");
        if size == (80, 24) {
            assert_eq!(text, expected);
        }
        assert!(!has_progress(&text), "{text}");
    }
}

/// Who waits for somebody else is told so.
#[test]
fn nothing_has_come_yet() {
    let (image, _) = archive(1, 1000);
    let host = Host::empty();
    let session = Session::start(&host, (80, 24), PLAIN, "digest -");
    session.shows(r"(?m)^waiting +[-|/\\] +[0-9]+s$");
    let (code, text) = session.end(&image);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("waiting"), "{text}");
}

/// Where nobody wants to see it, nothing is drawn however long it takes.
#[test]
fn nothing_is_drawn_for_who_does_not_look() {
    let (image, _) = archive(2, LAYER);
    let (first, rest) = image.split_at(LAYER + LAYER / 2);
    let host = Host::empty();
    let to_pipe = |command: &mut Command| {
        command.stderr(Stdio::piped());
    };
    let dumb = |command: &mut Command| {
        command.env("TERM", "dumb");
    };
    let no_term = |command: &mut Command| {
        command.env_remove("TERM");
    };
    let cases: [(Change<'_>, &str, bool); 7] = [
        (PLAIN, "digest --no-cache -", true),
        (PLAIN, "digest --no-cache --no-progress -", false),
        (PLAIN, "digest --no-cache --quiet -", false),
        (PLAIN, "digest --no-cache --format json -", false),
        (&dumb, "digest --no-cache -", false),
        (&no_term, "digest --no-cache -", false),
        (&to_pipe, "digest --no-cache -", false),
    ];
    let mut sessions: Vec<_> = cases
        .iter()
        .map(|(change, line, _)| Session::start(&host, (80, 24), *change, line))
        .collect();
    sessions.iter_mut().for_each(|session| session.send(first));
    // The first is as slow as the others, and draws.
    sessions[0].shows("eta");
    thread::sleep(Duration::from_millis(500));
    for (session, (_, line, is_drawn)) in sessions.into_iter().zip(cases) {
        let output = Arc::clone(&session.output);
        let (code, text) = session.end(rest);
        assert_eq!(code, Some(0), "{line}: {text}");
        let output = output.lock().unwrap();
        let output = String::from_utf8_lossy(&output);
        assert_eq!(output.contains("\u{1b}[2K"), is_drawn, "{line}: {output}");
        assert_eq!(output.contains(" eta "), is_drawn, "{line}: {output}");
    }
}

/// Thirty archives that stand still, on terminals that have no room for so many lines.
#[test]
fn lines_are_no_more_than_the_terminal_has() {
    let (image, names) = archive(1, LAYER);
    let host = Host::ready();
    let pipes: Vec<_> = (0..30).map(|index| format!("{index}.pipe")).collect();
    for (size, most) in [((80, 24), 12), ((40, 10), 8)] {
        for pipe in &pipes {
            let made = Command::new("mkfifo").arg(host.path(pipe)).status().unwrap();
            assert!(made.success());
        }
        let line = format!("verify -j 30 {}", pipes.join(" "));
        let session = Session::start(&host, size, PLAIN, &line);
        let writers: Vec<_> = pipes
            .iter()
            .map(|pipe| {
                let mut pipe = File::options().write(true).open(host.path(pipe)).unwrap();
                pipe.write_all(&image[..LAYER / 2]).unwrap();
                pipe
            })
            .collect();
        let lines = format!("(?m)({} .*eta.*\n){{{most}}}0/30 ", names[0]);
        let text = session.shows(&lines);
        assert_eq!(text.matches("eta").count(), most, "{text}");
        // Those that go make room for others.
        let mut writers = writers.into_iter();
        writers.by_ref().take(15).for_each(drop);
        session.shows(&lines.replace("0/30", "15/30"));
        drop(writers);
        let (code, text) = session.end(b"");
        assert!(code.is_some_and(|code| code > 0), "none is whole: {text}");
        assert!(!has_progress(&text), "{text}");
        pipes.iter().for_each(|pipe| fs::remove_file(host.path(pipe)).unwrap());
    }
}

/// An engine that takes its time, in both directions.
#[cfg(feature = "docker")]
#[test]
fn an_engine_that_is_slow() {
    let host = Host::ready();
    let (image, names) = archive(3, LAYER);
    host.write("image.tar", &image);
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    let mock = || {
        let mut mock = Mock::graph("go1.19.8", "graph-20.10-dup");
        let name = tar::Archive::new(&image[..])
            .entries()
            .unwrap()
            .map(|it| it.unwrap().path().unwrap().display().to_string())
            .find(|name| name.ends_with(".json") && name != "manifest.json");
        let id = name.unwrap().replace(".json", "");
        let told = mock.image.as_mut().unwrap();
        told["Id"] = json!(format!("sha256:{id}"));
        told["RepoTags"] = json!(["lab/slow:1"]);
        mock.archive.clone_from(&image);
        mock
    };
    let on = |engine: &engine::Running| {
        let host = engine.host();
        move |command: &mut Command| {
            command.env("DOCKER_HOST", &host);
        }
    };

    let mut saving = mock();
    saving.end = End::Held(LAYER + LAYER / 2, host.path("go-on"));
    let engine = engine::start(saving);
    let line = "digest --no-cache docker-daemon:lab/slow:1";
    let session = Session::start(&host, (80, 24), &on(&engine), line);
    session.shows(&format!(r"{} .*/3\.00 MiB .* eta .*\ntotal ", names[1]));
    host.write("go-on", "");
    let (code, text) = session.end(b"");
    assert_eq!(code, Some(0), "{text}");
    assert!(!has_progress(&text), "{text}");

    let mut loading = mock();
    loading.loading = Loading::Held(host.path("read-on"));
    let engine = engine::start(loading);
    let line = "load image.tar --signature a.sig --into docker";
    let session = Session::start(&host, (80, 24), &on(&engine), line);
    let text = session.shows(r"[0-9a-f]{12} .*/3\.00 MiB .* eta .*\n[012]/4 blobs ");
    assert!(!text.contains("Loaded"), "{text}");
    host.write("read-on", "");
    let (code, text) = session.end(b"");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Loaded lab/slow:1") && !has_progress(&text), "{text}");

    // An engine that is sent something when the user has enough of it.
    fs::remove_file(host.path("read-on")).unwrap();
    let mut loading = mock();
    loading.loading = Loading::Held(host.path("read-on"));
    let engine = engine::start(loading);
    let session = Session::start(&host, (80, 24), &on(&engine), line);
    session.shows("/4 blobs ");
    interrupted(&host, session);
    host.write("read-on", "");
}

/// Interrupts a command that draws: it ends by the signal, leaves no file, and the cursor where the
/// next line can begin.
fn interrupted(host: &Host, session: Session) {
    let before: Vec<_> = files(host, "");
    let size = session.size;
    let (signal, output) = session.interrupt();
    assert_eq!(signal, Some(Signal::INT.as_raw()));
    assert_eq!(files(host, "tmp"), [] as [PathBuf; 0]);
    assert_eq!(files(host, ""), before);
    let text = String::from_utf8_lossy(&output);
    assert!(!text.contains("\u{1b}[?"), "the cursor was hidden: {text}");
    let mut with_prompt = output.clone();
    with_prompt.extend(b"^C");
    let last = Screen::of(&with_prompt, size).text();
    assert!(last.ends_with("\n^C"), "{last}");
}

/// Whatever is read, copied or written when the user has enough of it: no file stays.
#[test]
fn an_interrupt_leaves_nothing() {
    let (image, names) = archive(2, LAYER);
    let host = Host::ready();
    host.write("image.tar", &image);
    host.run(&["-q", "sign", "-o", "a.sig", "image.tar"]).code(0);
    fs::create_dir_all(host.path("tmp")).unwrap();
    let before = files(&host, "");
    for (line, shown) in [
        ("manifest -", &*names[1]),
        ("manifest -o manifest.json -", &names[1]),
        ("manifest --spool -", "reading"),
        ("verify -s a.sig -", &names[1]),
        ("load -s a.sig -o clean.tar -", "reading"),
        ("load -s a.sig --into docker -", "reading"),
        ("kit import -", "reading"),
        ("blob sign -o b.sig -", "reading"),
    ] {
        if line.contains("docker") && cfg!(not(feature = "docker")) {
            continue;
        }
        let mut session = Session::start(&host, (80, 24), PLAIN, line);
        session.send(&image[..LAYER + LAYER / 2]);
        session.shows(shown);
        interrupted(&host, session);
        let after = files(&host, "");
        let new: Vec<_> = after.iter().filter(|path| !before.contains(path)).collect();
        // What a layer compresses to may be remembered: that is complete.
        assert!(new.iter().all(|path| path.starts_with(host.path("cache"))), "{line}: {new:?}");
    }
}
