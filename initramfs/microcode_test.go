package initramfs

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/initramfs/contents"
)

// intelUpdate is the header of an update of Intel's, and some data.
func intelUpdate(text string) string {
	update := make([]byte, 48, 1024)
	binary.LittleEndian.PutUint32(update, 1)
	binary.LittleEndian.PutUint32(update[20:], 1)
	update = append(update, text...)
	return string(pad(update, 1024))
}

// partsOf lists an image as "PART PATH" and gives the contents of its files.
func partsOf(t *testing.T, image []byte) (paths []string, files map[string]string, parts []contents.Part) {
	t.Helper()
	files = make(map[string]string)
	parts, err := contents.Walk(bytes.NewReader(image), int64(len(image)), func(e contents.Entry, r io.Reader) error {
		text, err := io.ReadAll(r)
		paths, files[e.Name] = append(paths, e.Name), string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths, files, parts
}

func TestMicrocodeStandsInFront(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(folder, name)
		writeFile(t, file, text)
		return file
	}
	amd := "DMA\x00 of amd"
	write("intel-ucode/06-01", intelUpdate("one"))
	write("intel-ucode/06-02", intelUpdate("two"))
	write("amd-ucode/a.bin", amd)
	write("amd-ucode/a.bin.asc", "a signature")
	write("amd-ucode/README", "text")
	archive := write("early.cpio", string(microcodeArchive([]byte("ready"), nil, 5)))
	both := []string{filepath.Join(folder, "intel-ucode"), filepath.Join(folder, "amd-ucode")}
	for name, test := range map[string]struct {
		files      []string
		intel, amd string
		parts      int
	}{
		"a file":        {[]string{filepath.Join(folder, "intel-ucode/06-01")}, intelUpdate("one"), "", 2},
		"directories":   {both, intelUpdate("one") + intelUpdate("two"), amd, 2},
		"an archive":    {[]string{archive}, "ready", "", 2},
		"archive first": {[]string{archive, both[1]}, "ready", amd, 3},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			o.Microcode = test.files
			result, err := Build(o)
			if err != nil {
				t.Fatal(err)
			}
			image, err := os.ReadFile(o.Output)
			if err != nil {
				t.Fatal(err)
			}
			_, files, parts := partsOf(t, image)
			if len(parts) != test.parts || parts[0].Compression != contents.Plain || parts[len(parts)-1].Compression != CompressionZstd {
				t.Fatalf("parts %+v", parts)
			}
			if files[microcodeFolder+"/GenuineIntel.bin"] != test.intel || files[microcodeFolder+"/AuthenticAMD.bin"] != test.amd {
				t.Errorf("microcode %q", files)
			}
			for _, text := range []string{test.intel, test.amd} {
				if at := bytes.Index(image, []byte(text)); text != "" && text != "ready" && at%16 != 0 {
					t.Errorf("microcode at byte %d, which is no multiple of 16", at)
				}
			}
			if f := result.Manifest.Files[0]; f.Path != "kernel" || f.Reason != "microcode" {
				t.Errorf("the manifest begins with %+v", f)
			}
			if _, found := files["init"]; !found || result.Size != int64(len(image)) {
				t.Errorf("no /init, or %d bytes", result.Size)
			}
		})
	}
}

func TestMicrocodeRefuses(t *testing.T) {
	packed := append(bytes.Clone(microcodeArchive([]byte("x"), nil, 0)), gzipped(t, microcodeArchive([]byte("x"), nil, 0))...)
	foreign := bytes.ReplaceAll(microcodeArchive([]byte("x"), nil, 0), []byte(microcodeFolder), []byte("kernel/x87/microcode"))
	for name, test := range map[string]struct{ text, want string }{
		"text":         {"text", "is neither microcode of Intel or AMD nor a plain cpio archive"},
		"compressed":   {string(packed), "it is compressed in part"},
		"elsewhere":    {string(foreign), "it has nothing in kernel/x86/microcode"},
		"an initramfs": {strings.ReplaceAll(string(microcodeArchive([]byte("x"), nil, 0)), "kernel/", "kernal/"), "which is no microcode"},
		"cut":          {string(microcodeArchive([]byte("x"), nil, 0)[:150]), "it ends too early"},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			file := filepath.Join(t.TempDir(), "file")
			writeFile(t, file, test.text)
			o.Microcode = []string{file}
			if _, err := Build(o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	o := testOptions(t)
	o.Microcode = []string{"/no/such"}
	if _, err := Build(o); err == nil || !strings.Contains(err.Error(), "add microcode: stat /no/such") {
		t.Errorf("got %v", err)
	}
}
