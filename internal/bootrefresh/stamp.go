package bootrefresh

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/preroot/preroot/internal/jsontext"
	"github.com/preroot/preroot/internal/osrelease"
)

// Stamp says what the boot merged, and in which state it left everything.
type Stamp struct {
	Version int
	Class   osrelease.Class
	// BootID is the kernel's, which is another one after each start of the kernel.
	BootID string
	// Program is the path of systemd's own program.
	Program string
	// Names are those of the merged extensions.
	Names []string
	State State
}

const stampVersion = 1

// maxStamp bounds what is read: 500 extensions take some 150 KiB.
const maxStamp = 8 << 20

func (s *Stamp) encode() []byte { return append(jsontext.Encode("", s.fields), '\n') }

func (s *Stamp) fields(f *jsontext.Fields) {
	f.Count("version", &s.Version)
	f.String("class", (*string)(&s.Class))
	f.String("bootId", &s.BootID)
	f.String("program", &s.Program)
	f.Strings("names", &s.Names)
	f.Inner("state", s.State.fields)
}

// ParseStamp reads a stamp for a class.
func ParseStamp(text []byte, class osrelease.Class) (*Stamp, error) {
	if len(text) > maxStamp {
		return nil, errors.New("read stamp: it is too large")
	}
	var s Stamp
	if err := jsontext.Decode(text, s.fields); err != nil {
		return nil, fmt.Errorf("read stamp: %w", err)
	}
	switch {
	case s.Version != stampVersion:
		return nil, fmt.Errorf("read stamp: version %d is unknown", s.Version)
	case s.Class != class:
		return nil, fmt.Errorf("read stamp: it is for %.20qs", s.Class)
	case s.BootID == "" || len(s.State.Hierarchies) == 0:
		return nil, errors.New("read stamp: it names no boot or no hierarchy")
	case !path.IsAbs(s.Program) || path.Base(s.Program) != ProgramName(class):
		return nil, fmt.Errorf("read stamp: it names %.60q as the program", s.Program)
	}
	return &s, nil
}

// ReadBootID returns the id that the kernel has given to this boot.
func ReadBootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}

// Merged tells what was merged in words.
func (s *Stamp) Merged() string {
	var places []string
	for _, h := range s.State.Hierarchies {
		if h.Merged {
			places = append(places, h.Path)
		}
	}
	what := "no " + string(s.Class)
	if len(s.Names) > 0 {
		what = strings.Join(s.Names, ", ")
	}
	return what + " into " + strings.Join(places, " and ")
}

// NewStamp makes the stamp of a class.
func NewStamp(class osrelease.Class, bootID, program string, names []string, state State) *Stamp {
	return &Stamp{Version: stampVersion, Class: class, BootID: bootID, Program: program, Names: names, State: state}
}
