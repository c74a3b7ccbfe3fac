//! Running a program: a document in, two bounded streams out, and an end in finite time.

use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::fsutil;

/// Most bytes that are read of stdout, and of stderr; notation's limit.
pub(super) const MAX_OUTPUT_BYTES: usize = 64 << 20;

/// Variables that are not for plugins: notation takes them out of its environment too (§7).
const SECRET_VARIABLES: [&str; 2] = ["NOTATION_USERNAME", "NOTATION_PASSWORD"];

/// How often a program that closed its streams is asked whether it has ended.
const POLL: Duration = Duration::from_millis(1);

/// What a program said until it ended.
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program can't be started.
    #[error("can't be started: {0}")]
    Start(io::Error),
    /// It has not ended in time; it and what it started were killed.
    #[error("has not ended after {} seconds and was killed", limit.as_secs_f32())]
    Timeout {
        /// The time it had.
        limit: Duration,
    },
    /// It says too much; it and what it started were killed.
    #[error("has written more than {limit} bytes to {stream} and was killed")]
    TooMuch {
        /// Where to.
        stream: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// Its streams can't be read.
    #[error("can't be read from: {0}")]
    Read(io::Error),
}

/// One stream that ended, or that has more than is wanted.
type Ended = (&'static str, io::Result<Option<Vec<u8>>>);

/// Runs `program ARGUMENT` with `input` on stdin.
///
/// It runs in a process group of its own, so that nothing of it is left when it takes too long. It
/// is therefore not in the foreground of a terminal and can't ask anything there.
pub(super) fn run(
    program: &Path,
    argument: &str,
    input: &[u8],
    limit: Duration,
) -> Result<Output, ProcessError> {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in SECRET_VARIABLES {
        command.env_remove(variable);
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = start(&mut command)?;
    let result = converse(&mut child, input, limit);
    if result.is_err() {
        kill(&mut child);
    }
    result
}

/// Starts the program. Another thread of ours that forks while a plugin is being written keeps it
/// open for writing for a moment ("text file busy"); that passes.
fn start(command: &mut Command) -> Result<Child, ProcessError> {
    const ATTEMPTS: u32 = 50;
    for _ in 0..ATTEMPTS {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(10));
            }
            result => return result.map_err(ProcessError::Start),
        }
    }
    command.spawn().map_err(ProcessError::Start)
}

fn converse(child: &mut Child, input: &[u8], limit: Duration) -> Result<Output, ProcessError> {
    let deadline = Instant::now().checked_add(limit);
    let left = || match deadline {
        Some(deadline) => deadline.saturating_duration_since(Instant::now()),
        None => limit,
    };
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        // A program that doesn't want its input closes it; what it says then decides.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    collect("stdout", child.stdout.take(), sender.clone());
    collect("stderr", child.stderr.take(), sender);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (stream, result) = receiver.recv_timeout(left()).map_err(|error| match error {
            RecvTimeoutError::Timeout => ProcessError::Timeout { limit },
            RecvTimeoutError::Disconnected => ProcessError::Read(io::Error::other("no stream")),
        })?;
        let bytes = result
            .map_err(ProcessError::Read)?
            .ok_or(ProcessError::TooMuch { stream, limit: MAX_OUTPUT_BYTES })?;
        match stream {
            "stdout" => stdout = bytes,
            _ => stderr = bytes,
        }
    }
    loop {
        if let Some(status) = child.try_wait().map_err(ProcessError::Read)? {
            return Ok(Output { status, stdout, stderr });
        }
        if left().is_zero() {
            return Err(ProcessError::Timeout { limit });
        }
        thread::sleep(POLL);
    }
}

/// Reads a stream on a thread of its own, so that a program blocked on the other one goes on.
fn collect(name: &'static str, stream: Option<impl Read + Send + 'static>, sender: Sender<Ended>) {
    let Some(stream) = stream else { return };
    thread::spawn(move || {
        // Nobody waits any more once the program was killed.
        drop(sender.send((name, fsutil::read_to_limit(stream, MAX_OUTPUT_BYTES as u64))));
    });
}

/// Ends the program and what it started. It may be gone already, which is as well.
fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    drop(child.kill());
    drop(child.wait());
}
