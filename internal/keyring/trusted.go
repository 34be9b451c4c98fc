package keyring

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DMVerity is the name of the keyring that dm-verity, from Linux 7.0 on, checks signatures of root
// hashes against besides the kernel's own keyrings. It counts only when it is sealed and not
// empty, and it can be filled only if the module was loaded with keyring_unsealed=1: otherwise the
// kernel has sealed it itself.
const DMVerity = ".dm-verity"

// ErrNoKeyring says that the kernel shows no keyring of the name.
var ErrNoKeyring = errors.New("the kernel has no such keyring")

// keysFile lists the keys that the caller may see (proc_keys(5)).
const keysFile = "/proc/keys"

// Keyring is a keyring of the kernel that certificates are added to.
type Keyring struct {
	name string
	id   int
}

// Find finds a keyring of the kernel by its name, such as DMVerity. ErrNoKeyring is matched by the
// error if there is none. The caller has to be root.
func Find(name string) (*Keyring, error) {
	text, err := os.ReadFile(keysFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("find keyring %s: %s is missing; is /proc mounted?", name, keysFile)
	}
	if err != nil {
		return nil, fmt.Errorf("find keyring %s: %w", name, err)
	}
	id, found := findInList(string(text), name)
	if !found {
		return nil, fmt.Errorf("find keyring %s: %w", name, ErrNoKeyring)
	}
	return &Keyring{name: name, id: id}, nil
}

// Columns of a line of /proc/keys, which are separated by spaces:
//
//	3d55f578 I------     1 perm 082f0000     0     0 keyring   .dm-verity: 1
const (
	columnID   = 0
	columnUser = 5
	columnType = 7
	columnName = 8
	columns    = 9
)

// findInList finds a keyring by name in the text of /proc/keys. It must belong to root: users
// name their own as they like.
func findInList(text, name string) (id int, found bool) {
	for line := range strings.SplitSeq(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < columns || fields[columnType] != "keyring" || fields[columnName] != name+":" || fields[columnUser] != "0" {
			continue
		}
		if serial, err := strconv.ParseInt(fields[columnID], 16, 32); err == nil && serial > 0 {
			return int(serial), true
		}
	}
	return 0, false
}

// AddCertificate adds an X.509 certificate in DER. Of the kernel's refusals, EPERM means that the
// keyring is sealed, EBADMSG that this is no certificate, and ENOPKG that the kernel has no
// code for its algorithms.
func (k *Keyring) AddCertificate(der []byte) error {
	// Of an empty payload the kernel would make a key to be filled later.
	err := error(unix.EBADMSG)
	if len(der) > 0 {
		_, err = unix.AddKey("asymmetric", "", der, k.id)
	}
	if err != nil {
		return &Error{Operation: OperationAdd, Key: "certificate to keyring " + k.name, Errno: err}
	}
	return nil
}

// Seal makes the kernel refuse all further keys, until the module is loaded anew. That it is
// sealed already is an error that matches unix.EEXIST.
func (k *Keyring) Seal() error {
	if err := unix.KeyctlRestrictKeyring(k.id, "", ""); err != nil {
		return &Error{Operation: OperationSeal, Key: "keyring " + k.name, Errno: err}
	}
	return nil
}
