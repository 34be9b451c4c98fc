package verity

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mainVariable makes a program of this test: see TestMain.
const mainVariable = "PREROOT_TEST_VERITY"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		os.Exit(Main(os.Args))
	}
	os.Exit(m.Run())
}

// meddler does something at the first write that has a text in it.
type meddler struct {
	bytes.Buffer
	when string
	do   func()
}

func (m *meddler) Write(b []byte) (int, error) {
	if m.do != nil && bytes.Contains(b, []byte(m.when)) {
		m.do()
		m.do = nil
	}
	return m.Buffer.Write(b)
}

// meddle runs the applet, and does something when it says a text: by then it knows the sizes of the files.
func meddle(t *testing.T, when string, do func(), arguments ...string) outcome {
	t.Helper()
	stdout, stderr := &meddler{when: when, do: do}, &meddler{when: when, do: do}
	s := &session{stdout: stdout, stderr: stderr, workers: 2}
	exit := s.run(t.Context(), append([]string{"veritysetup"}, arguments...))
	if stdout.do != nil && stderr.do != nil {
		t.Errorf("%q was never said", when)
	}
	return outcome{exit, stdout.String(), stderr.String()}
}

// TestFilesThatChangeUnderFormat: what shrinks is an error and leaves nothing; of what grows the part
// that was there is covered.
func TestFilesThatChangeUnderFormat(t *testing.T) {
	const warning = "WARNING: Kernel cannot activate"
	arguments := []string{"--data-block-size=8192", "--root-hash-file=root.txt", "format", "data.img", "hash.img"}
	workplace(t)
	got := meddle(t, warning, func() { truncate(t, "data.img", 70*4096) }, arguments...)
	if got.exit != exitParameters || !strings.Contains(got.stderr, "Input/output error while creating hash area.\nread data device at byte 286720: ") {
		t.Errorf("shrunk: %+v", got)
	}
	if left := listFiles(t); len(left) != 1 {
		t.Errorf("left: %v", left)
	}

	workplace(t)
	got = meddle(t, warning, func() { writeFile(t, "data.img", append(readFile(t, "data.img"), make([]byte, 1<<20)...)) }, arguments...)
	if got.exit != 0 || !strings.Contains(got.stdout, "Data blocks:     \t75\n") {
		t.Errorf("grown: %+v", got)
	}
	if got := call(1, "--root-hash-file=root.txt", "verify", "data.img", "hash.img"); got != (outcome{}) {
		t.Errorf("verify: %+v", got)
	}
}

func TestFilesThatChangeUnderVerify(t *testing.T) {
	for name, test := range map[string]struct {
		file    string
		size    int64
		message string
	}{
		"data shrinks": {"data.img", 70 * 4096, "Verification of data area failed.\n"},
		"tree shrinks": {"hash.img", 2 * 4096, "Verification of data area failed.\n"},
		"data grows":   {"data.img", 1 << 20, ""},
		"tree grows":   {"hash.img", 1 << 20, ""},
	} {
		t.Run(name, func(t *testing.T) {
			workplace(t)
			if got := call(1, "--root-hash-file=root.txt", "format", "data.img", "hash.img"); got.exit != 0 {
				t.Fatalf("%+v", got)
			}
			got := meddle(t, "# Verifying VERITY device", func() { truncate(t, test.file, test.size) },
				"--debug", "--root-hash-file=root.txt", "verify", "data.img", "hash.img")
			if (got.exit == 0) != (test.message == "") || !strings.HasSuffix(got.stderr, test.message) || test.message == "" && got.stderr != "" {
				t.Errorf("%+v", got)
			}
			if info, err := os.Stat(test.file); err != nil || info.Size() != test.size {
				t.Errorf("%v, %v: it was written to", info, err)
			}
		})
	}
}

// TestSignals ends a format in its middle: a process of its own, with a hole of 16 GiB, which takes seconds.
func TestSignals(t *testing.T) {
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		t.Chdir(t.TempDir())
		writeFile(t, "data.img", nil)
		truncate(t, "data.img", 16<<30)
		command := thisProgram(t, "--root-hash-file=root.txt", "format", "data.img", "hash.img")
		command.Env = append(os.Environ(), mainVariable+"=1")
		var stderr bytes.Buffer
		command.Stderr = &stderr
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		started := func() bool {
			info, err := os.Stat("hash.img")
			return err == nil && info.Size() > 0
		}
		for !started() {
			time.Sleep(time.Millisecond)
		}
		if err := command.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		err := command.Wait()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 128+int(signal) || stderr.String() != "Interrupted ("+signal.String()+").\n" {
			t.Errorf("%v: %v, %q", signal, err, &stderr)
		}
		if left := listFiles(t); len(left) != 1 {
			t.Errorf("%v: left %v", signal, left)
		}
	}
}

// thisProgram is the test binary with arguments, in the emulator that runs it: the kernel itself cannot start another architecture's program.
func thisProgram(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if emulator := os.Getenv("PREROOT_EMULATOR"); emulator != "" {
		return exec.Command(emulator, append([]string{path}, arguments...)...)
	}
	return exec.Command(path, arguments...)
}
