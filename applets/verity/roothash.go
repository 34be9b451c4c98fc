package verity

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/preroot/preroot/internal/veritytable"
)

// readRootHash finds the root hash for a tree: in the file that was named, else
// in the operand with this index.
func (s *session) readRootHash(algorithm string, operand int) ([]byte, error) {
	text := ""
	switch {
	case s.rootHashFileGiven:
		size, _ := veritytable.DigestSize(algorithm)
		var err error
		if text, err = readRootHashFile(s.rootHashFile, 2*size); err != nil {
			return nil, err
		}
	case operand < len(s.operands):
		text = s.operands[operand]
	default:
		return nil, missingRootHash()
	}
	root, err := veritytable.ParseRootHash(text, algorithm)
	if err != nil {
		return nil, &failure{code: exitParameters, lines: "Invalid root hash string specified.", cause: err}
	}
	return root, nil
}

func missingRootHash() error {
	return fail(exitParameters, "Command requires <root_hash> or --root-hash-file option as argument.")
}

// readRootHashFile reads the first digits of a regular file; what stands
// behind them, such as a line feed, does not count.
func readRootHashFile(name string, digits int) (string, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		// Not opened: that of a pipe would wait.
		return "", &failure{code: exitParameters, lines: "Invalid root hash file " + name + ".", cause: errors.New("it is no regular file")}
	}
	var text []byte
	if err == nil {
		text, err = readStart(name, digits)
	}
	if err != nil {
		return "", &failure{code: exitParameters, lines: "Cannot read root hash file " + name + ".", cause: err}
	}
	if len(text) < digits {
		return "", &failure{code: exitParameters, lines: "Invalid root hash file " + name + ".",
			cause: fmt.Errorf("it has %d bytes, a root hash has %d digits", len(text), digits)}
	}
	return string(text), nil
}

// readStart reads at most n bytes of a file.
func readStart(name string, n int) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, int64(n)))
}
