//go:build guest

package observe

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/gpt/gpttest"
)

func TestStorageOfDevices(t *testing.T) {
	name := attachDisk(t, make([]byte, 64<<10))
	s, err := StorageOf(openForTest(t, "/dev/"+name))
	if err != nil || s.Size != 64<<10 || DevicePath("/sys", s.Number) != "/dev/"+name || LoopFile("/sys", s.Number) == "" {
		t.Fatalf("%+v, %v", s, err)
	}
	if number, err := DeviceNumber("/dev/" + name); number != s.Number || err != nil {
		t.Errorf("number %q, %v", number, err)
	}
	other, err := StorageOf(openForTest(t, "/dev/"+attachDisk(t, make([]byte, 4096))))
	if err != nil || s.Is(other) || !s.Is(s) {
		t.Errorf("%+v is %+v, %v", s, other, err)
	}
	if used, err := s.IsInUse(); used || err != nil {
		t.Errorf("in use: %v, %v", used, err)
	}
	holder, err := os.OpenFile(s.Name(), os.O_RDONLY|unix.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if used, err := s.IsInUse(); !used || err != nil {
		t.Errorf("in use: %v, %v", used, err)
	}
}

func TestFindVeritySignature(t *testing.T) {
	root := bytes.Repeat([]byte{0xab}, 32)
	text := fmt.Sprintf(`{"rootHash":"%x","signature":"%s"}`, root, base64.StdEncoding.EncodeToString([]byte("DER")))
	part := func(content string, size int) gpttest.Partition {
		return gpttest.Partition{Type: guid(t, dataID), ID: guid(t, hashID), Data: append([]byte(content), make([]byte, size-len(content))...)}
	}
	other := fmt.Sprintf(`{"rootHash":"%x","signature":"AAAA"}`, make([]byte, 32))
	disk := attachDisk(t, gpttest.Disk{Partitions: []gpttest.Partition{
		part("no JSON", 4096), part("{bad", 4096), part(other, 4096), part(text, 16384), part(text, 4096),
	}}.Bytes())
	without := attachDisk(t, gpttest.Disk{Partitions: []gpttest.Partition{part(other, 4096)}}.Bytes())
	var disks Disks
	partitions, _ := disks.Scan("/sys")
	signature, node, err := FindVeritySignature(partitions, disk, root)
	if err != nil || string(signature) != "DER" || node != "/dev/"+disk+"p4" {
		t.Errorf("%q on %s, %v", signature, node, err)
	}
	for _, test := range []struct {
		disk string
		root []byte
	}{{without, root}, {disk, root[:16]}, {"nosuch", root}} {
		if signature, node, err := FindVeritySignature(partitions, test.disk, test.root); signature != nil || node != "" || err != nil {
			t.Errorf("%s: %q on %s, %v", test.disk, signature, node, err)
		}
	}
}
