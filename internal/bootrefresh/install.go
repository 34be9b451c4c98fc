package bootrefresh

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// dropInName sorts behind what others have: the last one wins.
const dropInName = "zz-preroot.conf"

// Install puts program, this one, with its stamp and the drop-in of the class below root, whose /run is the one that the real
// root will have. What cannot be completed is taken away again.
func Install(root *rootdir.Root, unit *Unit, program string, stamp *Stamp) (err error) {
	at := root.Host(classDirectory(stamp.Class))
	dropIn := root.Host(path.Join("/run/systemd/system", ProgramName(stamp.Class)+".service.d", dropInName))
	defer func() {
		if err != nil {
			for _, file := range []string{dropIn, path.Join(at, ProgramName(stamp.Class)), path.Join(at, stampName), at} {
				os.Remove(file)
			}
			err = fmt.Errorf("prepare %s.service: %w", ProgramName(stamp.Class), err)
		}
	}()
	for _, directory := range []string{at, path.Dir(dropIn)} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	if err := copyProgram(root, program, path.Join(at, ProgramName(stamp.Class))); err != nil {
		return err
	}
	if err := os.WriteFile(path.Join(at, stampName), stamp.encode(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(dropIn, []byte(unit.dropIn(stamp.Class)), 0o644)
}

// copyProgram copies the program, or links it to the copy for the other class: the memory is the same.
func copyProgram(root *rootdir.Root, program, target string) (err error) {
	for _, class := range []osrelease.Class{osrelease.ClassConfext, osrelease.ClassSysext} {
		if os.Link(root.Host(path.Join(classDirectory(class), ProgramName(class))), target) == nil {
			return nil
		}
	}
	from, err := os.Open(program)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	// The kernel copies; io.Copy would link much more in.
	for {
		n, err := unix.Sendfile(int(to.Fd()), int(from.Fd()), nil, 1<<30)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("copy %s to %s: %w", program, target, err)
		}
		if n == 0 && err == nil {
			return to.Chmod(0o755)
		}
	}
}
