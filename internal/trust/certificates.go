// Package trust finds out which certificates may confirm root hashes in user space, and decides how
// a dm-verity device is opened whose root hash is signed.
//
// It reads files and decides; it loads no table and adds no key to the kernel. Where
// certificates may come from is for the caller to say: a directory that anybody can write to
// while the machine is off vouches for nothing.
package trust

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/cms"
)

// maxFile bounds a file with a certificate in bytes: it has one or two KiB.
const maxFile = 64 << 10

// Certificate is a trusted certificate and where it was found.
type Certificate struct {
	*cms.Certificate
	Path string
}

// ReadFile reads the certificate that somebody named, in PEM or DER.
func ReadFile(path string) (Certificate, error) {
	content, err := readNamed(path)
	if err != nil {
		return Certificate{}, err
	}
	return parse(content, path)
}

// ReadDER reads a file as ReadFile does and returns the certificate in DER for the kernel, which
// knows more algorithms than package cms: only the frame is checked.
func ReadDER(path string) ([]byte, error) {
	content, err := readNamed(path)
	if err != nil {
		return nil, err
	}
	der, err := cms.DecodeCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return der, nil
}

func readNamed(path string) ([]byte, error) {
	// A pipe that nobody writes to must not hold up the boot.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readBounded(file, path)
}

func readBounded(file *os.File, path string) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, maxFile)
	}
	return content, nil
}

func parse(content []byte, path string) (Certificate, error) {
	certificate, err := cms.ParseCertificate(content)
	if err != nil {
		return Certificate{}, fmt.Errorf("%s: %w", path, err)
	}
	return Certificate{certificate, path}, nil
}
