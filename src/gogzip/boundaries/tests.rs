use super::*;

/// A header with a checksum.
fn header(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

/// Header, data and padding.
fn member(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, data.len() as u64);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// Collects the ends of the writes it gets.
#[derive(Default)]
struct Ends(Vec<usize>);

impl Write for Ends {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.push(self.0.last().unwrap_or(&0) + data.len());
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The boundaries of a stream; they must not depend on how it arrives.
fn boundaries(stream: &[u8]) -> (Vec<usize>, Option<FallbackReason>) {
    let mut results = [usize::MAX, 1, 7, 511, 512, 513, 32768, 100_000].map(|size| {
        let mut writer = DockerWriter::new(Ends::default());
        for piece in stream.chunks(size) {
            writer.write_all(piece).unwrap();
        }
        let (ends, fallback) = writer.finish().unwrap();
        (ends.0, fallback.map(|fallback| fallback.reason))
    });
    for pair in results.windows(2) {
        assert_eq!(pair[0], pair[1]);
    }
    std::mem::take(&mut results[0])
}

const END: [u8; 1024] = [0; 1024];

#[test]
fn worked_example_of_a_layer() {
    let stream = [
        member("d/", b'5', b""),
        member("d/f", b'0', &[b'f'; 70000]),
        member("d/g", b'x', b"30 mtime=1700000000.123456789\n"),
        member("d/g", b'0', &[b'g'; 10]),
        END.to_vec(),
        vec![0; 4096],
    ]
    .concat();
    let expected = vec![512, 1024, 33792, 66560, 71024, 72704, 72714, 74240, 78336];
    assert_eq!(boundaries(&stream), (expected, None));
}

#[test]
fn streams_and_their_boundaries() {
    let file = |size: usize| member("f", b'0', &vec![b'f'; size]);
    let long = "n/".repeat(60);
    let cases: Vec<(&str, Vec<u8>, Vec<usize>)> = vec![
        ("empty stream", vec![], vec![]),
        ("only an end marker", END.to_vec(), vec![1024]),
        ("one zero block at the end", [file(1), vec![0; 512]].concat(), vec![512, 513, 1536]),
        ("no end marker", file(1), vec![512, 513, 1024]),
        ("no end marker, no padding", file(512), vec![512, 1024]),
        ("empty file", [file(0), END.to_vec()].concat(), vec![512, 1536]),
        ("payload of one write", file(32768), vec![512, 33280]),
        ("payload of one write and a byte", file(32769), vec![512, 33280, 33281, 33792]),
        ("seven zero blocks", vec![0; 3584], vec![1024, 3584]),
        (
            "trailing bytes are cut from their start",
            [END.to_vec(), vec![1; 70000]].concat(),
            vec![1024, 33792, 66560, 71024],
        ),
        (
            "link with a size has no payload",
            [header("l", b'1', 700), file(1), END.to_vec()].concat(),
            vec![512, 1024, 1025, 2560],
        ),
        (
            "old directory has no payload",
            [header("d/", 0, 700), file(1)].concat(),
            vec![512, 1024, 1025, 1536],
        ),
        ("old file has one", member("d", 0, &[1; 700]), vec![512, 1212, 1536]),
        (
            "old directory by its long name",
            [member("", b'L', format!("{long}\0").as_bytes()), header("n", 0, 9)].concat(),
            vec![1536],
        ),
        (
            "old directory by its PAX path",
            [member("", b'x', b"11 path=a/\n"), header("n", 0, 9)].concat(),
            vec![1536],
        ),
        (
            "long names belong to the segment of their header",
            [member("", b'K', &[b'k'; 600]), member("", b'L', &[b'l'; 600]), file(3)].concat(),
            vec![3584, 3587, 4096],
        ),
        (
            "global header ends an entry before its padding",
            [member("", b'g', b"10 a=bcde\n"), file(3)].concat(),
            vec![522, 1536, 1539, 2048],
        ),
        (
            "empty global header",
            [header("", b'g', 0), file(3)].concat(),
            vec![512, 1024, 1027, 1536],
        ),
        (
            "PAX size wins over the header's",
            [member("", b'x', b"11 size=10\n"), header("f", b'0', 0), vec![1; 512]].concat(),
            vec![1536, 1546, 2048],
        ),
        (
            "global header forgets the PAX size",
            [member("", b'x', b"11 size=10\n"), header("", b'g', 0), file(3)].concat(),
            vec![1536, 2048, 2051, 2560],
        ),
        (
            "long records are cut like everything else",
            [member("", b'x', record(40000).as_bytes()), file(3)].concat(),
            vec![32768, 41472, 41475, 41984],
        ),
    ];
    for (name, stream, expected) in cases {
        assert_eq!(boundaries(&stream), (expected, None), "{name}");
    }
}

/// One PAX record of exactly `length` bytes.
fn record(length: usize) -> String {
    let start = format!("{length} comment=");
    format!("{start}{}\n", "c".repeat(length - start.len() - 1))
}

#[test]
fn what_docker_cannot_have_pushed_falls_back() {
    let file = member("f", b'0', &[b'f'; 3]);
    let mut bad_size = header("f", b'0', 0);
    bad_size[124..136].fill(0xff);
    bad_size[148..156].fill(b' ');
    let sum: u32 = bad_size.iter().map(|&byte| u32::from(byte)).sum();
    bad_size[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());

    let cases: Vec<(&str, Vec<u8>, Vec<usize>, FallbackReason)> = vec![
        ("not a tar", vec![b'x'; 70000], vec![32768, 65536, 70000], FallbackReason::Checksum),
        ("too short", vec![b'x'; 100], vec![100], FallbackReason::Truncated),
        (
            "damaged later: counted from the last entry's end",
            [file.clone(), vec![b'x'; 40000]].concat(),
            vec![512, 515, 33283, 41024],
            FallbackReason::Checksum,
        ),
        (
            "one zero block, then data",
            [file.clone(), vec![0; 512], vec![1; 600]].concat(),
            vec![512, 515, 2136],
            FallbackReason::EndMarker,
        ),
        (
            "one zero block, then a piece",
            [file.clone(), vec![0; 600]].concat(),
            vec![512, 515, 1624],
            FallbackReason::Truncated,
        ),
        ("cut in a header", file[..100].to_vec(), vec![100], FallbackReason::Truncated),
        ("cut in a payload", file[..514].to_vec(), vec![512, 514], FallbackReason::Truncated),
        (
            "cut in the padding",
            file[..600].to_vec(),
            vec![512, 515, 600],
            FallbackReason::Truncated,
        ),
        ("negative size", bad_size, vec![512], FallbackReason::Size),
        ("sparse file", member("s", b'S', &[1; 10]), vec![1024], FallbackReason::Sparse),
        (
            "sparse by PAX records",
            [member("", b'x', b"22 GNU.sparse.major=1\n"), file.clone()].concat(),
            vec![2048],
            FallbackReason::Sparse,
        ),
        (
            "broken PAX records",
            [member("", b'x', b"12 a=b\n"), file.clone()].concat(),
            vec![2048],
            FallbackReason::PaxRecords,
        ),
        (
            "PAX records too large",
            [header("", b'x', (1 << 20) + 1), file].concat(),
            vec![1536],
            FallbackReason::PaxRecords,
        ),
        (
            "size that overflows",
            [member("", b'x', b"29 size=18446744073709551615\n"), header("f", b'0', 0)].concat(),
            vec![1536],
            FallbackReason::Size,
        ),
    ];
    for (name, stream, expected, reason) in cases {
        assert_eq!(boundaries(&stream), (expected, Some(reason)), "{name}");
    }
}
