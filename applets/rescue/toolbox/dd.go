package toolbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// copyPlan is what dd was asked to do. Sizes and offsets are in bytes.
type copyPlan struct {
	in, out           string
	inSize, outSize   int64
	skip, seek, count int64
	// hasCount: count bounds what is read, in blocks, or in bytes if countBytes.
	hasCount, countBytes bool
	conversions, inFlags map[string]bool
	outFlags             map[string]bool
	status               string
}

// dd copies blocks and shows how far it is. On a terminal it does so by itself; status=none is silent.
func dd(c *call) error {
	p, err := parseCopyPlan(c.Arguments[1:])
	if err != nil {
		return wrongUse("%v", err)
	}
	in, err := c.ddInput(p)
	if err != nil {
		return err
	}
	defer in.Close()
	out, closeOut, err := c.ddOutput(p)
	if err != nil {
		return err
	}
	stderr, isFile := c.Stderr.(*os.File)
	shows := p.status == "progress"
	if isFile && p.status == "" {
		_, err := unix.IoctlGetTermios(int(stderr.Fd()), unix.TCGETS)
		shows = err == nil
	}
	w := &copyRun{call: c, plan: p, in: in, out: out, started: time.Now(), shown: time.Now(), shows: shows}
	err = w.run()
	if file, ok := out.(*os.File); ok && err == nil {
		err = w.sync(file)
	}
	if closed := closeOut(); err == nil {
		err = closed
	}
	w.summary()
	return err
}

var (
	ddConversions = "excl fdatasync fsync nocreat noerror notrunc sparse sync"
	ddFlags       = "append count_bytes direct dsync fullblock nofollow nonblock seek_bytes skip_bytes sync"
)

// parseCopyPlan reads the words NAME=VALUE of dd.
func parseCopyPlan(words []string) (*copyPlan, error) {
	p := &copyPlan{inSize: 512, outSize: 512, conversions: map[string]bool{}, inFlags: map[string]bool{}, outFlags: map[string]bool{}}
	var skip, seek, blocks int64
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form NAME=VALUE", word)
		}
		var err error
		switch name {
		case "if":
			p.in = value
		case "of":
			p.out = value
		case "ibs":
			p.inSize, err = blockSize(value)
		case "obs":
			p.outSize, err = blockSize(value)
		case "bs":
			blocks, err = blockSize(value)
		case "count":
			p.hasCount = true
			p.count, err = parseSize(value)
			if strings.HasSuffix(value, "B") {
				p.countBytes = true
			}
		case "skip", "iseek":
			skip, err = parseSize(value)
			if strings.HasSuffix(value, "B") {
				p.inFlags["skip_bytes"] = true
			}
		case "seek", "oseek":
			seek, err = parseSize(value)
			if strings.HasSuffix(value, "B") {
				p.outFlags["seek_bytes"] = true
			}
		case "conv":
			err = readFlags(p.conversions, value, ddConversions)
		case "iflag":
			err = readFlags(p.inFlags, value, ddFlags)
		case "oflag":
			err = readFlags(p.outFlags, value, ddFlags)
		case "status":
			if p.status = value; value != "none" && value != "noxfer" && value != "progress" {
				err = errors.New("it is one of none, noxfer and progress")
			}
		default:
			err = errors.New("it is not known")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", word, err)
		}
	}
	if blocks > 0 {
		p.inSize, p.outSize = blocks, blocks
	}
	p.countBytes = p.countBytes || p.inFlags["count_bytes"]
	var err error
	if p.skip, err = offset(skip, p.inSize, p.inFlags["skip_bytes"]); err == nil {
		p.seek, err = offset(seek, p.outSize, p.outFlags["seek_bytes"])
	}
	return p, err
}

func offset(n, size int64, bytes bool) (int64, error) {
	if bytes {
		return n, nil
	}
	if n > (1<<63-1)/size {
		return 0, fmt.Errorf("%d blocks of %d bytes are more than a file can have", n, size)
	}
	return n * size, nil
}

// maxBlock bounds a block: it is held in memory.
const maxBlock = 256 << 20

func blockSize(text string) (int64, error) {
	n, err := parseSize(text)
	if err == nil && (n < 1 || n > maxBlock) {
		err = fmt.Errorf("a block has from 1 byte to %dM", maxBlock>>20)
	}
	return n, err
}

func readFlags(flags map[string]bool, list, known string) error {
	for flag := range strings.SplitSeq(list, ",") {
		if flag == "" || !strings.Contains(" "+known+" ", " "+flag+" ") {
			return fmt.Errorf("there is no %q, but %s", flag, known)
		}
		flags[flag] = true
	}
	return nil
}

func (c *call) ddInput(p *copyPlan) (io.ReadCloser, error) {
	if p.in == "" {
		if p.skip > 0 {
			_, err := io.CopyN(io.Discard, c.Stdin, p.skip)
			if err != nil {
				return nil, fmt.Errorf("skip %d bytes of standard input: %w", p.skip, err)
			}
		}
		return io.NopCloser(c.Stdin), nil
	}
	file, err := os.OpenFile(c.path(p.in), openFlags(os.O_RDONLY, p.inFlags), 0)
	if err != nil {
		return nil, err
	}
	if p.skip > 0 {
		if _, err := file.Seek(p.skip, io.SeekStart); err != nil {
			if _, err = io.CopyN(io.Discard, file, p.skip); err != nil {
				file.Close()
				return nil, fmt.Errorf("skip %d bytes of %s: %w", p.skip, p.in, err)
			}
		}
	}
	return file, nil
}

func openFlags(flags int, words map[string]bool) int {
	for word, flag := range map[string]int{"append": os.O_APPEND, "direct": unix.O_DIRECT, "dsync": unix.O_DSYNC, "nofollow": unix.O_NOFOLLOW,
		"nonblock": unix.O_NONBLOCK, "sync": os.O_SYNC} {
		if words[word] {
			flags |= flag
		}
	}
	return flags
}

func (c *call) ddOutput(p *copyPlan) (io.Writer, func() error, error) {
	if p.out == "" {
		if p.seek > 0 {
			return nil, nil, wrongUse("seek= needs of=")
		}
		return c.Stdout, func() error { return nil }, nil
	}
	flags := openFlags(os.O_WRONLY, p.outFlags)
	if !p.conversions["nocreat"] {
		flags |= os.O_CREATE
	}
	if p.conversions["excl"] {
		flags |= os.O_EXCL
	}
	if !p.conversions["notrunc"] && p.seek == 0 && !p.outFlags["append"] {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(c.path(p.out), flags, 0o666)
	if err != nil {
		return nil, nil, err
	}
	if p.seek > 0 {
		info, err := file.Stat()
		if err == nil && info.Mode().IsRegular() && !p.conversions["notrunc"] {
			err = file.Truncate(p.seek)
		}
		if err == nil {
			_, err = file.Seek(p.seek, io.SeekStart)
		}
		if err != nil {
			file.Close()
			return nil, nil, fmt.Errorf("go to byte %d of %s: %w", p.seek, p.out, lastCause(err))
		}
	}
	return file, file.Close, nil
}

// copyRun copies and counts.
type copyRun struct {
	*call
	plan                                   *copyPlan
	in                                     io.Reader
	out                                    io.Writer
	started, shown                         time.Time
	shows, wide                            bool
	fullIn, partIn, fullOut, partOut, size int64
	part, holes                            int64  // bytes of incomplete blocks; bytes not written yet since they are zero
	held                                   []byte // less than a block of output
}

func (w *copyRun) run() error {
	p := w.plan
	buf := alignedBuffer(int(p.inSize))
	for w.Err() == nil {
		want := p.inSize
		if p.hasCount {
			if p.countBytes {
				want = min(want, p.count-w.fullIn*p.inSize-w.part)
			} else if w.fullIn+w.partIn >= p.count {
				want = 0
			}
		}
		if want <= 0 {
			break
		}
		n, err := w.readBlock(buf[:want])
		if n > 0 {
			data := buf[:n]
			if int64(n) == p.inSize {
				w.fullIn++
			} else {
				w.partIn++
				w.part += int64(n)
				if p.conversions["sync"] {
					clear(buf[n:])
					data = buf
				}
			}
			if err := w.put(data); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if !p.conversions["noerror"] {
				return errors.Join(w.last(), err)
			}
			w.complain(err)
			if err := w.skipBad(buf); err != nil {
				return err
			}
		}
		w.progress()
	}
	return errors.Join(w.last(), w.Err())
}

// alignedBuffer is aligned for direct I/O.
func alignedBuffer(size int) []byte {
	const page = 4096
	if size < page {
		return make([]byte, size)
	}
	// The allocator aligns what is larger than a page to pages.
	return make([]byte, size+page-size%page)[:size]
}

// readBlock reads one block: all of it if it has to be whole, else what comes.
func (w *copyRun) readBlock(buf []byte) (int, error) {
	if w.plan.inFlags["fullblock"] {
		n, err := io.ReadFull(w.in, buf)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		return n, err
	}
	return w.in.Read(buf)
}

// skipBad goes on behind a block that cannot be read; with conv=sync zeros take its place.
func (w *copyRun) skipBad(buf []byte) error {
	file, ok := w.in.(io.Seeker)
	if !ok {
		return errors.New("conv=noerror needs an input that one can go on in")
	}
	if _, err := file.Seek(w.plan.inSize, io.SeekCurrent); err != nil {
		return err
	}
	w.partIn++
	if !w.plan.conversions["sync"] {
		return nil
	}
	clear(buf)
	return w.put(buf)
}

// put writes in blocks of the output's size.
func (w *copyRun) put(data []byte) error {
	if w.plan.inSize == w.plan.outSize && len(w.held) == 0 {
		return w.write(data)
	}
	w.held = append(w.held, data...)
	for int64(len(w.held)) >= w.plan.outSize {
		if err := w.write(w.held[:w.plan.outSize]); err != nil {
			return err
		}
		w.held = append(w.held[:0], w.held[w.plan.outSize:]...)
	}
	return nil
}

// last writes what is left.
func (w *copyRun) last() error {
	data := w.held
	w.held = nil
	if len(data) > 0 {
		if err := w.write(data); err != nil {
			return err
		}
	}
	if file, ok := w.out.(*os.File); ok && w.holes > 0 {
		end, err := file.Seek(0, io.SeekCurrent)
		if err == nil {
			var info os.FileInfo
			if info, err = file.Stat(); err == nil && info.Size() < end {
				err = file.Truncate(end)
			}
		}
		return err
	}
	return nil
}

func (w *copyRun) write(data []byte) error {
	file, ok := w.out.(*os.File)
	if w.plan.conversions["sparse"] && ok && isZero(data) {
		if _, err := file.Seek(int64(len(data)), io.SeekCurrent); err == nil {
			w.holes += int64(len(data))
			w.count(len(data))
			return nil
		}
	}
	n, err := w.out.Write(data)
	w.count(n)
	return err
}

func (w *copyRun) count(n int) {
	w.size += int64(n)
	if int64(n) == w.plan.outSize {
		w.fullOut++
	} else if n > 0 {
		w.partOut++
	}
}

func isZero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}

func (w *copyRun) sync(file *os.File) error {
	switch {
	case w.plan.conversions["fsync"]:
		return file.Sync()
	case w.plan.conversions["fdatasync"]:
		return unix.Fdatasync(int(file.Fd()))
	}
	return nil
}

// progress shows how far it is, at most once a second, in one line.
func (w *copyRun) progress() {
	now := time.Now()
	if !w.shows || now.Sub(w.shown) < time.Second {
		return
	}
	w.shown, w.wide = now, true
	fmt.Fprintf(w.Stderr, "\r%-78s", w.rate(now))
}

func (w *copyRun) rate(now time.Time) string {
	seconds := now.Sub(w.started).Seconds()
	return fmt.Sprintf("%d bytes (%s) copied, %.1f s, %s/s", w.size, humanSize(w.size), seconds, humanSize(int64(float64(w.size)/max(seconds, 1e-6))))
}

// summary is what dd says at the end.
func (w *copyRun) summary() {
	if w.wide {
		fmt.Fprintln(w.Stderr)
	}
	if w.plan.status == "none" {
		return
	}
	fmt.Fprintf(w.Stderr, "%d+%d records in\n%d+%d records out\n", w.fullIn, w.partIn, w.fullOut, w.partOut)
	if w.plan.status != "noxfer" {
		fmt.Fprintln(w.Stderr, w.rate(time.Now()))
	}
}
