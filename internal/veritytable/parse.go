package veritytable

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what ParseTable looks at: far above what any kernel says.
const (
	maxTableText   = 64 << 10
	maxDigestBytes = 128
	fixedWords     = 10
)

// ParseTable reads the parameters of a verity target as the kernel prints them (DM_TABLE_STATUS with
// DM_STATUS_TABLE_FLAG; dmsetup table). Optional words may stand in any order and case; those
// that are not known are kept in Options.Other. Numbers are checked as ParseSuperblock does, the
// hash algorithm may be one that is not known here, and the devices must be "major:minor". The
// superblock of the table has no UUID, since the kernel is not told it.
func ParseTable(parameters string) (*Table, error) {
	if len(parameters) > maxTableText {
		return nil, fmt.Errorf("verity table of %d bytes, at most %d", len(parameters), maxTableText)
	}
	words := strings.Fields(parameters)
	if len(words) < fixedWords {
		return nil, fmt.Errorf("verity table has %d words, at least %d are needed", len(words), fixedWords)
	}
	p := wordReader{}
	t := &Table{
		Superblock: Superblock{
			HashType:      uint32(p.number("version", words[0], 32)),
			DataBlockSize: uint32(p.number("data block size", words[3], 32)),
			HashBlockSize: uint32(p.number("hash block size", words[4], 32)),
			DataBlocks:    p.number("number of data blocks", words[5], 64),
			Algorithm:     strings.ToLower(words[7]),
		},
		DataDevice: p.device(words[1]),
		HashDevice: p.device(words[2]),
		StartBlock: p.number("start of the tree", words[6], 64),
		RootHash:   p.bytes("root hash", words[8], maxDigestBytes),
	}
	if words[9] != "-" {
		t.Salt = p.bytes("salt", words[9], maxSalt)
	}
	if p.err == nil {
		p.err = t.validate()
	}
	if p.err == nil && len(words) > fixedWords {
		p.options(&t.Options, words[fixedWords], words[fixedWords+1:])
	}
	if p.err != nil {
		return nil, fmt.Errorf("verity table: %w", p.err)
	}
	return t, nil
}

// wordReader reads words and keeps the first error.
type wordReader struct{ err error }

func (p *wordReader) fail(format string, arguments ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, arguments...)
	}
}

func (p *wordReader) number(what, word string, bits int) uint64 {
	number, err := strconv.ParseUint(word, 10, bits)
	if err != nil {
		p.fail("%s %.40q is not a number of %d bits", what, word, bits)
	}
	return number
}

func (p *wordReader) device(word string) string {
	major, minor, _ := strings.Cut(word, ":")
	for _, part := range []string{major, minor} {
		if _, err := strconv.ParseUint(part, 10, 32); err != nil {
			p.fail("device %.40q is not major:minor", word)
		}
	}
	return word
}

func (p *wordReader) bytes(what, word string, limit int) []byte {
	b, err := hex.DecodeString(word)
	if err != nil || len(b) > limit {
		p.fail("%s %.40q is not hex of at most %d bytes", what, word, limit)
	}
	return b
}

// options reads the words behind their count.
func (p *wordReader) options(o *Options, count string, words []string) {
	wanted := int(p.number("number of optional words", count, 16))
	// The description of a key counts as one word even if it has blanks, which the kernel does not
	// quote when it prints a table.
	blanks := len(words) - wanted
	if blanks < 0 || blanks > 0 && !strings.Contains(strings.ToLower(strings.Join(words, " ")), wordSignature) {
		p.fail("%d optional words, %d were announced", len(words), wanted)
	}
	for p.err == nil && len(words) > 0 {
		words = words[p.option(o, words, blanks):]
	}
	if o.FEC != nil && o.FEC.Device == "" {
		p.fail("error correction without a device")
	}
}

// option reads the first of the words, and returns how many it took.
func (p *wordReader) option(o *Options, words []string, blanks int) int {
	switch word := strings.ToLower(words[0]); word {
	case wordIgnoreCorruption:
		o.OnCorruption = Ignore
	case wordRestartCorruption:
		o.OnCorruption = Restart
	case wordPanicCorruption:
		o.OnCorruption = Panic
	case wordRestartError:
		o.OnError = Restart
	case wordPanicError:
		o.OnError = Panic
	case wordZeroBlocks:
		o.IgnoreZeroBlocks = true
	case wordOnce:
		o.CheckAtMostOnce = true
	case wordTasklet:
		o.TryVerifyInTasklet = true
	case wordFECDevice, wordFECBlocks, wordFECStart, wordFECRoots, wordSignature:
		if len(words) < 2 {
			p.fail("%s has no argument", word)
			return 1
		}
		if word == wordSignature {
			end := min(2+blanks, len(words))
			o.SignatureKey = strings.Join(words[1:end], " ")
			return end
		}
		p.correction(o, word, words[1])
		return 2
	default:
		o.Other = append(o.Other, words[0])
	}
	return 1
}

// correction reads one of the four words of error correction, which the kernel does not print in the
// order in which libcryptsetup writes them.
func (p *wordReader) correction(o *Options, word, argument string) {
	if o.FEC == nil {
		o.FEC = &FEC{}
	}
	switch word {
	case wordFECDevice:
		o.FEC.Device = p.device(argument)
	case wordFECBlocks:
		o.FEC.Blocks = p.number(word, argument, 64)
	case wordFECStart:
		o.FEC.Start = p.number(word, argument, 64)
	case wordFECRoots:
		o.FEC.Roots = uint32(p.number(word, argument, 32))
	}
}
