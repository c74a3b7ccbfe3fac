//! Several threads: chunks are parsed from guessed states, and the guesses are verified.
//!
//! The parse of a chunk is a function of the input and of the state in which it starts. A worker
//! guesses that state some KiB before its chunk; by the time it reaches the chunk it has almost
//! always fallen into step with the true parse. The stitcher knows the true state at the end of
//! the chunk before. If it equals the worker's state at the chunk's start, so do all tokens that
//! follow; if not, the chunk is parsed again from the true state. A guess never reaches the output.
//!
//! Periodic data never fall into step. So after a wrong guess chunks wait for the true state,
//! until a trial shows that guesses are right again.
//!
//! The caller's thread cuts the input into chunks, compares states, cuts the tokens into blocks,
//! and joins the blocks' bits. Workers parse, and encode blocks. At most [`chunks_in_flight`]
//! chunks exist at any time.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::sync::Arc;

use super::bits::BitWriter;
use super::block::{self, Written};
use super::blocks::{Block, Cutter};
use super::parse::{Input, Parsed, Parser, State, is_relevant_boundary};
use super::pool::{Pool, Ticket, Urgency};
use crate::gogzip::crc32::Crc32;

/// Sizes that never change the output. Tests make them tiny.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    /// Bytes per chunk.
    pub(super) chunk: usize,
    /// Bytes before a chunk that are parsed to get into step.
    pub(super) warm_up: usize,
}

impl Default for Tuning {
    /// About one guess in a thousand is wrong with a warm-up of 4 KiB.
    fn default() -> Self {
        Self { chunk: 1 << 19, warm_up: 4096 }
    }
}

/// Bytes before a chunk that come with it: for its warm-up and its window, and for a stored block
/// that ends in it.
const HISTORY: usize = 65536 + 1024;
/// Bytes after a chunk that come with it: the last match, and what its search looks at.
const AHEAD: usize = 1024;
/// While guesses are wrong, one chunk in so many tries.
const TRIAL: usize = 4;

fn chunks_in_flight(threads: NonZero<usize>) -> usize {
    threads.get() + 2
}

/// A piece of input with its surroundings.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Position of the first byte.
    start: u64,
    /// The chunk proper.
    from: u64,
    until: u64,
    is_last: bool,
    boundaries: Vec<u64>,
}

impl Chunk {
    fn input(&self) -> Input<'_> {
        let Self { bytes, start, boundaries, is_last, .. } = self;
        Input { bytes, start: *start, boundaries, is_last: *is_last }
    }

    /// The bytes of the chunk proper.
    fn own_bytes(&self) -> &[u8] {
        let input = self.input();
        input.slice(self.from..self.until.min(self.start + self.bytes.len() as u64))
    }
}

/// A parsed chunk.
#[derive(Debug)]
struct Speculation {
    parsed: Parsed,
    /// The state in which the parse reached the chunk, and the number of tokens before.
    first: State,
    from: usize,
    last: State,
    crc: Crc32,
    /// Whether a guess was, or would have been, right; if known.
    would_guess: Option<bool>,
}

/// Blocks in bits, or in bytes if they are to be stored.
#[derive(Debug, Default)]
struct Encoded {
    bits: BitWriter,
    pieces: Vec<Piece>,
    /// To be used again.
    parsed: Parsed,
}

#[derive(Debug)]
struct Piece {
    form: Written,
    bytes: usize,
    bits: usize,
}

/// A chunk on its way.
#[derive(Debug)]
struct InFlight {
    chunk: Arc<Chunk>,
    ticket: Option<Ticket<Speculation>>,
}

/// The deflate stream of Go 1.8 to 1.26 on several threads.
#[derive(Debug)]
pub(super) struct Parallel {
    tuning: Tuning,
    threads: NonZero<usize>,
    /// Started with the second chunk.
    pool: Option<Pool<Parser>>,
    filling: Chunk,
    /// Of the whole chunk being filled and its surroundings.
    boundaries: VecDeque<u64>,
    parsing: VecDeque<InFlight>,
    encoding: VecDeque<Ticket<Encoded>>,
    /// The true state at the start of the oldest chunk that is being parsed.
    state: State,
    guesses: bool,
    number: usize,
    cutter: Cutter,
    crc: Crc32,
    /// Lists and buffers to be used again.
    spare: Vec<Parsed>,
    spare_bits: Vec<BitWriter>,
}

impl Parallel {
    pub(super) fn new(threads: NonZero<usize>, tuning: Tuning) -> Self {
        let filling = Chunk { until: tuning.chunk as u64, ..Chunk::default() };
        Self {
            tuning,
            threads,
            pool: None,
            filling,
            boundaries: VecDeque::new(),
            parsing: VecDeque::new(),
            encoding: VecDeque::new(),
            state: State::guess(0),
            guesses: true,
            number: 0,
            cutter: Cutter::default(),
            crc: Crc32::default(),
            spare: Vec::new(),
            spare_bits: Vec::new(),
        }
    }

    /// One Write call.
    pub(super) fn write(&mut self, mut data: &[u8], bits: &mut BitWriter) -> io::Result<()> {
        while !data.is_empty() {
            let full = (self.filling.until - self.filling.start) as usize + AHEAD;
            let room = full - self.filling.bytes.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.filling.bytes.extend_from_slice(now);
            data = later;
            if now.len() == room {
                self.dispatch(bits)?;
            }
        }
        let end = self.filling.start + self.filling.bytes.len() as u64;
        if is_relevant_boundary(end) && self.boundaries.back() != Some(&end) {
            self.boundaries.push_back(end);
        }
        Ok(())
    }

    /// The rest of the blocks. Gives the checksum of the input.
    pub(super) fn finish(mut self, bits: &mut BitWriter) -> io::Result<Crc32> {
        self.filling.is_last = true;
        self.filling.until = u64::MAX;
        self.dispatch(bits)?;
        while !self.parsing.is_empty() {
            self.settle(bits)?;
        }
        while let Some(ticket) = self.encoding.pop_front() {
            self.join(ticket, bits)?;
        }
        Ok(self.crc)
    }

    /// Sends the filled chunk on its way, and makes room if there are too many.
    fn dispatch(&mut self, bits: &mut BitWriter) -> io::Result<()> {
        let next = self.next_chunk();
        let mut chunk = std::mem::replace(&mut self.filling, next);
        let kept_from = self.filling.start;
        chunk.boundaries = self.boundaries.iter().copied().collect();
        let past = self.boundaries.partition_point(|&boundary| boundary < kept_from);
        self.boundaries.drain(..past);

        let chunk = Arc::new(chunk);
        let is_first = chunk.from == 0;
        let ticket = if is_first {
            // The true state is known. A single chunk needs no other thread.
            if chunk.is_last { None } else { Some(self.parse(&chunk, Start::True(self.state))) }
        } else if self.guesses {
            Some(self.parse(&chunk, Start::Guess))
        } else {
            None
        };
        self.parsing.push_back(InFlight { chunk, ticket });
        while self.parsing.len() > chunks_in_flight(self.threads) {
            self.settle(bits)?;
        }
        self.start_next();
        Ok(())
    }

    /// An empty chunk after the one being filled, with the history it needs.
    fn next_chunk(&self) -> Chunk {
        let Chunk { bytes, start, until, is_last, .. } = &self.filling;
        if *is_last {
            return Chunk::default();
        }
        let from = *until;
        let kept = ((from - start) as usize).saturating_sub(HISTORY);
        let mut next = Vec::with_capacity(HISTORY + self.tuning.chunk + AHEAD);
        next.extend_from_slice(&bytes[kept..]);
        Chunk {
            bytes: next,
            start: start + kept as u64,
            from,
            until: from + self.tuning.chunk as u64,
            ..Chunk::default()
        }
    }

    /// The oldest chunk, if it had to wait for the true state, does not any more.
    fn start_next(&mut self) {
        let Some(InFlight { chunk, ticket: None }) = self.parsing.front() else { return };
        if chunk.from == 0 {
            return;
        }
        self.number += 1;
        let start = if self.number.is_multiple_of(TRIAL) {
            Start::TrueAndTrial(self.state)
        } else {
            Start::True(self.state)
        };
        let chunk = Arc::clone(chunk);
        let ticket = self.parse(&chunk, start);
        if let Some(front) = self.parsing.front_mut() {
            front.ticket = Some(ticket);
        }
    }

    fn parse(&mut self, chunk: &Arc<Chunk>, start: Start) -> Ticket<Speculation> {
        let chunk = Arc::clone(chunk);
        let parsed = self.spare.pop().unwrap_or_default();
        let warm_up = self.tuning.warm_up as u64;
        let urgency = match start {
            Start::Guess => Urgency::Normal,
            _ => Urgency::Urgent,
        };
        let threads = self.threads;
        self.pool
            .get_or_insert_with(|| Pool::new(threads, Parser::new))
            .submit(urgency, move |parser| parse(parser, &chunk, start, warm_up, parsed))
    }

    /// Makes the oldest chunk's tokens part of the stream.
    fn settle(&mut self, bits: &mut BitWriter) -> io::Result<()> {
        self.start_next();
        let Some(InFlight { chunk, ticket }) = self.parsing.pop_front() else { return Ok(()) };
        let mut speculation = match ticket {
            Some(ticket) => ticket.wait()?,
            None => {
                let start = Start::True(self.state);
                parse(&mut Parser::new(), &chunk, start, 0, Parsed::default())
            }
        };
        if !self.state.is_equivalent(&speculation.first) {
            self.guesses = false;
            self.spare.push(speculation.parsed);
            speculation = self.parse(&chunk, Start::True(self.state)).wait()?;
        } else if speculation.would_guess == Some(true) {
            self.guesses = true;
        }
        self.state = speculation.last;
        self.start_next();

        let own = chunk.own_bytes().len() as u64;
        self.crc.append(speculation.crc, own);
        let Speculation { mut parsed, from, .. } = speculation;
        let blocks = self.cutter.cut(&mut parsed, from, chunk.is_last);
        let output = self.spare_bits.pop().unwrap_or_default();
        let job = move || encode(&chunk, parsed, &blocks, output);
        if let Some(pool) = &mut self.pool {
            let ticket = pool.submit(Urgency::Urgent, move |_| job());
            self.encoding.push_back(ticket);
            while self.encoding.len() > self.threads.get() {
                let Some(ticket) = self.encoding.pop_front() else { break };
                self.join(ticket, bits)?;
            }
        } else {
            append(&job(), bits);
        }
        Ok(())
    }

    /// Appends the bits of the oldest blocks.
    fn join(&mut self, ticket: Ticket<Encoded>, bits: &mut BitWriter) -> io::Result<()> {
        let encoded = ticket.wait()?;
        append(&encoded, bits);
        let Encoded { parsed, bits: mut output, .. } = encoded;
        output.clear_finished();
        self.spare.push(parsed);
        self.spare_bits.push(output);
        Ok(())
    }
}

fn append(encoded: &Encoded, bits: &mut BitWriter) {
    let mut rest = encoded.bits.finished();
    for piece in &encoded.pieces {
        let (bytes, later) = rest.split_at(piece.bytes);
        rest = later;
        match piece.form {
            Written::Bits => bits.append(bytes, piece.bits),
            Written::Stored => bits.stored_block(bytes),
        }
    }
}

/// Where the parse of a chunk starts.
#[derive(Clone, Copy, Debug)]
enum Start {
    Guess,
    True(State),
    /// And tell whether a guess would have been right.
    TrueAndTrial(State),
}

/// Parses a chunk.
fn parse(
    parser: &mut Parser,
    chunk: &Chunk,
    start: Start,
    warm_up: u64,
    mut parsed: Parsed,
) -> Speculation {
    let input = chunk.input();
    parsed.clear(chunk.bytes.len());
    let mut guess = |parsed: &mut Parsed| {
        parser.jump(State::guess(chunk.from.saturating_sub(warm_up)));
        parser.run(input, chunk.from, parsed);
        // What happened before the chunk is for others to tell.
        parsed.slides.clear();
        parser.state()
    };
    let mut would_guess = None;
    match start {
        Start::Guess => {
            guess(&mut parsed);
            would_guess = Some(true);
        }
        Start::True(state) => parser.jump(state),
        Start::TrueAndTrial(state) => {
            would_guess = Some(guess(&mut parsed).is_equivalent(&state));
            parsed.clear(chunk.bytes.len());
            parser.jump(state);
        }
    }
    let first = parser.state();
    let from = parsed.tokens.len();
    parser.run(input, chunk.until, &mut parsed);
    let mut crc = Crc32::default();
    crc.update(chunk.own_bytes());
    Speculation { parsed, first, from, last: parser.state(), crc, would_guess }
}

/// Encodes the blocks that end in a chunk.
fn encode(chunk: &Chunk, parsed: Parsed, blocks: &[Block], mut bits: BitWriter) -> Encoded {
    let mut pieces = Vec::with_capacity(blocks.len());
    let mut done = 0;
    for block in blocks {
        let form = block::encode(block, &parsed.tokens, &mut bits);
        let length = match form {
            Written::Bits => bits.bits() - 8 * done,
            Written::Stored => {
                bits.raw(chunk.input().slice(block.range.clone()));
                0
            }
        };
        bits.pad();
        let end = bits.finished().len();
        pieces.push(Piece { form, bytes: end - done, bits: length });
        done = end;
    }
    Encoded { bits, pieces, parsed }
}
