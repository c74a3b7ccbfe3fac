//! Several threads: chunks are parsed from guessed states, and the guesses are verified.
//!
//! The parse of a chunk is a function of the input and of the state in which it starts. A worker
//! guesses that state some KiB before its chunk; by the time it reaches the chunk it has almost
//! always fallen into step with the true parse. The stitcher knows the true state at the end of
//! the chunk before. If it equals the worker's state at the chunk's start, so do all tokens that
//! follow; if not, the chunk is parsed again from the true state. A guess never reaches the output.
//!
//! Periodic data never fall into step. So after a wrong guess the caller's thread parses one chunk
//! after the other, as a single thread would, until a trial shows that guesses are right again.
//!
//! The caller's thread cuts the input into chunks, compares states, cuts the tokens into blocks,
//! and joins the blocks' bits. Workers parse, encode blocks and compute checksums. At most [`chunks_in_flight`]
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
/// While guesses are wrong, one chunk in 2, 4, 8 ... is a trial, and at least one in so many.
const RAREST_TRIAL: usize = 8;

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
}

/// Blocks in bits, or in bytes if they are to be stored.
#[derive(Debug, Default)]
struct Encoded {
    bits: BitWriter,
    pieces: Vec<Piece>,
    /// Of the chunk proper, and its length.
    crc: Crc32,
    length: u64,
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
    /// None: it waits for the true state.
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
    /// Every chunk is parsed from a guess (1), or one in so many.
    trial: usize,
    number: usize,
    /// For chunks that are parsed on the caller's thread.
    parser: Option<Parser>,
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
            trial: 1,
            number: 0,
            parser: None,
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
        self.number += 1;
        let ticket = if chunk.from == 0 {
            // The true state is known; and a single chunk needs no other thread.
            (!chunk.is_last).then(|| self.submit(&chunk, Start::True(self.state)))
        } else if self.number.is_multiple_of(self.trial) {
            Some(self.submit(&chunk, Start::Guess))
        } else {
            None
        };
        self.parsing.push_back(InFlight { chunk, ticket });
        while self.parsing.len() > chunks_in_flight(self.threads) {
            self.settle(bits)?;
        }
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

    fn submit(&mut self, chunk: &Arc<Chunk>, start: Start) -> Ticket<Speculation> {
        let chunk = Arc::clone(chunk);
        let parsed = self.spare.pop().unwrap_or_default();
        let warm_up = self.tuning.warm_up as u64;
        let threads = self.threads;
        self.pool
            .get_or_insert_with(|| Pool::new(threads, Parser::new))
            .submit(Urgency::Normal, move |parser| parse(parser, &chunk, start, warm_up, parsed))
    }

    /// Makes the oldest chunk's tokens part of the stream.
    fn settle(&mut self, bits: &mut BitWriter) -> io::Result<()> {
        let Some(InFlight { chunk, ticket }) = self.parsing.pop_front() else { return Ok(()) };
        let speculation = match ticket {
            None => self.parse_here(&chunk),
            Some(ticket) => {
                let speculation = ticket.wait()?;
                if self.state.is_equivalent(&speculation.first) {
                    self.trial = 1;
                    speculation
                } else {
                    self.trial = RAREST_TRIAL.min(2 * self.trial);
                    self.spare.push(speculation.parsed);
                    self.parse_here(&chunk)
                }
            }
        };
        self.state = speculation.last;

        let Speculation { mut parsed, from, .. } = speculation;
        let blocks = self.cutter.cut(&mut parsed, from, chunk.is_last);
        let output = self.spare_bits.pop().unwrap_or_default();
        let job = move || encode(&chunk, parsed, &blocks, output);
        if let Some(pool) = &mut self.pool {
            self.encoding.push_back(pool.submit(Urgency::Urgent, move |_| job()));
            while self.encoding.len() > self.threads.get() {
                let Some(ticket) = self.encoding.pop_front() else { break };
                self.join(ticket, bits)?;
            }
        } else {
            let encoded = job();
            self.append(encoded, bits);
        }
        Ok(())
    }

    /// Parses a chunk from the true state on the caller's thread.
    fn parse_here(&mut self, chunk: &Chunk) -> Speculation {
        let mut parsed = self.spare.pop().unwrap_or_default();
        let parser = self.parser.get_or_insert_with(Parser::new);
        // After the chunk before, the parser is in place already.
        if parser.state() != self.state {
            parser.jump(self.state);
        }
        parsed.clear(chunk.bytes.len());
        parse_on(parser, chunk, parsed)
    }

    /// Appends the bits of the oldest blocks.
    fn join(&mut self, ticket: Ticket<Encoded>, bits: &mut BitWriter) -> io::Result<()> {
        self.append(ticket.wait()?, bits);
        Ok(())
    }

    fn append(&mut self, encoded: Encoded, bits: &mut BitWriter) {
        let Encoded { bits: mut output, pieces, crc, length, parsed } = encoded;
        let mut rest = output.finished();
        for piece in pieces {
            let (bytes, later) = rest.split_at(piece.bytes);
            rest = later;
            match piece.form {
                Written::Bits => bits.append(bytes, piece.bits),
                Written::Stored => bits.stored_block(bytes),
            }
        }
        self.crc.append(crc, length);
        output.clear_finished();
        self.spare.push(parsed);
        self.spare_bits.push(output);
    }
}

/// Where the parse of a chunk starts.
#[derive(Clone, Copy, Debug)]
enum Start {
    Guess,
    True(State),
}

/// Parses a chunk.
fn parse(
    parser: &mut Parser,
    chunk: &Chunk,
    start: Start,
    warm_up: u64,
    mut parsed: Parsed,
) -> Speculation {
    parsed.clear(chunk.bytes.len());
    match start {
        Start::True(state) => parser.jump(state),
        Start::Guess => {
            parser.jump(State::guess(chunk.from.saturating_sub(warm_up)));
            parser.run(chunk.input(), chunk.from, &mut parsed);
            // What happened before the chunk is for others to tell.
            parsed.slides.clear();
        }
    }
    parse_on(parser, chunk, parsed)
}

/// Parses a chunk from the state the parser is in.
fn parse_on(parser: &mut Parser, chunk: &Chunk, mut parsed: Parsed) -> Speculation {
    let first = parser.state();
    let from = parsed.tokens.len();
    parser.run(chunk.input(), chunk.until, &mut parsed);
    Speculation { parsed, first, from, last: parser.state() }
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
    let own = chunk.own_bytes();
    let mut crc = Crc32::default();
    crc.update(own);
    Encoded { bits, pieces, crc, length: own.len() as u64, parsed }
}
