package toolbox

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// shasum prints the hashes of files: -a says which, -c compares with a list of them. sha256sum and so on are it with one hash.
func shasum(c *call) error {
	set, names, err := c.parse("a:/algorithm b/binary c/check q/quiet S/status t/text")
	if err != nil {
		return err
	}
	algorithm, given := set.value('a')
	if !given {
		algorithm = strings.TrimSuffix(strings.TrimPrefix(c.name, "sha"), "sum")
	}
	newHash := map[string]func() hash.Hash{"": sha1.New, "1": sha1.New, "224": sha256.New224, "256": sha256.New, "384": sha512.New384, "512": sha512.New}[algorithm]
	if newHash == nil {
		return wrongUse("-a %s: it is one of 1 224 256 384 512", algorithm)
	}
	if set.has("c") {
		return c.checkSums(set, names, newHash)
	}
	c.eachInput(names, func(name string, r io.Reader) error {
		sum := newHash()
		if _, err := io.Copy(sum, r); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%x  %s\n", sum.Sum(nil), c.text(name))
		return nil
	})
	return nil
}

// checkSums compares files with lists of hashes and names.
func (c *call) checkSums(set options, lists []string, newHash func() hash.Hash) error {
	c.eachInput(lists, func(list string, r io.Reader) error {
		good, bad, odd := 0, 0, 0
		err := eachLine(r, func(line []byte) error {
			want, name, ok := sumLine(string(line), newHash().Size())
			if !ok {
				odd++
				return nil
			}
			verdict := "OK"
			if got, err := c.sumOf(name, newHash()); err != nil {
				c.complain(err)
				verdict = "FAILED open or read"
			} else if string(got) != string(want) {
				verdict = "FAILED"
			}
			if verdict == "OK" {
				good++
			} else {
				bad++
			}
			if !set.has("S") && (verdict != "OK" || !set.has("q")) {
				fmt.Fprintf(c.out, "%s: %s\n", c.text(name), verdict)
			}
			return c.Err()
		})
		switch {
		case err != nil:
			return err
		case good+bad == 0:
			return fmt.Errorf("%s: no line is a hash of this length and a name", list)
		case bad > 0:
			return fmt.Errorf("%d of %d files are not what the list says", bad, good+bad)
		case odd > 0:
			fmt.Fprintf(c.Stderr, "%s: %d lines of %s were not understood\n", c.name, odd, list)
		}
		return nil
	})
	return nil
}

func (c *call) sumOf(name string, sum hash.Hash) ([]byte, error) {
	r, err := c.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if _, err := io.Copy(sum, r); err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}

// sumLine reads "HASH  NAME" or "HASH *NAME"; size is that of the hash in bytes.
func sumLine(line string, size int) (sum []byte, name string, ok bool) {
	text, name, found := strings.Cut(strings.TrimSuffix(line, "\r"), " ")
	if !found || len(name) < 2 || name[0] != ' ' && name[0] != '*' {
		return nil, "", false
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != size {
		return nil, "", false
	}
	return sum, name[1:], true
}
