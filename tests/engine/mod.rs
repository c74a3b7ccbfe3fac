//! An engine's API on a unix socket, for what a real engine can't be made to show: other Go
//! versions, podman, breaking in mid-stream, answers that contradict what is saved.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// How the engine ends an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum End {
    /// As it should.
    #[default]
    Whole,
    /// The connection breaks after so many bytes.
    Broken(usize),
    /// The answer ends properly after so many bytes, the archive does not.
    Short(usize),
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
        }
    }
}

/// A running engine; it ends with the test.
pub(crate) struct Running {
    directory: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

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

/// Starts the engine.
pub(crate) fn start(mock: Mock) -> Running {
    let running = Running { directory: tempfile::tempdir().unwrap(), requests: Arc::default() };
    let listener = UnixListener::bind(running.socket()).unwrap();
    let requests = Arc::clone(&running.requests);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mock, requests) = (mock.clone(), Arc::clone(&requests));
            thread::spawn(move || serve(&mock, stream.unwrap(), &requests));
        }
    });
    running
}

fn serve(mock: &Mock, mut stream: UnixStream, requests: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        // Headers; there is no body.
        while lines.next().is_some_and(|it| it.is_ok_and(|it| !it.is_empty())) {}
        requests.lock().unwrap().push(path.clone());
        if !answer(mock, &path, &mut stream) {
            return;
        }
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
        End::Whole => mock.archive.len(),
        End::Broken(length) | End::Short(length) => length,
    };
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in mock.archive[..length].chunks(32 << 10) {
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
