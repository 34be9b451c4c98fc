package initramfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/preroot/preroot/initramfs/contents"
)

const (
	// maxComplaint bounds what is kept of a compressor's messages, in bytes.
	maxComplaint = 4 << 10
	// versionTime bounds the call that asks for its version.
	versionTime = 10 * time.Second
)

// compressor is a running command that packs what is written to it.
type compressor struct {
	io.WriteCloser
	command  *exec.Cmd
	messages *bounded
}

// startCompressor runs a command without a shell. What it prints goes to w.
func startCompressor(stop context.Context, words []string, w io.Writer) (*compressor, error) {
	if stop == nil {
		stop = context.Background()
	}
	c := &compressor{command: exec.CommandContext(stop, words[0], words[1:]...), messages: &bounded{left: maxComplaint}}
	c.command.Env = plainEnvironment()
	c.command.Stdout = w
	c.command.Stderr = c.messages
	c.command.WaitDelay = time.Second
	input, err := c.command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", words[0], err)
	}
	c.WriteCloser = input
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", words[0], cause(err))
	}
	return c, nil
}

// plainEnvironment is ours without what changes the output of compressors unseen: their options in variables.
func plainEnvironment() []string {
	return append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"ZSTD_CLEVEL", "ZSTD_NBTHREADS", "XZ_DEFAULTS", "XZ_OPT", "GZIP", "BZIP", "BZIP2", "LZ4_CLEVEL", "LZ4_NBWORKERS", "LZOP"}, name)
	}), "LC_ALL=C")
}

// Close ends the input and waits for the rest of the output.
func (c *compressor) Close() error {
	err := c.WriteCloser.Close()
	if waiting := c.command.Wait(); waiting != nil {
		err = waiting
	}
	if err == nil {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimSpace(c.messages.String()), "\n")
	if first == "" {
		return fmt.Errorf("run %s: %w", c.command.Path, err)
	}
	return fmt.Errorf("run %s: %w: %s", c.command.Path, err, first)
}

// bounded keeps the beginning of what is written.
type bounded struct {
	bytes.Buffer
	left int
}

func (b *bounded) Write(text []byte) (int, error) {
	kept := text[:min(len(text), b.left)]
	b.left -= len(kept)
	b.Buffer.Write(kept)
	return len(text), nil
}

// atMost refuses more than so many bytes: a command that never ends would fill the disk.
type atMost struct {
	w    io.Writer
	left int64
	err  error // that of the refusal
}

func (m *atMost) Write(b []byte) (int, error) {
	if m.left -= int64(len(b)); m.left < 0 {
		m.err = errors.New("it writes more than twice what it is given")
		return 0, m.err
	}
	return m.w.Write(b)
}

// summed is what went into a compressor.
type summed struct {
	w    io.Writer
	sum  hash.Hash
	size int64
}

func (s *summed) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.sum.Write(b[:n])
	s.size += int64(n)
	return n, err
}

// errUnread: a compressor that ends well has read everything.
var errUnread = errors.New("it ended before it had read everything")

// unread tells a compressor that stopped reading from one that failed.
func unread(err error, words []string) error {
	if len(words) > 0 && errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("run %s: %w", words[0], errUnread)
	}
	return err
}

// checkCompressor unpacks what a command has written from offset on, and compares it with what it was given. It gives the name of the compression.
func checkCompressor(o Options, k *kernel, image io.ReaderAt, offset, size int64, given *summed) (compression string, err error) {
	sum := sha256.New()
	compression, unpacked, err := contents.Unpack(image, offset, size, sum)
	if err != nil {
		return "", fmt.Errorf("the kernel could not unpack what %q has written: %w", strings.Join(o.Compressor, " "), err)
	}
	if unpacked != given.size || !bytes.Equal(sum.Sum(nil), given.sum.Sum(nil)) {
		return "", fmt.Errorf("what %q has written is not what it was given: it unpacks to %d other bytes, given were %d", strings.Join(o.Compressor, " "), unpacked, given.size)
	}
	if option := compressionOptions[compression]; option != "" && k.config != nil && !k.config.IsSet(option) {
		return "", fmt.Errorf("check kernel %s: it could not boot this image, since it is built without %s (to unpack %s; --compress names another)", k.release, option, compression)
	}
	return compression, nil
}

// commandOf is how a command stands in a manifest: without the folder of its program, which is the host's.
func commandOf(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return strings.Join(append([]string{path.Base(words[0])}, words[1:]...), " ")
}

// compressorVersion is the first line that a program prints when it is asked for its version; nothing if it does not say.
func compressorVersion(stop context.Context, words []string) string {
	if len(words) == 0 {
		return ""
	}
	if stop == nil {
		stop = context.Background()
	}
	stop, end := context.WithTimeout(stop, versionTime)
	defer end()
	output := &bounded{left: maxComplaint}
	command := exec.CommandContext(stop, words[0], "--version")
	command.Env, command.Stdout, command.Stderr, command.WaitDelay = plainEnvironment(), output, output, time.Second
	if command.Run() != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(output.String()), "\n")
	return strings.ToValidUTF8(line[:min(len(line), 200)], "")
}

// repeatable are the programs and arguments that only compress: a manifest may come from anywhere, and must not run others.
var repeatable = struct{ programs, arguments []string }{
	[]string{"zstd", "xz", "gzip", "lz4", "bzip2", "lzma"},
	[]string{"-e", "--extreme", "-c", "-q", "-l", "-n", "--ultra", "--long", "--single-thread", "-T0", "-T1", "--check=crc32", "--check=none", "--format=lzma", "--best"},
}

// RepeatCompressor gives the command that a manifest names, to be run again, or an error that names it if it could do something else than compress.
func (m *Manifest) RepeatCompressor() ([]string, error) {
	words := strings.Fields(m.Image.Command)
	if len(words) == 0 {
		return nil, nil
	}
	good := slices.Contains(repeatable.programs, words[0])
	for _, word := range words[1:] {
		level, isOption := strings.CutPrefix(word, "-")
		isLevel := isOption && level != "" && len(level) <= 3 && strings.Trim(strings.TrimSuffix(level, "e"), "0123456789") == ""
		good = good && (isLevel || slices.Contains(repeatable.arguments, word))
	}
	if !good {
		return nil, fmt.Errorf("the manifest says that the image was packed by %q, which is not run because a file says so: give it with --compress", m.Image.Command)
	}
	return words, nil
}
