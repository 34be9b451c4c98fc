package superblock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"
)

// raidV1 writes a superblock of version 1.x (md(4), the kernel's md_p.h) for a member whose
// superblock is at byte offset at.
func raidV1(image []byte, at int) {
	b := image[at:]
	binary.LittleEndian.PutUint32(b, 0xa92b4efc)
	binary.LittleEndian.PutUint32(b[4:], 1)
	copy(b[16:], []byte{0xc5, 0x3a, 0x70, 0x1b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	copy(b[32:], "host:0")
	binary.LittleEndian.PutUint64(b[144:], uint64(at/512))
}

func TestRAIDMembers(t *testing.T) {
	const size = 1<<20 + 5*512
	want := Info{Kind: RAID, UUID: "c53a701b-0102-0304-0506-0708090a0b0c", Label: "host:0", Clean: true}
	for name, at := range map[string]int{
		"1.1": 0,
		"1.2": 4096,
		"1.0": (size - 8192) &^ 4095,
	} {
		t.Run(name, func(t *testing.T) {
			image := make([]byte, size)
			// A mirror of version 1.0 has a whole file system in front of its superblock.
			copy(image[1024:2048], vectors(t)["ext4"].image[1024:2048])
			raidV1(image, at)
			got, err := Probe(bytes.NewReader(image))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
			binary.LittleEndian.PutUint64(image[at+144:], 77) // not its own place: a left-over
			if got, _ := Probe(bytes.NewReader(image)); got.Kind != Ext4 && at != 0 {
				t.Errorf("superblock of another place: %+v", got)
			}
		})
	}
}

func TestRAIDVersion090(t *testing.T) {
	image := make([]byte, 1<<20+4096)
	b := image[(1<<20)-65536:]
	binary.LittleEndian.PutUint32(b, 0xa92b4efc)
	binary.LittleEndian.PutUint32(b[8:], 90)
	copy(b[20:], []byte{1, 2, 3, 4})
	copy(b[52:], []byte{5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	got, err := Probe(bytes.NewReader(image))
	if err != nil || got.Kind != RAID || got.UUID != "04030201-0807-0605-0c0b-0a09100f0e0d" {
		t.Errorf("got %+v, %v", got, err)
	}
	binary.LittleEndian.PutUint32(b[8:], 91)
	if got, _ := Probe(bytes.NewReader(image)); got.Kind != Unknown {
		t.Errorf("version 0.91 is %+v", got)
	}
}

// Without a size only the start can be looked at; nothing else may depend on it.
func TestRAIDAtTheEndNeedsASize(t *testing.T) {
	image := make([]byte, 1<<20)
	raidV1(image, 1<<20-8192)
	unsized := struct{ io.ReaderAt }{bytes.NewReader(image)}
	if got, err := Probe(unsized); err != nil || got.Kind != Unknown {
		t.Errorf("without a size: %+v, %v", got, err)
	}
	if got, err := Probe(bytes.NewReader(image)); err != nil || got.Kind != RAID {
		t.Errorf("with a size: %+v, %v", got, err)
	}
}

func TestUnreadableEndIsAnError(t *testing.T) {
	r := bytes.NewReader(make([]byte, 1<<20))
	for _, from := range []int64{1 << 19, 1<<20 - 8192} {
		sized := struct {
			failingFrom
			size
		}{failingFrom{r, from}, 1 << 20}
		if _, err := Probe(sized); !errors.Is(err, errMedium) {
			t.Errorf("unreadable from byte %d: error is %v", from, err)
		}
	}
}

type size int64

func (s size) Size() int64 { return int64(s) }

// The smallest devices that have room for a superblock at the end.
func TestRAIDOnSmallestDevices(t *testing.T) {
	image := make([]byte, 8192)
	raidV1(image, 0)
	if got, _ := Probe(bytes.NewReader(image)); got.Kind != RAID {
		t.Errorf("8192 bytes: %+v", got)
	}
	image = make([]byte, 65536)
	binary.LittleEndian.PutUint32(image, 0xa92b4efc)
	binary.LittleEndian.PutUint32(image[8:], 90)
	if got, _ := Probe(bytes.NewReader(image)); got.Kind != RAID {
		t.Errorf("65536 bytes: %+v", got)
	}
	binary.LittleEndian.PutUint32(image, 1)
	if got, _ := Probe(bytes.NewReader(image)); got.Kind != Unknown {
		t.Errorf("without the magic: %+v", got)
	}
	raidV1(image, 4096)
	binary.LittleEndian.PutUint32(image[4096:], 1)
	if got, _ := Probe(bytes.NewReader(image)); got.Kind != Unknown {
		t.Errorf("version 1 without the magic: %+v", got)
	}
}

func TestSmallSizes(t *testing.T) {
	for size := range 200 {
		for _, step := range []int{1, 512, 4096} {
			if _, err := Probe(bytes.NewReader(make([]byte, size*step))); err != nil {
				t.Fatalf("%d bytes: %v", size*step, err)
			}
		}
	}
	if _, err := Probe(io.NewSectionReader(bytes.NewReader(nil), 0, -5)); err != nil {
		t.Error(err)
	}
}
