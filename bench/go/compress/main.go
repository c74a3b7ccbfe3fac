// Command compress compresses a file with compress/gzip at the default level.
//
// Usage: compress [-writes SIZE] [FILE]
//
// It reads FILE or standard input, makes Writes of SIZE bytes (default 32768) and writes to
// standard output.
package main

import (
	"bufio"
	"compress/gzip"
	"flag"
	"io"
	"log"
	"os"
)

func main() {
	size := flag.Int("writes", 32768, "bytes per Write")
	flag.Parse()
	input := os.Stdin
	if flag.NArg() > 0 {
		file, err := os.Open(flag.Arg(0))
		if err != nil {
			log.Fatal(err)
		}
		input = file
	}
	output := bufio.NewWriterSize(os.Stdout, 32768)
	z := gzip.NewWriter(output)
	buffer := make([]byte, *size)
	for {
		n, err := io.ReadFull(input, buffer)
		if _, err := z.Write(buffer[:n]); err != nil {
			log.Fatal(err)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := output.Flush(); err != nil {
		log.Fatal(err)
	}
}
