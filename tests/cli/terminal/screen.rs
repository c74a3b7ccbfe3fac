//! A pseudo terminal, and an emulator of the few things that it is made to do.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use snapbox::cmd::cargo_bin;

use crate::Host;

/// Longer than any machine takes to draw what it draws after a second.
const DEADLINE: Duration = Duration::from_secs(60);

/// What is different for a command.
pub(super) type Change<'a> = &'a dyn Fn(&mut Command);

/// A terminal of so many columns and rows, and what scrolled out of it.
pub(super) struct Screen {
    columns: usize,
    rows: usize,
    gone: Vec<String>,
    lines: Vec<Vec<char>>,
    at: (usize, usize),
}

impl Screen {
    pub(super) fn of(output: &[u8], (columns, rows): (u16, u16)) -> Self {
        let (columns, rows) = (usize::from(columns), usize::from(rows));
        let mut screen =
            Self { columns, rows, gone: vec![], lines: vec![vec![' '; columns]; rows], at: (0, 0) };
        let text = String::from_utf8_lossy(output).into_owned();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => screen.at.1 = 0,
                '\n' => screen.feed(),
                '\t' => screen.at.1 = (screen.at.1 / 8 + 1) * 8,
                '\u{1b}' => {
                    let is_last = |it: char| it.is_ascii_alphabetic();
                    let mut sequence = String::new();
                    while !sequence.ends_with(is_last) {
                        // The rest has not come yet.
                        let Some(next) = characters.next() else { return screen };
                        sequence.push(next);
                    }
                    screen.obey(&sequence);
                }
                it => {
                    assert!(!it.is_control(), "{it:?}");
                    screen.put(it);
                }
            }
        }
        screen
    }

    fn obey(&mut self, sequence: &str) {
        let sequence = sequence.strip_prefix('[').expect(sequence);
        let (number, letter) = sequence.split_at(sequence.len() - 1);
        let count = number.parse().unwrap_or(1);
        match letter {
            "A" => self.at.0 = self.at.0.checked_sub(count).expect("no line above the first"),
            "B" => self.at.0 = (self.at.0 + count).min(self.rows - 1),
            "K" if number == "2" => self.lines[self.at.0].fill(' '),
            // Colors.
            "m" => {}
            _ => panic!("{sequence:?}"),
        }
    }

    fn put(&mut self, character: char) {
        // The cursor stays behind the last column until something follows.
        if self.at.1 == self.columns {
            self.at.1 = 0;
            self.feed();
        }
        self.lines[self.at.0][self.at.1] = character;
        self.at.1 += 1;
    }

    fn feed(&mut self) {
        if self.at.0 + 1 < self.rows {
            self.at.0 += 1;
            return;
        }
        self.gone.push(self.lines.remove(0).into_iter().collect());
        self.lines.push(vec![' '; self.columns]);
    }

    /// Everything that can be read, also by scrolling back.
    pub(super) fn text(&self) -> String {
        let shown = self.lines.iter().map(|line| line.iter().collect::<String>());
        let lines = self.gone.iter().cloned().chain(shown);
        let lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }
}

/// A command on a terminal, which is its stdout and stderr.
pub(super) struct Session {
    child: Child,
    pub(super) size: (u16, u16),
    pub(super) output: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Session {
    pub(super) fn start(host: &Host, size: (u16, u16), change: Change<'_>, line: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let (ws_col, ws_row) = size;
        tcsetwinsize(&master, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        fs::create_dir_all(host.path("tmp")).unwrap();
        let mut command = Command::new(cargo_bin!("dockseal"));
        command.args(line.split_whitespace()).current_dir(host.path("")).env_clear();
        command.env("NOTATION_CONFIG", "config").env("NOTATION_CACHE", "cache");
        command.env("XDG_CACHE_HOME", host.path("cache")).env("TMPDIR", host.path("tmp"));
        command.env("TERM", "xterm").stdin(Stdio::piped());
        command.stdout(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap());
        change(&mut command);
        let child = command.spawn().unwrap();
        // It holds the terminal open, too.
        drop((command, slave));
        let output = Arc::new(Mutex::new(Vec::new()));
        let (read, mut master) = (Arc::clone(&output), File::from(master));
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            // When nobody has the terminal open any more, reading fails.
            while let Ok(length @ 1..) = master.read(&mut piece) {
                read.lock().unwrap().extend(&piece[..length]);
            }
        });
        Self { child, size, output, reader }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Waits until the terminal shows something.
    pub(super) fn shows(&self, pattern: &str) -> String {
        let wanted = regex::Regex::new(pattern).unwrap();
        let begin = Instant::now();
        loop {
            let text = Screen::of(&self.output.lock().unwrap(), self.size).text();
            if wanted.is_match(&text) {
                return text;
            }
            assert!(begin.elapsed() < DEADLINE, "{pattern} is not shown:\n{text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends the rest, waits for the end, and says what the terminal shows then.
    pub(super) fn end(mut self, rest: &[u8]) -> (Option<i32>, String) {
        self.send(rest);
        let status = self.child.wait_with_output().unwrap().status;
        self.reader.join().unwrap();
        let text = Screen::of(&self.output.lock().unwrap(), self.size).text();
        (status.code(), text)
    }

    /// What the kernel does to it when the user types Ctrl-C; the signal it ends by, and the output.
    pub(super) fn interrupt(mut self) -> (Option<i32>, Vec<u8>) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        (status.signal(), Arc::try_unwrap(self.output).unwrap().into_inner().unwrap())
    }
}
