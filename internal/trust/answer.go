package trust

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/cms"
)

// What the kernel answers to a table with a signature (drivers/md/dm-verity-verify-sig.c,
// crypto/asymmetric_keys), by what it means. Other errors, such as EBUSY, are no answers.
var (
	lacksKey  = []error{unix.ENOKEY}
	lacksCode = []error{unix.ENOPKG, unix.EOPNOTSUPP}
	rejects   = []error{unix.EKEYREJECTED, unix.EKEYREVOKED, unix.EKEYEXPIRED, unix.EBADMSG}
)

// signatureWord is the word of a verity table that names the signature.
const signatureWord = "root_hash_sig_key_desc"

// ReadKernelAnswer says what the load of a table with a signature ended with: nil, or an error
// with an error number in it and the line of the kernel's log that goes with it ("" if there was
// none). It reports false for a failure that has nothing to do with the signature.
func ReadKernelAnswer(err error, log string) (KernelAnswer, bool) {
	matches := func(errno error) bool { return errors.Is(err, errno) }
	switch {
	case err == nil:
		return KernelAccepts, true
	case slices.ContainsFunc(lacksKey, matches):
		return KernelLacksKey, true
	case slices.ContainsFunc(lacksCode, matches):
		return KernelLacksCode, true
	case slices.ContainsFunc(rejects, matches):
		return KernelRejects, true
	// A kernel built without signatures does not know the word.
	case errors.Is(err, unix.EINVAL) && strings.Contains(log, signatureWord):
		return KernelLacksCode, true
	}
	return KernelNotAsked, false
}

// Check checks the signature of a root hash in user space. What is signed is the root hash in lower
// case hex, as it stands in the table.
func Check(rootHashHex string, signature []byte, trusted []*cms.Certificate) error {
	return cms.Verify(signature, []byte(strings.ToLower(rootHashHex)), trusted)
}
