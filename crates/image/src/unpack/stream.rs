//! From a compressed blob to the bytes of its archive: one thread reads, digests and decompresses, the other digests
//! the outcome and writes files, so that both of a small machine's cores are busy.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::Expected;
use crate::digest::Hashing;
use crate::error::LayerFault;
use crate::tape::Skip;
use crate::{Digest, Limits};

const CHUNK: usize = 256 << 10;
const CHUNKS_AHEAD: usize = 8;

/// The uncompressed archive, as a reader.
pub(super) struct Archive {
    chunks: Receiver<Vec<u8>>,
    current: io::Cursor<Vec<u8>>,
}

impl Read for Archive {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.current.read(buf)? {
                0 if buf.is_empty() => return Ok(0),
                0 => match self.chunks.recv() {
                    Ok(chunk) => self.current = io::Cursor::new(chunk),
                    // The other thread is through, for better or worse; its outcome is looked at in the end.
                    Err(_) => return Ok(0),
                },
                n => return Ok(n),
            }
        }
    }
}

impl Skip for &mut Hashing<Archive> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match io::copy(&mut self.by_ref().take(bytes), &mut io::sink())? {
            skipped if skipped == bytes => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// What the reading thread found out.
#[derive(Default)]
struct Outcome {
    /// Digest and size of the blob; nothing when reading was broken off.
    blob: Option<(Digest, u64)>,
    fault: Option<LayerFault>,
}

/// Gives the archive in `source` to `consume`, and afterwards checks the digests of both sides.
pub(super) fn verified<T>(
    source: Box<dyn Read + Send>,
    expected: &Expected,
    limits: &Limits,
    consume: impl FnOnce(&mut Hashing<Archive>) -> Result<T, LayerFault>,
) -> Result<T, LayerFault> {
    std::thread::scope(|scope| {
        let (send, chunks) = sync_channel(CHUNKS_AHEAD);
        let reader = scope.spawn(move || read(source, limits, &send));
        let mut archive = Hashing::new(Archive { chunks, current: io::Cursor::default() });
        let consumed = consume(&mut archive).and_then(|value| {
            // Padding after the archive's end belongs to its digest.
            io::copy(&mut archive, &mut io::sink()).map_err(LayerFault::Damaged)?;
            Ok(value)
        });
        // Frees the other thread if it waits to hand over a chunk.
        let (Archive { chunks, .. }, diff, _) = archive.finish();
        drop(chunks);
        let outcome = match reader.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        judge(expected, outcome, consumed, diff)
    })
}

/// The most telling fault wins: a blob that is not what it should be explains all that follows from it.
fn judge<T>(
    expected: &Expected,
    outcome: Outcome,
    consumed: Result<T, LayerFault>,
    diff: Digest,
) -> Result<T, LayerFault> {
    if let (Some((found, size)), Some((digest, expected_size))) = (outcome.blob, expected.blob) {
        if size != expected_size {
            return Err(LayerFault::Size { expected: expected_size, found: size });
        }
        if found != digest {
            return Err(LayerFault::Digest { expected: digest, found });
        }
    }
    if let Some(fault) = outcome.fault {
        return Err(fault);
    }
    let value = consumed?;
    if diff != expected.diff {
        return Err(LayerFault::DiffId { expected: expected.diff, found: diff });
    }
    Ok(value)
}

fn read(source: Box<dyn Read + Send>, limits: &Limits, send: &SyncSender<Vec<u8>>) -> Outcome {
    let mut source = BufReader::with_capacity(CHUNK, Hashing::new(source));
    let handed_over = hand_over(&mut source, limits, send);
    let fault = match handed_over {
        Ok(true) => None,
        Ok(false) => return Outcome::default(),
        Err(fault @ LayerFault::Limit { .. }) => return Outcome { blob: None, fault: Some(fault) },
        Err(fault) => Some(fault),
    };
    match io::copy(&mut source, &mut io::sink()) {
        Ok(_) => {
            let (_, digest, size) = source.into_inner().finish();
            Outcome { blob: Some((digest, size)), fault }
        }
        Err(error) => Outcome { blob: None, fault: Some(fault.unwrap_or(LayerFault::Damaged(error))) },
    }
}

/// True when all was handed over, false when the other side does not want more.
fn hand_over<R: Read>(
    source: &mut BufReader<Hashing<R>>,
    limits: &Limits,
    send: &SyncSender<Vec<u8>>,
) -> Result<bool, LayerFault> {
    let mut meter = Meter::new(limits);
    match Compression::of(source).map_err(LayerFault::Damaged)? {
        Compression::None => pump(source, send, |n, source| meter.add(n, source.get_ref().bytes())),
        Compression::Gzip => {
            let mut decoder = MultiGzDecoder::new(source);
            pump(&mut decoder, send, |n, decoder| meter.add(n, decoder.get_ref().get_ref().bytes()))
        }
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::with_buffer(source).map_err(LayerFault::Damaged)?;
            pump(&mut decoder, send, |n, decoder| meter.add(n, decoder.get_ref().get_ref().bytes()))
        }
    }
}

/// Told by the first bytes, since media types are often wrong and Docker archives have none.
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(source: &mut impl BufRead) -> io::Result<Self> {
        let start = source.fill_buf()?;
        Ok(match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        })
    }
}

/// The decompressed content; nothing when it is not compressed.
pub(crate) fn decompress<'a>(mut source: impl BufRead + 'a) -> io::Result<Option<Box<dyn Read + 'a>>> {
    Ok(match Compression::of(&mut source)? {
        Compression::None => None,
        Compression::Gzip => Some(Box::new(MultiGzDecoder::new(source))),
        Compression::Zstd => Some(Box::new(ZstdDecoder::with_buffer(source)?)),
    })
}

fn pump<R: Read>(
    from: &mut R,
    send: &SyncSender<Vec<u8>>,
    mut count: impl FnMut(u64, &R) -> Result<(), LayerFault>,
) -> Result<bool, LayerFault> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = from.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
        let n = chunk.len() as u64;
        count(n, from)?;
        if n > 0 && send.send(chunk).is_err() {
            return Ok(false);
        }
        read.map_err(LayerFault::Damaged)?;
        if n == 0 {
            return Ok(true);
        }
    }
}

/// Stops archive bombs.
pub(crate) struct Meter<'a> {
    limits: &'a Limits,
    total: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self { limits, total: 0 }
    }

    /// Counts bytes that came out of that many compressed ones.
    pub(crate) fn add(&mut self, bytes: u64, compressed: u64) -> Result<(), LayerFault> {
        self.total += bytes;
        let Limits { layer_bytes, ratio, ratio_from, .. } = *self.limits;
        if self.total > layer_bytes {
            return Err(LayerFault::Limit { what: "unpacked bytes", limit: layer_bytes });
        }
        if self.total > ratio_from && self.total / ratio.max(1) > compressed {
            return Err(LayerFault::Limit { what: "unpacked bytes for each compressed one", limit: ratio });
        }
        Ok(())
    }
}
