package veritytable

import (
	"slices"
	"strconv"
	"strings"
)

// Response is what the target does about a block that does not verify or cannot be read.
type Response string

// The responses. Whatever is not Ignore leaves the wrong data unread.
const (
	Fail    Response = ""        // the read fails with EIO
	Ignore  Response = "ignore"  // it is logged, and the wrong data handed out
	Restart Response = "restart" // the machine restarts
	Panic   Response = "panic"   // the kernel panics
)

// Options are the optional words of the target. The zero value has none.
type Options struct {
	// OnCorruption says what follows when a block does not verify, OnError (Restart, Panic or
	// Fail) when it cannot be read.
	OnCorruption, OnError Response
	IgnoreZeroBlocks      bool // what ought to be zeros reads as zeros and is not looked at
	CheckAtMostOnce       bool // a data block is verified the first time only
	TryVerifyInTasklet    bool // faster for small reads
	// FEC is the error correction, nil for none.
	FEC *FEC
	// SignatureKey is the description of the key of type "user" that holds the signature of the root
	// hash (PKCS#7 in DER), "" for none. The kernel looks for it in the keyrings of the thread
	// that loads the table.
	SignatureKey string
	// Other are words of newer kernels that ParseTable does not know.
	Other []string
}

// FEC is where the parity bytes lie that the kernel corrects blocks with. It needs data and
// hash blocks of one size.
type FEC struct {
	Device string // "major:minor"
	Roots  uint32 // parity bytes of a codeword, 2 to 24
	Start  uint64 // first block of the parity on its device
	Blocks uint64 // covered blocks: the data, and the hash device from the start of the tree on
}

// Names of the words, from Linux Documentation/admin-guide/device-mapper/verity.rst.
const (
	wordIgnoreCorruption  = "ignore_corruption"
	wordRestartCorruption = "restart_on_corruption"
	wordPanicCorruption   = "panic_on_corruption"
	wordRestartError      = "restart_on_error"
	wordPanicError        = "panic_on_error"
	wordZeroBlocks        = "ignore_zero_blocks"
	wordOnce              = "check_at_most_once"
	wordTasklet           = "try_verify_in_tasklet"
	wordFECDevice         = "use_fec_from_device"
	wordFECBlocks         = "fec_blocks"
	wordFECStart          = "fec_start"
	wordFECRoots          = "fec_roots"
	wordSignature         = "root_hash_sig_key_desc"
)

// Flags returns the words that stand alone, in the order in which libcryptsetup writes them.
func (o *Options) Flags() []string {
	var words []string
	switch o.OnCorruption {
	case Ignore:
		words = append(words, wordIgnoreCorruption)
	case Restart:
		words = append(words, wordRestartCorruption)
	case Panic:
		words = append(words, wordPanicCorruption)
	}
	switch o.OnError {
	case Restart:
		words = append(words, wordRestartError)
	case Panic:
		words = append(words, wordPanicError)
	}
	for _, flag := range []struct {
		set  bool
		word string
	}{{o.IgnoreZeroBlocks, wordZeroBlocks}, {o.CheckAtMostOnce, wordOnce}, {o.TryVerifyInTasklet, wordTasklet}} {
		if flag.set {
			words = append(words, flag.word)
		}
	}
	return words
}

// words returns all words as the kernel takes them, an argument being a word of its own.
func (o *Options) words() []string {
	words := o.Flags()
	if o.FEC != nil {
		words = append(words,
			wordFECDevice, o.FEC.Device,
			wordFECStart, strconv.FormatUint(o.FEC.Start, 10),
			wordFECBlocks, strconv.FormatUint(o.FEC.Blocks, 10),
			wordFECRoots, strconv.FormatUint(uint64(o.FEC.Roots), 10))
	}
	if o.SignatureKey != "" {
		words = append(words, wordSignature, quoteWord(o.SignatureKey))
	}
	return append(slices.Clip(words), o.Other...)
}

// quoteWord makes one word of a text: the device mapper splits parameters at white space and takes
// what stands behind a backslash as it is.
func quoteWord(text string) string {
	return strings.NewReplacer(`\`, `\\`, " ", `\ `, "\t", "\\\t", "\n", "\\\n", "\v", "\\\v", "\f", "\\\f", "\r", "\\\r").Replace(text)
}
