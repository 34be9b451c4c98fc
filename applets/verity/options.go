package verity

// options are what was typed, after parsing. Sizes and offsets are in bytes
// unless said otherwise, and as typed: bounds are checked where they are used,
// in the original's order.
type options struct {
	action   string   // canonical: format verify open close status dump trust
	operands []string // "create NAME DATA HASH" is turned into "open DATA NAME HASH"

	// The tree.
	hash                         string
	dataBlockSize, hashBlockSize uint32
	dataBlocks                   uint64 // 0: as many as the device has
	hashOffset                   uint64
	format                       uint32
	salt                         string // hex or "-"
	saltGiven                    bool
	uuid                         string
	uuidGiven                    bool
	noSuperblock                 bool

	// Error correction.
	fecDevice      string
	fecDeviceGiven bool
	fecOffset      uint64
	fecRoots       uint32

	// The root hash and its signature.
	rootHashFile      string
	rootHashFileGiven bool
	rootHashSignature string
	rootHash          string // ours: --root-hash HEX, opens without naming devices

	// Behaviour of an opened device.
	ignoreCorruption, restartOnCorruption, panicOnCorruption, errorAsCorruption bool
	ignoreZeroBlocks, checkAtMostOnce, useTasklets, shared                      bool
	// Ours: do not read through the mapping after the open (--no-probe).
	noProbe bool

	// Close.
	deferred, cancelDeferred bool

	// Ours, for verify.
	repair   bool   // write back what error correction restores
	repairTo string // a corrected copy instead
	maxBad   int    // bad blocks to list; 0 is the default, see badLimit

	// Ours, for open.
	policy       string // signed, verity or any; "" if none was typed
	certificates []string

	// Ours, for status.
	check bool // exit 2 if the device is corrupted

	json           bool
	verbose, debug bool
}

// defaultOptions are the original's compiled-in defaults.
func defaultOptions() options {
	return options{hash: "sha256", dataBlockSize: 4096, hashBlockSize: 4096, format: 1, fecRoots: 2}
}
