// Generate makes the manifest of a docker-archive as a plain Go program does: one layer after the
// other through compress/gzip and SHA-256. It is the peer of `dockseal manifest` in scripts/bench.
package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	Digest    string `json:"digest"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func compress(r io.Reader) descriptor {
	var size counter
	hash := sha256.New()
	z := gzip.NewWriter(io.MultiWriter(hash, &size))
	if _, err := io.Copy(z, r); err != nil {
		log.Fatal(err)
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	return descriptor{
		"application/vnd.docker.image.rootfs.diff.tar.gzip", int64(size), fmt.Sprintf("sha256:%x", hash.Sum(nil)),
	}
}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	documents := map[string][]byte{}
	layers := map[string]descriptor{}
	archive := tar.NewReader(file)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		if header.Size > 1<<20 {
			layers[path.Clean(header.Name)] = compress(archive)
			continue
		}
		if documents[path.Clean(header.Name)], err = io.ReadAll(archive); err != nil {
			log.Fatal(err)
		}
	}
	var images []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(documents["manifest.json"], &images); err != nil {
		log.Fatal(err)
	}
	config := documents[images[0].Config]
	m := manifest{2, "application/vnd.docker.distribution.manifest.v2+json", descriptor{
		"application/vnd.docker.container.image.v1+json", int64(len(config)), fmt.Sprintf("sha256:%x", sha256.Sum256(config)),
	}, nil}
	for _, name := range images[0].Layers {
		m.Layers = append(m.Layers, layers[name])
	}
	out, err := json.MarshalIndent(m, "", "   ")
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(out)
}
