// Command faultinit stands in front of /init of an image that is under test: it starts a process beside PID 1 and then becomes the
// program as it is shipped, /preroot. What that process does stands on the kernel command line, from which the kernel makes the environment
// of PID 1:
//
//	PREROOT_FAULT=fail:fsopen=overlay     let a kernel call of PID 1 fail with EIO
//	PREROOT_FAULT=stall:fsopen=overlay    never let it return
//	PREROOT_FAULT=kill:fsopen=overlay     let it be the end of PID 1
//	PREROOT_WATCH=10,40                   say what PID 1 has done between these seconds
//
// Without either it only becomes /preroot. PID 1 is stopped at its calls by seccomp(2) and ptrace(2): nothing in the program knows of it.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	self      = "/init"
	program   = "/preroot"
	faultWord = "PREROOT_FAULT"
	watchWord = "PREROOT_WATCH"
	// mark starts each line in the kernel's log. A test reads them.
	mark = "faultinit: "
)

func init() {
	// The main goroutine is on the main thread of PID 1, which alone is left after execve(2).
	runtime.LockOSThread()
}

func main() {
	if os.Getpid() != 1 {
		say("%v", beside(os.Args[1:]))
		// Its parent need not hear of it.
		select {}
	}
	if err := start(); err != nil {
		say("%v", err)
	}
	say("%v", unix.Exec(program, append([]string{self}, os.Args[1:]...), os.Environ()))
	select {}
}

// beside is what the process beside PID 1 does.
func beside(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("this is for the image of a test")
	}
	if arguments[0] == watchWord {
		return watch(arguments[1])
	}
	return inject(arguments[1])
}

// start starts it, as the environment says, and makes PID 1 ready for it.
func start() error {
	for _, word := range []string{faultWord, watchWord} {
		value := os.Getenv(word)
		if value == "" {
			continue
		}
		read, write, err := os.Pipe()
		if err != nil {
			return err
		}
		_, err = os.StartProcess(self, []string{self, word, value}, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, write}})
		write.Close()
		if err != nil {
			return err
		}
		// It closes its end when it is ready.
		_, _ = read.Read(make([]byte, 1))
		read.Close()
		if word == faultWord {
			return stopAtCalls()
		}
	}
	return nil
}

// ready lets PID 1 go on.
func ready() error { return os.NewFile(3, "ready").Close() }

// say writes to the kernel's log, through a node of its own that is gone at once: the image's /dev is empty, and what is mounted there
// moves.
func say(format string, arguments ...any) {
	const node = "/faultinit.kmsg"
	const kernelLog = 1<<8 | 11
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, kernelLog); err != nil && !errors.Is(err, unix.EEXIST) {
		fmt.Println(mark, err)
	}
	file, err := os.OpenFile(node, os.O_WRONLY, 0)
	if err != nil {
		file = os.Stdout
	} else {
		defer file.Close()
	}
	_ = os.Remove(node)
	fmt.Fprintf(file, "<5>"+mark+format+"\n", arguments...)
}
