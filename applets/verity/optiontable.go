package verity

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// option describes one option; the parser, the help and the usage are made of the
// table below.
type option struct {
	long  string
	short byte
	// argument names the value in the help; an option without one is a flag.
	argument string
	help     string
	// actions are those that take it, all when empty.
	actions []string
	// One of these says where the value goes. They are no closures, so that the table needs no making at the start of the program.
	flag     func(*options) *bool
	text     func(*options) *string
	number32 func(*options) *uint32
	number64 func(*options) *uint64
	// set stores it otherwise, and says with false that it is no good.
	set func(o *options, value string) bool
}

// optionTable lists the original's options, sorted by name as its help is.
// Checks of what goes together run in this order too.
var optionTable = []option{
	{long: "cancel-deferred", help: "Cancel a previously set deferred device removal", actions: []string{"close"},
		flag: func(o *options) *bool { return &o.cancelDeferred }},
	{long: "check-at-most-once", help: "Verify data block only the first time it is read",
		flag: func(o *options) *bool { return &o.checkAtMostOnce }},
	{long: "data-block-size", argument: "bytes", help: "Block size on the data device",
		number32: func(o *options) *uint32 { return &o.dataBlockSize }},
	{long: "data-blocks", argument: "blocks", help: "The number of blocks in the data file",
		number64: func(o *options) *uint64 { return &o.dataBlocks }},
	{long: "debug", help: "Show debug messages", set: func(o *options, _ string) bool {
		o.debug, o.verbose = true, true
		return true
	}},
	{long: "deferred", help: "Device removal is deferred until the last user closes it", actions: []string{"close"},
		flag: func(o *options) *bool { return &o.deferred }},
	{long: "error-as-corruption", help: "Handle IO error as corruption.", actions: []string{"open"},
		flag: func(o *options) *bool { return &o.errorAsCorruption }},
	{long: "fec-device", argument: "path", help: "Path to device with error correction data",
		set: func(o *options, value string) bool {
			o.fecDevice, o.fecDeviceGiven = value, true
			return true
		}},
	{long: "fec-offset", argument: "bytes", help: "Starting offset on the FEC device",
		number64: func(o *options) *uint64 { return &o.fecOffset }},
	{long: "fec-roots", argument: "bytes", help: "FEC parity bytes",
		number32: func(o *options) *uint32 { return &o.fecRoots }},
	{long: "format", argument: "number", help: "Format type (1 - normal, 0 - original Chrome OS)",
		number32: func(o *options) *uint32 { return &o.format }},
	{long: "hash", short: 'h', argument: "string", help: "Hash algorithm",
		text: func(o *options) *string { return &o.hash }},
	{long: "hash-block-size", argument: "bytes", help: "Block size on the hash device",
		number32: func(o *options) *uint32 { return &o.hashBlockSize }},
	{long: "hash-offset", argument: "bytes", help: "Starting offset on the hash device",
		number64: func(o *options) *uint64 { return &o.hashOffset }},
	{long: "ignore-corruption", help: "Ignore corruption, log it only", actions: []string{"open"},
		flag: func(o *options) *bool { return &o.ignoreCorruption }},
	{long: "ignore-zero-blocks", help: "Do not verify zeroed blocks", actions: []string{"open"},
		flag: func(o *options) *bool { return &o.ignoreZeroBlocks }},
	{long: "no-superblock", help: "Do not use verity superblock",
		flag: func(o *options) *bool { return &o.noSuperblock }},
	{long: "panic-on-corruption", help: "Panic kernel if corruption is detected", actions: []string{"open"},
		flag: func(o *options) *bool { return &o.panicOnCorruption }},
	{long: "restart-on-corruption", help: "Restart kernel if corruption is detected", actions: []string{"open"},
		flag: func(o *options) *bool { return &o.restartOnCorruption }},
	{long: "root-hash-file", argument: "STRING", help: "Path to root hash file", actions: []string{"format", "verify", "open"},
		set: func(o *options, value string) bool {
			o.rootHashFile, o.rootHashFileGiven = value, true
			return true
		}},
	{long: "root-hash-signature", argument: "STRING", help: "Path to root hash signature file", actions: []string{"open"},
		text: func(o *options) *string { return &o.rootHashSignature }},
	{long: "salt", short: 's', argument: "hex string", help: "Salt", set: func(o *options, value string) bool {
		o.salt, o.saltGiven = value, true
		return true
	}},
	{long: "shared", help: "Share data device with another verity segment", actions: []string{"open"},
		flag: func(o *options) *bool { return &o.shared }},
	{long: "use-tasklets", help: "Use kernel tasklets for performance", actions: []string{"open"},
		flag: func(o *options) *bool { return &o.useTasklets }},
	{long: "uuid", argument: "STRING", help: "UUID for device to use", set: func(o *options, value string) bool {
		o.uuid, o.uuidGiven = value, true
		return true
	}},
	{long: "verbose", short: 'v', help: "Shows more detailed error messages",
		flag: func(o *options) *bool { return &o.verbose }},
}

// ownOptions are those that veritysetup has not.
var ownOptions = []option{
	{long: "batch-mode", short: 'q', help: "Accepted and without effect: nothing is ever asked",
		set: func(*options, string) bool { return true }},
	{long: "certificate", argument: "file", help: "Certificate that a root hash signature may be made with, PEM or DER (several times)",
		actions: []string{"open"}, set: func(o *options, value string) bool {
			o.certificates = append(o.certificates, value)
			return value != ""
		}},
	{long: "check", help: "End with 2 if the device is corrupted", actions: []string{"status"},
		flag: func(o *options) *bool { return &o.check }},
	{long: "json", help: "Print one JSON object (docs/verity-json.md)", actions: []string{"status", "dump", "verify"},
		flag: func(o *options) *bool { return &o.json }},
	{long: "max-bad", argument: "number", help: "How many bad blocks to list", actions: []string{"verify"},
		set: func(o *options, value string) bool {
			n, err := strconv.ParseUint(value, 10, 20)
			o.maxBad = int(n)
			return err == nil && n > 0
		}},
	{long: "no-probe", help: "Do not read blocks through the opened device", actions: []string{"open"},
		flag: func(o *options) *bool { return &o.noProbe }},
	{long: "policy", argument: "word", help: "What is good enough: signed, verity or any", actions: []string{"open"},
		set: func(o *options, value string) bool {
			o.policy = value
			return slices.Contains([]string{"signed", "verity", "any"}, value)
		}},
	{long: "repair", help: "Write back what error correction restores", actions: []string{"verify"},
		flag: func(o *options) *bool { return &o.repair }},
	{long: "repair-to", argument: "file", help: "Write a corrected copy of the data", actions: []string{"verify"},
		text: func(o *options) *string { return &o.repairTo }},
	{long: "root-hash", argument: "hex", help: "Find data and hash partition by the root hash", actions: []string{"open"},
		text: func(o *options) *string { return &o.rootHash }},
}

// The options that print something and end, of the help's first part.
var textOptions = []option{
	{long: "help", short: '?', help: "Show this help message"},
	{long: "usage", help: "Display brief usage"},
	{long: "version", short: 'V', help: "Print package version"},
}

// store keeps the value, and says with false that it is no good.
func (d *option) store(o *options, value string) bool {
	switch {
	case d.flag != nil:
		*d.flag(o) = true
	case d.text != nil:
		*d.text(o) = value
	case d.number32 != nil:
		n, ok := parseNumber(value)
		*d.number32(o) = uint32(n)
		return ok && n <= math.MaxUint32
	case d.number64 != nil:
		n, ok := parseNumber(value)
		*d.number64(o) = n
		return ok
	default:
		return d.set(o, value)
	}
	return true
}

// parseNumber reads a decimal number as strtoull(3) does, for the original takes what
// that takes: white space and a sign in front, a negative number being the
// one that is as far below 2^64.
func parseNumber(text string) (uint64, bool) {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	digits := strings.TrimPrefix(text, "-")
	negative := len(digits) < len(text)
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || digits[0] == '+' {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}
