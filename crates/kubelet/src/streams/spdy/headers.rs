//! SPDY's header blocks: names and values behind their lengths, deflated with a dictionary that both ends know, as one
//! stream per direction for the life of a connection.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::SpdyError;

/// Larger blocks are refused, be they as small as they may before they are inflated.
const LARGEST: usize = 64 << 10;

/// The dictionary is these words behind their lengths, and then the text (draft-mbelshe-httpbis-spdy-00, 2.6.10.1).
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
    accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
    content-length content-location content-md5 content-range content-type date etag expect expires from host if-match \
    if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
    proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
    user-agent vary via warning www-authenticate method get status";
const TEXT: &str = "1001012012022052063003023033043053063074024054064074084094104114124134144154164175025045052\
    03 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
    404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug \
    Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
    application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
    charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

fn dictionary() -> Vec<u8> {
    // The last ones have a space, or come after those.
    let last = ["200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"];
    let mut whole = Vec::with_capacity(1423);
    WORDS.split_ascii_whitespace().chain(last).for_each(|word| put(&mut whole, word));
    whole.extend_from_slice(TEXT.as_bytes());
    whole
}

fn put(block: &mut Vec<u8>, text: &str) {
    block.extend_from_slice(&u32::try_from(text.len()).unwrap_or_default().to_be_bytes());
    block.extend_from_slice(text.as_bytes());
}

/// Names, in lower case, and values.
pub(super) type Headers = Vec<(String, String)>;

/// What comes from the other end.
#[derive(Debug)]
pub(super) struct Inflater(Decompress);

impl Inflater {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(super) fn read(&mut self, block: &[u8]) -> Result<Headers, SpdyError> {
        parse(&self.inflate(block)?).ok_or(SpdyError::Headers)
    }

    fn inflate(&mut self, mut block: &[u8]) -> Result<Vec<u8>, SpdyError> {
        let mut whole = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let (taken, given) = (self.0.total_in(), self.0.total_out());
            let status = match self.0.decompress(block, &mut piece, FlushDecompress::Sync) {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&dictionary()).map_err(|_| SpdyError::Headers)?;
                    Status::Ok
                }
                other => other.map_err(|_| SpdyError::Headers)?,
            };
            let taken = usize::try_from(self.0.total_in() - taken).unwrap_or_default();
            let given = usize::try_from(self.0.total_out() - given).unwrap_or_default();
            block = &block[taken.min(block.len())..];
            whole.extend_from_slice(&piece[..given]);
            if whole.len() > LARGEST {
                return Err(SpdyError::TooLarge);
            }
            if status == Status::StreamEnd || (block.is_empty() && given < piece.len()) {
                return Ok(whole);
            }
            if (taken, given) == (0, 0) && status == Status::BufError {
                return Err(SpdyError::Headers);
            }
        }
    }
}

fn parse(block: &[u8]) -> Option<Headers> {
    let (count, mut rest) = number(block)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let (name, after) = text(rest)?;
        let (value, after) = text(after)?;
        headers.push((name.to_ascii_lowercase(), value));
        rest = after;
    }
    Some(headers)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(head, rest)| (u32::from_be_bytes(*head), rest))
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = number(bytes)?;
    let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}

/// What goes to the other end.
#[derive(Debug)]
pub(super) struct Deflater(Compress);

impl Deflater {
    pub(super) fn new() -> Result<Self, SpdyError> {
        let mut deflate = Compress::new(Compression::fast(), true);
        deflate.set_dictionary(&dictionary()).map_err(|_| SpdyError::Headers)?;
        Ok(Self(deflate))
    }

    /// A block of those headers.
    pub(super) fn write(&mut self, headers: &[(&str, &str)]) -> Result<Vec<u8>, SpdyError> {
        let mut block = u32::try_from(headers.len()).unwrap_or_default().to_be_bytes().to_vec();
        for (name, value) in headers {
            put(&mut block, name);
            put(&mut block, value);
        }
        // All of it fits, with what a flush adds.
        let mut packed = Vec::with_capacity(block.len() + 128);
        self.0.compress_vec(&block, &mut packed, FlushCompress::Sync).map_err(|_| SpdyError::Headers)?;
        Ok(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_dictionary_is_the_one_of_the_standard() {
        assert_eq!(dictionary().len(), 1423);
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in dictionary() {
            low = (low + u32::from(byte)) % 65521;
            high = (high + low) % 65521;
        }
        assert_eq!(high << 16 | low, 0xe3c6_a7c2, "its Adler-32");
    }

    #[test]
    fn blocks_are_one_stream() {
        let (mut deflate, mut inflate) = (Deflater::new().unwrap(), Inflater::new());
        for port in ["80", "8080", "80"] {
            let block = deflate.write(&[("streamType", "data"), ("port", port)]).unwrap();
            let read = inflate.read(&block).unwrap();
            assert_eq!(read, [("streamtype".into(), "data".into()), ("port".into(), port.to_owned())]);
        }
        let empty = deflate.write(&[]).unwrap();
        assert_eq!(inflate.read(&empty).unwrap(), []);
    }

    #[test]
    fn a_block_that_would_burst_is_refused() {
        let mut deflate = Deflater::new().unwrap();
        let long = "x".repeat(LARGEST * 2);
        let block = deflate.write(&[("name", &long)]).unwrap();
        assert!(Inflater::new().read(&block).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            drop(Inflater::new().read(&bytes));
            drop(parse(&bytes));
        }
    }
}
