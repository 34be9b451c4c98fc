package servicemanager

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// maxLine bounds a line of the authentication, in bytes. The manager's have at most 37: "OK", a space and
// the 32 digits of its id.
const maxLine = 1024

// authenticate goes through the authentication by which a D-Bus connection starts (section
// "Authentication Protocol" of the specification), with the mechanism EXTERNAL: the kernel has told the
// manager already who connected, and the user id is to be the same. File descriptors are not asked
// for, so none arrive.
//
// BEGIN goes out before the answer is there, as sd-bus does it, because systemd may take no notice of a
// first call otherwise: what it reads together with a BEGIN that comes alone stays in its buffer until more
// arrives on the socket (bus_socket_auth_verify_server in src/libsystemd/sd-bus/bus-socket.c; seen with
// systemd 252, where Reload then ran into its timeout). This way it has read BEGIN before it sends OK, and
// the call comes after that.
func (s *stream) authenticate(uid int) error {
	identity := hex.EncodeToString([]byte(strconv.Itoa(uid)))
	if err := s.write([]byte("\x00AUTH EXTERNAL " + identity + "\r\nBEGIN\r\n")); err != nil {
		return err
	}
	line, err := s.readLine()
	if err != nil {
		return err
	}
	// The id that follows has to be looked at by those only who know which one to expect.
	if word, _, _ := strings.Cut(line, " "); word != "OK" {
		return fmt.Errorf("user id %d is not accepted: %q", uid, line)
	}
	return nil
}

// readLine reads up to the end of a line, and not a byte of what comes behind it.
func (s *stream) readLine() (string, error) {
	var line []byte
	next := make([]byte, 1)
	for len(line) < maxLine {
		if err := s.read(next); err != nil {
			return "", err
		}
		line = append(line, next[0])
		if text, ended := strings.CutSuffix(string(line), "\r\n"); ended {
			return text, nil
		}
	}
	return "", fmt.Errorf("the service manager sent a line of more than %d bytes", maxLine)
}
