package vmtest

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// CopyDisk copies a raw image without its holes. The copy shares its blocks
// with the original where the file system can do that. It must not exist yet.
func CopyDisk(destination, source string) (err error) {
	from, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	defer from.Close()
	to, err := os.OpenFile(destination, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	defer func() {
		if err = errors.Join(err, to.Close()); err != nil {
			os.Remove(destination)
		}
	}()
	if unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) == nil {
		return nil
	}
	info, err := from.Stat()
	if err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	if err := to.Truncate(info.Size()); err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	return copyData(to, from, info.Size())
}

// copyData copies the parts of a file that hold data (lseek(2), SEEK_DATA). A
// file system that knows no holes says that all of it is data.
func copyData(to, from *os.File, size int64) error {
	for position := int64(0); position < size; {
		start, err := unix.Seek(int(from.Fd()), position, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("copy disk: find data after %d: %w", position, err)
		}
		end, err := unix.Seek(int(from.Fd()), start, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("copy disk: find hole after %d: %w", start, err)
		}
		if _, err := io.Copy(io.NewOffsetWriter(to, start), io.NewSectionReader(from, start, end-start)); err != nil {
			return fmt.Errorf("copy disk: %d bytes at %d: %w", end-start, start, err)
		}
		position = end
	}
	return nil
}

// PatchDisk writes data at a byte offset inside an image. It never makes the
// image longer.
func PatchDisk(path string, offset int64, data []byte) error {
	return changeDisk(path, offset, len(data), func(old []byte) { copy(old, data) })
}

// FlipBit turns over one bit of an image: bit 0 (lowest) to 7 of the byte at
// the offset.
func FlipBit(path string, offset int64, bit uint) error {
	if bit > 7 {
		return fmt.Errorf("flip bit: a byte has no bit %d", bit)
	}
	return changeDisk(path, offset, 1, func(old []byte) { old[0] ^= 1 << bit })
}

func changeDisk(path string, offset int64, length int, change func(old []byte)) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("change disk: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	block := make([]byte, length)
	if _, err := file.ReadAt(block, offset); err != nil {
		return fmt.Errorf("change disk: read %d bytes at %d: %w", length, offset, err)
	}
	change(block)
	if _, err := file.WriteAt(block, offset); err != nil {
		return fmt.Errorf("change disk: write %d bytes at %d: %w", length, offset, err)
	}
	return nil
}
