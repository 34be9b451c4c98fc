package keyring

import (
	"encoding/hex"
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// builtin is the keyring that every kernel has which checks signatures.
const builtin = ".builtin_trusted_keys"

// judging are the keyrings, as far as a kernel has them, that decide about the signature of a root hash (verify_pkcs7_signature of
// certs/system_keyring.c, verity_verify_root_hash of drivers/md). Nobody else's keyrings have names that begin with a dot (add_key(2)).
var judging = []string{builtin, ".secondary_trusted_keys", ".machine", ".platform", DMVerity, ".blacklist"}

// maxDescription bounds the description of a key that is looked for (KEY_MAX_DESC_SIZE of keyctl(2), with its end).
const maxDescription = 4095

// LacksKeys reports whether the kernel has, for certain, no key of any of the identifiers, trusted or revoked, in the keyrings that
// signatures of root hashes are checked against: then it cannot judge a signature that these belong to. An identifier is as cms.KeyIdentifiers returns it. False means
// that there is such a key, or that it cannot be told: the caller is not root, /proc is missing, the kernel has revoked
// certificates by their hash.
//
// To look costs microseconds. To load a table with a signature makes the kernel prepare the algorithms of the certificates in it, which
// takes the better part of a second where it tests them first.
func LacksKeys(identifiers [][]byte) bool {
	text, err := os.ReadFile(keysFile)
	if err != nil {
		return false
	}
	rings, known := judgingKeyrings(string(text))
	if !known {
		return false
	}
	for _, ring := range rings {
		for _, identifier := range identifiers {
			description := "ex:" + hex.EncodeToString(identifier)
			if len(description) > maxDescription || !lacksKey(ring, description) {
				return false
			}
		}
	}
	return true
}

// lacksKey reports whether a keyring has no such key. A key that the caller may not use is there, too.
func lacksKey(ring int, description string) bool {
	_, err := unix.KeyctlSearch(ring, "asymmetric", description, 0)
	return errors.Is(err, unix.ENOKEY)
}

// judgingKeyrings returns those of the keyrings that are in the text of /proc/keys. It reports false if the list does not tell
// everything.
func judgingKeyrings(text string) (rings []int, known bool) {
	for line := range strings.SplitSeq(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) >= columns && fields[columnType] == "blacklist" && strings.HasPrefix(fields[columnName], "tbs:") {
			return nil, false
		}
	}
	for _, name := range judging {
		ring, found := findInList(text, name)
		if found {
			rings = append(rings, ring)
		} else if name == builtin {
			return nil, false
		}
	}
	return rings, true
}
