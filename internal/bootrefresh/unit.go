package bootrefresh

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// unitDirectories have units and drop-ins, the first one before the others (systemd.unit(5)).
var unitDirectories = []string{"/etc/systemd/system.control", "/run/systemd/system.control", "/etc/systemd/system",
	"/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}

// Unit is what matters of the service of a class.
type Unit struct {
	// Program is the path of what it starts, with links resolved in its directory only.
	Program string
	// Absolute says that the unit names the path, and not just the name.
	Absolute bool
}

// ReadUnit reads the service of a class with all its drop-ins below root. A service that does not just refresh is an error: it
// is somebody's own, and must be left alone.
func ReadUnit(root *rootdir.Root, class osrelease.Class) (*Unit, error) {
	name := ProgramName(class) + ".service"
	files, err := findUnitFiles(root, name)
	if err != nil {
		return nil, err
	}
	var commands []string
	for _, file := range files {
		text, err := root.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if commands, err = readCommands(commands, text); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
	}
	unit, err := parseCommands(class, commands)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if unit.Absolute {
		return unit, checkProgram(root, unit.Program)
	}
	for _, directory := range searchPath {
		at := path.Join(directory, unit.Program)
		if checkProgram(root, at) == nil {
			unit.Program = at
			return unit, nil
		}
	}
	return nil, fmt.Errorf("read %s: %s is in none of %s", name, unit.Program, strings.Join(searchPath, ", "))
}

// findUnitFiles returns the unit and then its drop-ins in the order in which systemd reads them.
func findUnitFiles(root *rootdir.Root, name string) ([]string, error) {
	var files []string
	dropIns := map[string]string{}
	for _, directory := range unitDirectories {
		at := path.Join(directory, name)
		if len(files) == 0 {
			entry, err := root.Resolve(at)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				return nil, err
			default:
				entry.Close()
				if !entry.IsRegular() || entry.Stat.Size == 0 {
					return nil, fmt.Errorf("%s is masked", at)
				}
				files = append(files, at)
			}
		}
	}
	if len(files) == 0 {
		return nil, errors.New("there is no " + name)
	}
	prefix, _, _ := strings.Cut(name, "-")
	for _, folder := range []string{name + ".d", prefix + "-.service.d", "service.d"} {
		for _, directory := range unitDirectories {
			names, err := root.ReadNames(path.Join(directory, folder))
			if err != nil {
				return nil, err
			}
			for _, dropIn := range names {
				if _, hidden := dropIns[dropIn]; !hidden && strings.HasSuffix(dropIn, ".conf") {
					dropIns[dropIn] = path.Join(directory, folder, dropIn)
				}
			}
		}
	}
	names := make([]string, 0, len(dropIns))
	for dropIn, at := range dropIns {
		if entry, err := root.Resolve(at); err == nil {
			entry.Close()
			// A link to /dev/null hides others of its name.
			if entry.IsRegular() {
				names = append(names, dropIn)
			}
		}
	}
	slices.Sort(names)
	for _, dropIn := range names {
		files = append(files, dropIns[dropIn])
	}
	return files, nil
}

// readCommands adds what a file says of ExecStart=.
func readCommands(commands []string, text []byte) ([]string, error) {
	file, err := inifile.Parse(text)
	if err != nil {
		return nil, err
	}
	for _, value := range file.All("Service", "ExecStart") {
		if value == "" {
			commands = nil
			continue
		}
		commands = append(commands, value)
	}
	if len(file.All("Service", "ExecSearchPath")) > 0 {
		return nil, errors.New("it sets ExecSearchPath=")
	}
	return commands, nil
}

// parseCommands knows one command: "refresh".
func parseCommands(class osrelease.Class, commands []string) (*Unit, error) {
	if len(commands) != 1 {
		return nil, fmt.Errorf("it has %d commands in ExecStart=, and not one", len(commands))
	}
	unknown := fmt.Errorf("ExecStart=%.80s is not the refresh that is known", commands[0])
	words := strings.Fields(commands[0])
	if len(words) != 2 || words[1] != "refresh" || path.Base(words[0]) != ProgramName(class) {
		return nil, unknown
	}
	unit := &Unit{Program: words[0], Absolute: path.IsAbs(words[0])}
	if !unit.Absolute && words[0] != ProgramName(class) || unit.Absolute && path.Clean(words[0]) != words[0] || strings.ContainsAny(words[0], "%$\"'\\:;") {
		return nil, unknown
	}
	return unit, nil
}

func checkProgram(root *rootdir.Root, at string) error {
	entry, err := root.Resolve(at)
	if err != nil {
		return err
	}
	defer entry.Close()
	if !entry.IsRegular() || entry.Stat.Mode&0o111 == 0 {
		return &fs.PathError{Op: "execute", Path: root.Host(at), Err: unix.EACCES}
	}
	return nil
}

// dropIn is the text that puts our directory in front of where the service's program is looked for.
func (u *Unit) dropIn(class osrelease.Class) string {
	directories := append([]string{classDirectory(class)}, searchPath...)
	commands := ""
	if u.Absolute {
		directories = []string{classDirectory(class), path.Dir(u.Program)}
		commands = "ExecStart=\nExecStart=" + ProgramName(class) + " refresh\n"
	}
	return "# Made by preroot, which merged the " + string(class) + "s of this boot. What is in " + classDirectory(class) + "\n" +
		"# makes sure that nothing has changed since, says so in the journal, and is gone after\n" +
		"# the first start: then the original is run. BootRefresh= in preroot.conf decides.\n" +
		"[Service]\nExecSearchPath=" + strings.Join(directories, ":") + "\n" + commands
}
