// Command cases writes random inputs, the sizes of the Write calls they are cut into, and what this
// toolchain's compress/gzip makes of them at the default level.
//
// Usage: cases [-seed N] [-bytes N]
//
// It writes the Go version and a line feed, then cases until the inputs have so many bytes. A case
// is: the number of Writes and their sizes, 32 bits each, little-endian; the input; the SHA-256 of
// the gzip file.
package main

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"runtime"
)

// input makes data out of noise, letters, runs, words, and copies from near and far.
func input(r *rand.Rand) []byte {
	var v []byte
	size := r.Intn(300000)
	switch r.Intn(4) {
	case 0: // short
		size = r.Intn(2000)
	case 1: // around a multiple of the window
		size = 32768*(1+r.Intn(8)) + r.Intn(600) - 300
	}
	for len(v) < size {
		length := 1 + r.Intn(1<<uint(r.Intn(16)))
		switch r.Intn(7) {
		case 0:
			for i := 0; i < length; i++ {
				v = append(v, byte(r.Intn(256)))
			}
		case 1:
			letters := 2 + r.Intn(30)
			for i := 0; i < length; i++ {
				v = append(v, byte('a'+r.Intn(letters)))
			}
		case 2:
			b := byte(r.Intn(3))
			for i := 0; i < length; i++ {
				v = append(v, b)
			}
		case 3:
			for i := 0; i < length; i += 6 {
				v = append(v, fmt.Sprintf("%x ", r.Intn(1<<uint(4+r.Intn(16))))...)
			}
		default:
			if len(v) == 0 {
				continue
			}
			distance := 1 + r.Intn(len(v))
			switch r.Intn(3) {
			case 0:
				distance = 1 + r.Intn(300)
			case 1:
				distance = 32400 + r.Intn(400)
			}
			if distance > len(v) {
				distance = len(v)
			}
			for i := 0; i < length; i++ {
				v = append(v, v[len(v)-distance])
			}
		}
	}
	return v[:size]
}

// writes cuts so many bytes into Writes.
func writes(r *rand.Rand, size int) []uint32 {
	var sizes []uint32
	kind := r.Intn(5)
	fixed := 1 + r.Intn(1<<uint(1+r.Intn(17)))
	for done := 0; done < size; {
		n := size - done
		switch kind {
		case 0: // one Write
		case 1:
			n = fixed
		case 2:
			n = 1 + r.Intn(70000)
		case 3: // ends shortly before a multiple of the window
			n = 32768 - done%32768 - r.Intn(262)
			if n <= 0 {
				n = 32768
			}
		case 4:
			n = 512 * (1 + r.Intn(64))
		}
		if n > size-done {
			n = size - done
		}
		sizes = append(sizes, uint32(n))
		done += n
	}
	return sizes
}

func main() {
	seed := flag.Int64("seed", 1, "first seed")
	limit := flag.Int64("bytes", 50<<20, "bytes of input, about")
	flag.Parse()
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Fprintln(out, runtime.Version())
	for done := int64(0); done < *limit; *seed++ {
		r := rand.New(rand.NewSource(*seed))
		data := input(r)
		sizes := writes(r, len(data))
		check(binary.Write(out, binary.LittleEndian, uint32(len(sizes))))
		check(binary.Write(out, binary.LittleEndian, sizes))
		_, err := out.Write(data)
		check(err)
		hash := sha256.New()
		z := gzip.NewWriter(hash)
		for at := 0; len(sizes) > 0; sizes = sizes[1:] {
			_, err := z.Write(data[at : at+int(sizes[0])])
			check(err)
			at += int(sizes[0])
		}
		check(z.Close())
		_, err = out.Write(hash.Sum(nil))
		check(err)
		done += int64(len(data)) + 1
	}
	check(out.Flush())
}
