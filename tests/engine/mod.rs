//! An engine's API on a unix socket, for what a real engine can't be made to show: other Go
//! versions, podman, breaking in mid-stream, answers that contradict what is saved.

use std::fs;
use std::io::{BufRead, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How the engine ends an archive.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum End {
    /// As it should.
    #[default]
    Whole,
    /// The connection breaks after so many bytes.
    Broken(usize),
    /// The answer ends properly after so many bytes, the archive does not.
    Short(usize),
    /// It goes on after so many bytes when there is this file.
    Held(usize, PathBuf),
}

/// What the engine is and has.
#[derive(Clone, Debug)]
pub(crate) struct Mock {
    /// `/version`.
    pub(crate) version: Value,
    /// `/info`.
    pub(crate) info: Value,
    /// `/images/NAME/json`; without it there is no image.
    pub(crate) image: Option<Value>,
    /// The archive that it saves.
    pub(crate) archive: Vec<u8>,
    /// How that ends.
    pub(crate) end: End,
    /// What it says about an archive that it is sent.
    pub(crate) loading: Loading,
}

/// How the engine takes an archive.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Loading {
    /// It loads it.
    #[default]
    Whole,
    /// It reads it all, then answers 200 and an error in the stream.
    Fails,
    /// It answers 500 before it has read anything.
    Refuses,
    /// Somebody changes this file from here on while it takes the archive.
    Meddled(PathBuf, u64),
    /// It begins to read when there is this file.
    Held(PathBuf),
}

impl Mock {
    /// A graph-driver engine that saves the archive of a case.
    pub(crate) fn graph(go: &str, case: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/docker").join(case);
        let pushed = fs::read(directory.join("pushed-manifest.json")).unwrap();
        let pushed: Value = serde_json::from_slice(&pushed).unwrap();
        Self {
            version: json!({
                "Version": "20.10.24", "ApiVersion": "1.41", "GoVersion": go,
                "Components": [{"Name": "Engine", "Version": "20.10.24", "Details": {"GoVersion": go}}],
            }),
            info: json!({
                "Driver": "vfs", "DriverStatus": null, "DockerRootDir": "/nonexistent/docker",
                "OSType": "linux", "Architecture": "x86_64",
            }),
            image: Some(json!({
                "Id": pushed["config"]["digest"], "RepoTags": ["lab/dup:1", "lab/dup:latest"],
                "RepoDigests": [],
                "RootFS": {"Type": "layers", "Layers": [format!("sha256:{}", "a".repeat(64))]},
            })),
            archive: fs::read(directory.join("image.tar")).unwrap(),
            end: End::Whole,
            loading: Loading::Whole,
        }
    }
}

/// A running engine; it ends with the test.
pub(crate) struct Running {
    directory: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
    loaded: Loaded,
}

/// Archives that arrived whole, and the beginnings of others.
type Loaded = Arc<Mutex<Vec<Result<Vec<u8>, Vec<u8>>>>>;

impl Running {
    /// `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// The requests so far: paths with their queries.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Running {
    /// What was sent to be loaded, as [`Loaded`].
    pub(crate) fn loaded(&self) -> Vec<Result<Vec<u8>, Vec<u8>>> {
        self.loaded.lock().unwrap().clone()
    }
}

/// Starts the engine.
pub(crate) fn start(mock: Mock) -> Running {
    let running = Running {
        directory: tempfile::tempdir().unwrap(),
        requests: Arc::default(),
        loaded: Loaded::default(),
    };
    let listener = UnixListener::bind(running.socket()).unwrap();
    let (requests, loaded) = (Arc::clone(&running.requests), Arc::clone(&running.loaded));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mock, requests, loaded) =
                (mock.clone(), Arc::clone(&requests), Arc::clone(&loaded));
            thread::spawn(move || serve(&mock, stream.unwrap(), &requests, &loaded));
        }
    });
    running
}

fn serve(
    mock: &Mock,
    mut stream: UnixStream,
    requests: &Mutex<Vec<String>>,
    loaded: &Mutex<Vec<Result<Vec<u8>, Vec<u8>>>>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut header = String::new();
        while reader.read_line(&mut header).is_ok_and(|length| length > 2) {
            header.clear();
        }
        requests.lock().unwrap().push(path.clone());
        let good = if path.contains("/images/load") {
            load(mock, &mut reader, &mut stream, loaded)
        } else {
            answer(mock, &path, &mut stream)
        };
        if !good {
            return;
        }
        line.clear();
    }
}

/// In what pieces an archive is sent.
const PIECE: usize = 32 << 10;

/// Waits until there is a file.
fn wait_for(file: &Path) {
    while !file.exists() {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Takes an archive; whether the connection is still good.
fn load(
    mock: &Mock,
    reader: &mut impl BufRead,
    stream: &mut UnixStream,
    loaded: &Mutex<Vec<Result<Vec<u8>, Vec<u8>>>>,
) -> bool {
    let say = |stream: &mut UnixStream, status: u16, body: &Value| {
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).is_ok()
    };
    if mock.loading == Loading::Refuses {
        say(stream, 500, &json!({"message": "no space left on device"}));
        return false;
    }
    if let Loading::Meddled(path, at) = &mock.loading {
        let mut file = fs::File::options().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(*at)).unwrap();
        file.write_all(b"meddled").unwrap();
    }
    if let Loading::Held(file) = &mock.loading {
        wait_for(file);
    }
    let archive = chunks(reader);
    let is_whole = archive.is_ok();
    loaded.lock().unwrap().push(archive);
    let message = match mock.loading {
        Loading::Fails => {
            json!({"errorDetail": {"message": "invalid tar"}, "error": "invalid tar"})
        }
        _ => json!({"stream": "Loaded image: lab/dup:1\n"}),
    };
    is_whole && say(stream, 200, &message)
}

/// A chunked body, or what there was of it.
fn chunks(reader: &mut impl BufRead) -> Result<Vec<u8>, Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        let length = match reader.read_line(&mut line) {
            Ok(1..) => usize::from_str_radix(line.trim(), 16).unwrap(),
            _ => return Err(body),
        };
        let mut chunk = vec![0; length + 2];
        if reader.read_exact(&mut chunk).is_err() {
            return Err(body);
        }
        if length == 0 {
            return Ok(body);
        }
        body.extend(&chunk[..length]);
    }
}

/// Answers; whether the connection is still good.
fn answer(mock: &Mock, path: &str, stream: &mut UnixStream) -> bool {
    let route = path.split('?').next().unwrap();
    let ok = |value: &Value| (200, value.to_string().into_bytes());
    let (status, body) = if route.ends_with("/version") {
        ok(&mock.version)
    } else if route.ends_with("/info") {
        ok(&mock.info)
    } else if route.ends_with("/images/json") {
        ok(&json!([{
            "Id": "x", "ParentId": "", "RepoTags": ["net-monitor:v1", "busybox:1.36"], "RepoDigests": [],
            "Created": 0, "Size": 0, "SharedSize": -1, "Labels": {}, "Containers": -1,
        }]))
    } else if route.ends_with("/get") {
        return export(mock, stream);
    } else if let Some(image) = &mock.image {
        ok(image)
    } else {
        (404, json!({"message": "No such image"}).to_string().into_bytes())
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat()).is_ok()
}

fn export(mock: &Mock, stream: &mut UnixStream) -> bool {
    let length = match mock.end {
        End::Whole | End::Held(..) => mock.archive.len(),
        End::Broken(length) | End::Short(length) => length,
    };
    let held = match &mock.end {
        End::Held(length, file) => Some((*length, file)),
        _ => None,
    };
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for (index, piece) in mock.archive[..length].chunks(PIECE).enumerate() {
        if let Some((_, file)) = held.filter(|(at, _)| at / PIECE == index) {
            if stream.write_all(&std::mem::take(&mut answer)).is_err() {
                return false;
            }
            wait_for(file);
        }
        answer.extend(format!("{:x}\r\n", piece.len()).bytes());
        answer.extend(piece);
        answer.extend(b"\r\n");
    }
    let is_broken = matches!(mock.end, End::Broken(_));
    if !is_broken {
        answer.extend(b"0\r\n\r\n");
    }
    stream.write_all(&answer).is_ok() && !is_broken
}
