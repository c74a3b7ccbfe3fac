//! Progress on a terminal. The only file that knows indicatif.
//!
//! ```text
//! 4a7d1ed41447   [========>           ]  21.40 MiB/48.12 MiB   103.21 MiB/s eta 0s
//! 9f86d081884c   [=>                  ]   7.90 MiB/61.00 MiB    99.03 MiB/s eta 1s
//! 3/12 layers    [=====>              ] 112.60 MiB/380.55 MiB  201.77 MiB/s eta 1s
//! ```
//!
//! A line for each step that is under way, as many as the terminal has room for, and one for all
//! together if there are several. Work counts; a thread looks at it from time to time, so that also
//! what stands still is shown. Nothing of this has to be undone when the process is killed: between
//! two drawings the cursor is behind the last line, and the terminal as it always was.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, MultiProgress, ProgressBar as Bar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use rustix::termios::tcgetwinsize;

use crate::progress::{Progress, Step};

/// Work that is shorter shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// A step that is shorter has no line of its own: nobody could read it.
const BLINK: Duration = Duration::from_millis(200);
/// How often somebody looks.
const TICK: Duration = Duration::from_millis(100);
/// Most lines of steps, however high the terminal is.
const MOST: usize = 12;
/// What the name of a step has room for: a digest as docker shortens it.
const NAME: usize = 12;

/// Bars on stderr, if that is a terminal.
#[derive(Debug)]
pub(super) struct ProgressBar {
    /// None where nothing is drawn.
    board: Option<Arc<Board>>,
    /// Whether it is of one of several works, which are not counted by their steps.
    is_part: bool,
}

impl ProgressBar {
    /// Bars that are drawn only if `draw`.
    pub(super) fn new(draw: bool) -> Self {
        let target = ProgressDrawTarget::stderr();
        // Hidden: no terminal, or one that can't move its cursor.
        let board = (draw && !target.is_hidden()).then(|| Arc::new(Board::new(target)));
        Self { board, is_part: false }
    }

    /// The same bars for one of several works.
    pub(super) fn part(&self) -> Self {
        Self { board: self.board.clone(), is_part: true }
    }

    /// How far all together are.
    pub(super) fn say(&self, text: String) {
        if let Some(board) = &self.board {
            board.state().said = Some(text);
        }
    }

    /// Does something while the bars are off the terminal.
    pub(super) fn hidden<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.board {
            Some(board) => board.lines.suspend(work),
            None => work(),
        }
    }

    /// Takes the bars off the terminal, for good.
    pub(super) fn clear(&self) {
        if let (Some(board), false) = (&self.board, self.is_part) {
            board.close();
        }
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Progress for ProgressBar {
    fn begin(&self, what: &'static str, steps: usize, bytes: u64) {
        if let (Some(board), false) = (&self.board, self.is_part) {
            board.begin(what, steps, bytes);
        }
    }

    fn step(&self, name: &str, total: Option<u64>) -> Box<dyn Step> {
        match &self.board {
            Some(board) => Box::new(board.step(name, total)),
            None => Box::new(()),
        }
    }
}

/// What is drawn, shared with whoever works.
#[derive(Debug)]
struct Board {
    lines: MultiProgress,
    whole: Bar,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the first step began.
    began: Option<Instant>,
    size: Size,
    /// How many steps there have been.
    steps: usize,
    under_way: Vec<UnderWay>,
    /// Of the present work: steps that were begun, that are done, and that there are, where that is known.
    begun: usize,
    done: usize,
    expected: usize,
    what: &'static str,
    said: Option<String>,
    is_whole_shown: bool,
    is_closed: bool,
}

/// A step, and whether it is among the lines.
#[derive(Debug)]
struct UnderWay {
    number: usize,
    began: Instant,
    bar: Bar,
    is_shown: bool,
}

impl Board {
    fn new(target: ProgressDrawTarget) -> Self {
        let state = State {
            began: None,
            size: Size::of_terminal(),
            steps: 0,
            under_way: Vec::new(),
            begun: 0,
            done: 0,
            expected: 0,
            what: "",
            said: None,
            is_whole_shown: false,
            is_closed: false,
        };
        Self {
            lines: MultiProgress::with_draw_target(target),
            whole: hidden(None),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, what: &'static str, steps: usize, bytes: u64) {
        let state = &mut *self.state();
        (state.begun, state.done, state.expected, state.what) = (0, 0, steps, what);
        if std::mem::take(&mut state.is_whole_shown) {
            self.lines.remove(&self.whole);
        }
        self.whole.reset();
        self.whole.set_length(bytes);
    }

    fn step(self: &Arc<Self>, name: &str, total: Option<u64>) -> Line {
        let bar = hidden(total).with_message(short(name));
        let mut state = self.state();
        if state.began.is_none() {
            state.began = Some(Instant::now());
            self.watch();
        }
        state.steps += 1;
        // To wait for something is no part of the work.
        state.begun += usize::from(total.is_some());
        let number = state.steps;
        let step = UnderWay { number, began: Instant::now(), bar: bar.clone(), is_shown: false };
        state.under_way.push(step);
        Line { board: Arc::clone(self), number, bar }
    }

    fn end(&self, number: usize) {
        let mut state = self.state();
        let Some(at) = state.under_way.iter().position(|step| step.number == number) else {
            return;
        };
        let step = state.under_way.remove(at);
        state.done += usize::from(step.bar.length().is_some());
        if step.is_shown {
            step.bar.finish_and_clear();
            self.lines.remove(&step.bar);
        }
    }

    /// Looks at it until it is closed or gone.
    fn watch(self: &Arc<Self>) {
        let board = Arc::downgrade(self);
        let look = move || {
            while board.upgrade().is_some_and(|board| board.look()) {
                thread::sleep(TICK);
            }
        };
        // Where there may be no more threads nothing is drawn.
        let _ = thread::Builder::new().name("progress".to_owned()).spawn(look);
    }

    /// Shows what is worth it by now; whether there may be more to show.
    fn look(&self) -> bool {
        let state = &mut *self.state();
        if state.is_closed || state.began.is_none_or(|began| began.elapsed() < PATIENCE) {
            return !state.is_closed;
        }
        let size = Size::of_terminal();
        if size != std::mem::replace(&mut state.size, size) {
            let shown = state.under_way.iter().filter(|step| step.is_shown).map(|step| &step.bar);
            shown
                .chain(state.is_whole_shown.then_some(&self.whole))
                .for_each(|bar| size.dress(bar));
        }
        if state.has_several() {
            self.whole.set_message(state.summary());
            if !std::mem::replace(&mut state.is_whole_shown, true) {
                size.dress(&self.whole);
                self.lines.add(self.whole.clone());
            }
        }
        let shown = state.under_way.iter().filter(|step| step.is_shown).count();
        // Below the lines there are one for all, and one for what is typed.
        let room = size.rows.saturating_sub(2).min(MOST).saturating_sub(shown);
        let waiting = state.under_way.iter_mut().filter(|step| !step.is_shown);
        for step in waiting.filter(|step| step.began.elapsed() >= BLINK).take(room) {
            step.is_shown = true;
            size.dress(&step.bar);
            self.lines.insert_from_back(usize::from(state.is_whole_shown), step.bar.clone());
        }
        let shown = state.under_way.iter().filter(|step| step.is_shown).map(|step| &step.bar);
        shown.chain(state.is_whole_shown.then_some(&self.whole)).for_each(Bar::tick);
        true
    }

    fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        for step in state.under_way.drain(..).filter(|step| step.is_shown) {
            self.lines.remove(&step.bar);
        }
        if std::mem::take(&mut state.is_whole_shown) {
            self.lines.remove(&self.whole);
        }
        // A terminal that is gone shows nothing.
        let _ = self.lines.clear();
    }
}

impl State {
    /// Whether there is something to say of all together.
    fn has_several(&self) -> bool {
        self.said.is_some() || self.expected > 1 || self.expected == 0 && self.begun > 1
    }

    fn summary(&self) -> String {
        match &self.said {
            Some(text) => text.clone(),
            None if self.expected == 0 => "total".to_owned(),
            None => format!("{}/{} {}", self.done, self.expected, self.what),
        }
    }
}

/// A step that is drawn.
#[derive(Debug)]
struct Line {
    board: Arc<Board>,
    number: usize,
    bar: Bar,
}

impl Step for Line {
    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        self.board.whole.inc(bytes);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.board.end(self.number);
    }
}

/// A bar that counts and is not drawn yet.
fn hidden(total: Option<u64>) -> Bar {
    Bar::with_draw_target(total, ProgressDrawTarget::hidden())
}

/// What the terminal has room for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Size {
    rows: usize,
    columns: usize,
}

impl Size {
    fn of_terminal() -> Self {
        match tcgetwinsize(io::stderr()) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
                Self { rows: size.ws_row.into(), columns: size.ws_col.into() }
            }
            _ => Self { rows: 24, columns: 80 },
        }
    }

    /// A bar as it fits into a line: a line that is broken would be drawn over another one.
    fn dress(self, bar: &Bar) {
        let template = match (bar.length().is_some(), self.columns) {
            (true, 72..) => {
                "{msg:14} [{wide_bar}] {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12} eta {eta:>3}"
            }
            (true, 48..) => "{msg:14} [{wide_bar}] {percent:>3}% {bytes_per_sec:>12} eta {eta:>3}",
            (true, 32..) => "{wide_msg} {percent:>3}% {bytes_per_sec:>12} eta {eta:>3}",
            (true, _) => "{wide_msg} {percent:>3}%",
            (false, 48..) => "{msg:14} {spinner} {elapsed:>3}  {counted}",
            (false, 32..) => "{wide_msg} {counted} {elapsed:>3}",
            (false, _) => "{wide_msg} {elapsed:>3}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = style.progress_chars("=> ").tick_chars("|/-\\ ");
            bar.set_style(style.with_key("counted", counted));
        }
    }
}

/// What is done of a step whose end nobody knows, if it has bytes at all.
fn counted(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    if state.pos() > 0 {
        let rate = HumanBytes(state.per_sec() as u64);
        let _ = write!(out, "{} {rate}/s", HumanBytes(state.pos()));
    }
}

/// A name that fits beside a bar: of a layer the beginning of its digest, which in old archives is
/// what its directory is called. Others wrote it, so it makes no terminal do anything.
fn short(name: &str) -> String {
    let mut parts = name.rsplit(['/', ':']);
    let last = parts.next().unwrap_or(name);
    let named = if last == "layer.tar" { parts.next().unwrap_or(last) } else { last };
    let is_harmless = |it: char| it.is_ascii_graphic() || it.is_alphanumeric();
    named.chars().map(|it| if is_harmless(it) { it } else { '?' }).take(NAME).collect()
}

/// A number of bytes for people: `12.3 MiB`.
pub(super) fn human(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_harmless() {
        let hex = "4a7d1ed414474e4033ac29ccb8653d9b4a7d1ed414474e4033ac29ccb8653d9b";
        for (name, shown) in [
            (format!("blobs/sha256/{hex}"), "4a7d1ed41447"),
            (format!("sha256:{hex}"), "4a7d1ed41447"),
            (format!("{hex}/layer.tar"), "4a7d1ed41447"),
            (format!("{hex}.tar"), "4a7d1ed41447"),
            ("layer.tar".to_owned(), "layer.tar"),
            ("a\u{1b}[2J\r\u{202e}b".to_owned(), "a?[2J??b"),
            (String::new(), ""),
        ] {
            assert_eq!(short(&name), shown, "{name:?}");
        }
    }
}
