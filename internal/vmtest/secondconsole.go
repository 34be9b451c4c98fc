package vmtest

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// secondDevice makes QEMU's arguments for a second console that keeps in a file what it prints. What somebody types comes through a socket:
// the last of exec.Cmd's ExtraFiles.
func secondDevice(c Config) []string {
	if c.SecondConsole == "" {
		return nil
	}
	source := "file,path=" + doubleCommas(c.SecondConsole)
	if len(c.SecondDialog) > 0 {
		descriptor := monitorDescriptor
		if len(c.Plugs) > 0 {
			descriptor++
		}
		source = "socket,fd=" + strconv.Itoa(descriptor) + ",logfile=" + doubleCommas(c.SecondConsole)
	}
	return []string{"-chardev", source + ",id=second", "-device", "virtio-serial", "-device", "virtconsole,chardev=second"}
}

// typeOnSecond types on the second console what its dialog says, until QEMU ends or end is called. machine is QEMU's end of the socket.
func typeOnSecond(exchanges []Exchange) (machine *os.File, end func(), err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make second console: %w", err)
	}
	ours, machine := os.NewFile(uintptr(ends[0]), "second console"), os.NewFile(uintptr(ends[1]), "second console of the machine")
	talk := newDialog(exchanges, ours)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := ours.Read(buf)
			if err != nil || n == 0 {
				return
			}
			talk.hear(buf[:n])
		}
	}()
	return machine, func() {
		// The other end may be open in a QEMU that is being killed: this one ends the reading.
		_ = unix.Shutdown(int(ours.Fd()), unix.SHUT_RDWR)
		machine.Close()
		<-done
		ours.Close()
	}, nil
}
