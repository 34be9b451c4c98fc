package writelog

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

// record is an entry of a log: its words, and its data.
type record struct {
	sector, count, flags uint64
	data                 []byte
}

func encode(records ...record) []byte {
	head := binary.LittleEndian.AppendUint64(nil, magic)
	head = binary.LittleEndian.AppendUint64(head, version)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(records)))
	head = binary.LittleEndian.AppendUint32(head, 512)
	log := append(head, make([]byte, 512-len(head))...)
	for _, r := range records {
		var entry []byte
		for _, word := range []uint64{r.sector, r.count, r.flags, 0} {
			entry = binary.LittleEndian.AppendUint64(entry, word)
		}
		log = append(append(log, append(entry, make([]byte, 512-len(entry))...)...), r.data...)
	}
	return log
}

type memory []byte

func (m memory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:], b), nil }

func TestReadAndApply(t *testing.T) {
	a, b := bytes.Repeat([]byte("a"), 1024), bytes.Repeat([]byte("b"), 512)
	log := encode(record{1, 2, 0, a}, record{0, 0, flush, nil}, record{7, 4, discard, nil}, record{2, 1, 2, b})
	entries, err := Read(bytes.NewReader(log), int64(len(log)))
	want := []Entry{{Offset: 512, Length: 1024, Data: 1024}, {Flush: true}, {Offset: 3584, Length: 2048}, {Offset: 1024, Length: 512, Data: 3584}}
	if err != nil || !reflect.DeepEqual(entries, want) {
		t.Fatalf("%+v, %v", entries, err)
	}
	// The part of the disk from its second sector on, without the last half of the first write.
	disk := memory(make([]byte, 1024))
	for _, e := range entries[:2] {
		if err := e.Apply(disk, 1024, 1024, bytes.NewReader(log)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(disk, append(a[:512:512], make([]byte, 512)...)) {
		t.Errorf("after the first flush %q", disk)
	}
	if err := entries[3].Apply(disk, 1024, 1024, bytes.NewReader(log)); err != nil || !bytes.Equal(disk[:512], b) {
		t.Errorf("%v, %q", err, disk)
	}
	// A log that ends within a write.
	if entries, err := Read(bytes.NewReader(log), int64(len(log))-256); err != nil || len(entries) != 3 {
		t.Errorf("%+v, %v", entries, err)
	}
}

func TestReadRefuses(t *testing.T) {
	bad := encode(record{1 << 60, 1, 0, make([]byte, 512)})
	sectors := encode()
	sectors[24] = 1
	for name, log := range map[string][]byte{"nothing": nil, "no log": make([]byte, 512), "far away": bad, "odd sectors": sectors} {
		if entries, err := Read(bytes.NewReader(log), int64(len(log))); err == nil {
			t.Errorf("%s: %+v", name, entries)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(encode(record{1, 1, 0, make([]byte, 512)}, record{0, 0, flush, nil}))
	f.Fuzz(func(t *testing.T, log []byte) {
		entries, err := Read(bytes.NewReader(log), int64(len(log)))
		for _, e := range entries {
			if err == nil && e.Data > 0 && e.Data+e.Length > int64(len(log)) {
				t.Errorf("%+v of %d bytes", e, len(log))
			}
		}
	})
}
