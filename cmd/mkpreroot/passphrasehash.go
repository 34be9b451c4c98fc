package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/argon2"
	"golang.org/x/term"

	"github.com/preroot/preroot/internal/passphrase"
)

// maxPassphrase is what a terminal takes on a line, in bytes.
const maxPassphrase = 4000

// runPassphraseHash asks for a passphrase twice on a terminal, or reads one line of standard input.
func runPassphraseHash(arguments []string, stdin *os.File, stdout, stderr io.Writer) error {
	if len(arguments) > 0 {
		return usageError{fmt.Sprintf("passphrase-hash: unexpected argument %q: the passphrase is asked for, or read from standard input", arguments[0])}
	}
	var text []byte
	var err error
	if term.IsTerminal(int(stdin.Fd())) {
		text, err = askTwice(func(prompt string) ([]byte, error) {
			fmt.Fprint(stderr, prompt)
			defer fmt.Fprintln(stderr)
			return term.ReadPassword(int(stdin.Fd()))
		})
	} else {
		text, err = readPassphrase(stdin)
	}
	if err != nil {
		return fmt.Errorf("read passphrase: %w", err)
	}
	salt := make([]byte, passphrase.SaltSize)
	if _, err := rand.Read(salt); err != nil {
		return fmt.Errorf("make salt: %w", err)
	}
	_, err = fmt.Fprintln(stdout, passphrase.New(argon2.IDKey, text, salt))
	return err
}

func askTwice(ask func(prompt string) ([]byte, error)) ([]byte, error) {
	first, err := ask("Passphrase: ")
	if err != nil {
		return nil, err
	}
	second, err := ask("The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, errors.New("the two differ")
	}
	return first, check(first)
}

// readPassphrase reads one line, without its end.
func readPassphrase(in io.Reader) ([]byte, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(in, maxPassphrase+2), maxPassphrase+2).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	return line, check(line)
}

func check(text []byte) error {
	switch {
	case len(text) == 0:
		return errors.New("it is empty")
	case len(text) > maxPassphrase:
		return fmt.Errorf("it is longer than %d bytes", maxPassphrase)
	}
	return nil
}
