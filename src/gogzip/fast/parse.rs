//! The lazy parse, one stretch of input at a time, from any state.

use std::ops::Range;

use super::blocks::BLOCK_TOKENS;
use super::search::{Limits, MAX_MATCH, MIN_MATCH, Match, first_match, longer_match};
use super::window::{LOOKAHEAD, REACH, Rings, Window};

/// Go's buffer slides by the window at the latest when the next step is this far behind its start.
const SLIDE_AT: u64 = 2 * REACH - LOOKAHEAD;
/// While a match of this length is pending there is no search.
const LAZY: u64 = 16;

/// A literal or a match, in 32 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token(u32);

impl Token {
    const MATCH: u32 = 1 << 31;

    #[inline(always)]
    pub(super) fn literal(byte: u8) -> Self {
        Self(u32::from(byte))
    }

    /// A match of 3 to 258 bytes, 1 to 32768 before.
    #[inline(always)]
    pub(super) fn pair(length: u64, distance: u64) -> Self {
        Self(Self::MATCH | ((length - 3) << 16 | (distance - 1)) as u32)
    }

    #[inline(always)]
    pub(super) fn is_match(self) -> bool {
        self.0 & Self::MATCH != 0
    }

    /// The byte of a literal.
    #[inline(always)]
    pub(super) fn byte(self) -> u8 {
        self.0 as u8
    }

    /// Length of a match, less 3.
    #[inline(always)]
    pub(super) fn length_index(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Distance of a match, less 1.
    #[inline(always)]
    pub(super) fn distance_index(self) -> u16 {
        self.0 as u16
    }

    /// Bytes the token covers.
    #[inline(always)]
    pub(super) fn covers(self) -> u64 {
        if self.is_match() { u64::from(self.length_index()) + 3 } else { 1 }
    }
}

/// Everything the parse knows besides the input: equal states go on equally.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct State {
    /// The next step.
    pub(super) position: u64,
    /// The step before it, which decides how much Go's buffer held.
    pub(super) previous: u64,
    /// Whether the byte before `position` has not been emitted.
    pub(super) pending: bool,
    /// The match found there; no length if none.
    pub(super) found: Match,
    /// Start of Go's buffer: nothing before it can be reached.
    pub(super) base: u64,
}

impl State {
    /// A guess of the state at a position: nothing pending, writes that fill the buffer.
    pub(super) fn guess(position: u64) -> Self {
        let base = (position + LOOKAHEAD - 1).saturating_sub(REACH) / REACH * REACH;
        Self { position, previous: position, pending: false, found: Match::default(), base }
    }

    /// Whether both go on equally. The step before matters only where it may cause a slide.
    pub(super) fn is_equivalent(&self, other: &Self) -> bool {
        let near_slide = self.position - self.base >= SLIDE_AT;
        let settled = if near_slide { *other } else { Self { previous: self.previous, ..*other } };
        *self == settled
    }
}

/// A stretch of input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    pub(super) bytes: &'a [u8],
    /// Position of the first byte.
    pub(super) start: u64,
    /// Ends of Write calls that may matter (see [`is_relevant_boundary`]), ascending.
    pub(super) boundaries: &'a [u64],
    /// Nothing follows these bytes.
    pub(super) is_last: bool,
}

impl<'a> Input<'a> {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The bytes of a range of positions.
    pub(super) fn slice(&self, range: Range<u64>) -> &'a [u8] {
        &self.bytes[(range.start - self.start) as usize..(range.end - self.start) as usize]
    }

    /// Whether a Write call ended in a range.
    fn has_boundary(&self, from: u64, to: u64) -> bool {
        let next = self.boundaries.partition_point(|&boundary| boundary < from);
        self.boundaries.get(next).is_some_and(|&boundary| boundary < to)
    }
}

/// Whether the end of a Write call can influence the output at all.
///
/// It acts through the slide before a step at `base + SLIDE_AT`, and only if it lies between
/// `LOOKAHEAD` bytes after the step before and the end of the buffer.
pub(super) fn is_relevant_boundary(position: u64) -> bool {
    position % REACH >= REACH - LOOKAHEAD
}

/// From `position` on the buffer starts at `base`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slide {
    pub(super) position: u64,
    pub(super) base: u64,
}

/// What a stretch of input becomes.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The first [`BLOCK_TOKENS`] are room for tokens of an open block.
    pub(super) tokens: Vec<Token>,
    pub(super) slides: Vec<Slide>,
}

impl Parsed {
    /// Empty, with room for the tokens of so much input.
    pub(super) fn clear(&mut self, bytes: usize) {
        self.slides.clear();
        self.tokens.clear();
        self.tokens.reserve(BLOCK_TOKENS + bytes);
        self.tokens.resize(BLOCK_TOKENS, Token::literal(0));
    }
}

/// The parser and its window.
#[derive(Debug)]
pub(super) struct Parser {
    window: Window,
    state: State,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self { window: Window::new(), state: State::guess(0) }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Continues somewhere else. The 32 KiB before the state's position must be in the next input.
    pub(super) fn jump(&mut self, state: State) {
        self.state = state;
        self.window.restart(state.position.saturating_sub(REACH));
    }

    /// Parses up to the first step at or after `until`, or as far as the input permits. With the
    /// last input and no limit that is the end.
    pub(super) fn run(&mut self, input: Input<'_>, until: u64, parsed: &mut Parsed) {
        while self.state.position < until {
            let position = self.state.position;
            let left = input.end() - position;
            if left < LOOKAHEAD {
                if input.is_last {
                    self.finish(input, until, parsed);
                }
                break;
            }
            self.slide(input, parsed);
            if self.window.ready() <= position {
                self.window.advance(position, input.bytes, input.start);
            }
            // No search between here and there needs attention.
            let limit = until
                .min(input.end() - LOOKAHEAD + 1)
                .min(self.window.ready())
                .min(self.state.base + SLIDE_AT)
                .max(position + 1);
            self.stretch(limit, parsed);
        }
    }

    /// Slides the buffer before a step, if Go would. The whole lookahead is there.
    fn slide(&mut self, input: Input<'_>, parsed: &mut Parsed) {
        let State { position, previous, base, .. } = self.state;
        let filled = base + 2 * REACH;
        let slides = match position - base {
            ..SLIDE_AT => false,
            // A full buffer holds just enough bytes for one more step.
            SLIDE_AT => input.has_boundary(previous + LOOKAHEAD, filled),
            _ => true,
        };
        if slides {
            self.state.base += REACH;
            parsed.slides.push(Slide { position, base: self.state.base });
        }
    }

    /// Steps from the state's position to the first one at or after `limit`.
    fn stretch(&mut self, limit: u64, parsed: &mut Parsed) {
        let State { mut position, mut previous, pending, mut found, base } = self.state;
        let rings = self.window.rings();
        let tokens = &mut parsed.tokens;
        // Everything from here to `position` is still to be emitted.
        let mut literals = position - u64::from(pending);
        let limits =
            |position: u64| Limits { length: MAX_MATCH, distance: REACH.min(position - base) };

        while position < limit {
            if found.length == 0 {
                found = first_match(rings, position, limits(position)).unwrap_or_default();
                previous = position;
                position += 1;
                continue;
            }
            let longer = if found.length < LAZY {
                longer_match(rings, position, found.length, limits(position))
            } else {
                None
            };
            previous = position;
            if let Some(longer) = longer {
                found = longer;
                position += 1;
            } else {
                let start = position - 1;
                push_literals(rings, literals, start, tokens);
                tokens.push(Token::pair(found.length, found.distance));
                position = start + found.length;
                literals = position;
                found = Match::default();
            }
        }
        let pending = literals < position;
        push_literals(rings, literals, position.saturating_sub(1), tokens);
        self.state = State { position, previous, pending, found, base };
    }

    /// Steps near the end of the input, where lengths are cut.
    fn finish(&mut self, input: Input<'_>, until: u64, parsed: &mut Parsed) {
        let end = input.end();
        // One slide may still be due: if Go had to ask for more bytes, or its buffer was full.
        let State { position, previous, base, .. } = self.state;
        if previous < position
            && end - previous >= LOOKAHEAD
            && position - base >= SLIDE_AT
            && (base + 2 * REACH < end || input.has_boundary(previous + LOOKAHEAD, end))
        {
            self.state.base += REACH;
            parsed.slides.push(Slide { position, base: self.state.base });
        }
        while self.state.position < until.min(end) {
            self.window.advance(self.state.position, input.bytes, input.start);
            self.step(end, parsed);
        }
        if self.state.position == end && self.state.pending {
            self.state.pending = false;
            parsed.tokens.push(Token::literal(self.window.rings().byte(end - 1)));
        }
    }

    /// One step with fewer than [`LOOKAHEAD`] bytes ahead.
    fn step(&mut self, end: u64, parsed: &mut Parsed) {
        let State { position, pending, found, base, .. } = self.state;
        let left = end - position;
        let limits = Limits { length: MAX_MATCH.min(left), distance: REACH.min(position - base) };
        let longer = if left < MIN_MATCH || left <= found.length || found.length >= LAZY {
            None
        } else if found.length == 0 {
            first_match(self.window.rings(), position, limits)
        } else {
            longer_match(self.window.rings(), position, found.length, limits)
        };
        self.state.previous = position;
        if found.length > 0 && longer.is_none() {
            parsed.tokens.push(Token::pair(found.length, found.distance));
            self.state.position = position - 1 + found.length;
            self.state.pending = false;
            self.state.found = Match::default();
        } else {
            if pending {
                parsed.tokens.push(Token::literal(self.window.rings().byte(position - 1)));
            }
            self.state.position = position + 1;
            self.state.pending = true;
            self.state.found = longer.unwrap_or_default();
        }
    }
}

fn push_literals(rings: &Rings, from: u64, to: u64, tokens: &mut Vec<Token>) {
    tokens.extend((from..to).map(|position| Token::literal(rings.byte(position))));
}
#[cfg(test)]
mod tests {
    use super::*;

    /// Data that repeat after a while, so that every match is as long as it can be.
    fn periodic(period: usize, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::with_capacity(len);
        let mut random = 12345u64;
        while bytes.len() < len {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let byte = if bytes.len() < period {
                (random >> 11) as u8
            } else {
                bytes[bytes.len() - period]
            };
            bytes.push(byte);
        }
        bytes
    }

    #[test]
    fn stretches_leave_no_trace() {
        let bytes = periodic(201, 200_000);
        let run = |size: usize| {
            let mut parser = Parser::new();
            let mut parsed = Parsed::default();
            for end in (size..bytes.len()).step_by(size) {
                let bytes = &bytes[..end];
                let input = Input { bytes, start: 0, boundaries: &[], is_last: false };
                parser.run(input, u64::MAX, &mut parsed);
            }
            let input = Input { bytes: &bytes, start: 0, boundaries: &[], is_last: true };
            parser.run(input, u64::MAX, &mut parsed);
            parsed
        };
        let whole = run(bytes.len());
        for size in [1, 100, 261, 1000, 16_384, 65_536] {
            let parsed = run(size);
            assert!(parsed.tokens == whole.tokens, "stretches of {size}");
            assert_eq!(parsed.slides, whole.slides, "stretches of {size}");
        }
    }
}
