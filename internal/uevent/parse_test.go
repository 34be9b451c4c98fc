package uevent

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		message string
		want    Event
	}{
		{"add@/devices/virtual/block/loop0\x00ACTION=add\x00DEVPATH=/devices/virtual/block/loop0\x00SUBSYSTEM=block\x00SEQNUM=1234\x00",
			Event{"add", "/devices/virtual/block/loop0", map[string]string{
				"ACTION": "add", "DEVPATH": "/devices/virtual/block/loop0", "SUBSYSTEM": "block", "SEQNUM": "1234"}}},
		// The last NUL may be missing.
		{"change@/a\x00K=v", Event{"change", "/a", map[string]string{"K": "v"}}},
		{"remove@/a", Event{"remove", "/a", map[string]string{}}},
		{"bind@/a@b\x00K=v=w\x00E=\x00", Event{"bind", "/a@b", map[string]string{"K": "v=w", "E": ""}}},
		// Lines that are no property are passed over, and the last one of a name counts.
		{"add@/a\x00\x00word\x00=v\x00K=1\x00K=2\x00", Event{"add", "/a", map[string]string{"K": "2"}}},
		{"add@/\x00MODALIAS=pci:v00001AF4d00001001sv\x00", Event{"add", "/", map[string]string{"MODALIAS": "pci:v00001AF4d00001001sv"}}},
	} {
		event, ok := Parse([]byte(test.message))
		if !ok || !reflect.DeepEqual(event, test.want) {
			t.Errorf("%q: %+v, %v; want %+v", test.message, event, ok, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, message := range []string{
		"", "\x00", "add", "add@", "@/devices/x", "add@devices/x", "add /devices/x",
		// udev's own messages, should one get this far.
		"libudev\x00\xfe\xed\xca\xfe\x28\x00\x00\x00ACTION=add@/x\x00",
		"\x00add@/devices/x",
	} {
		if event, ok := Parse([]byte(message)); ok {
			t.Errorf("%q: %+v", message, event)
		}
	}
}

func TestParseKeepsNothingOfItsInput(t *testing.T) {
	buf := []byte("add@/a\x00K=v\x00")
	event, _ := Parse(buf)
	clear(buf)
	if event.Action != "add" || event.Path != "/a" || event.Properties["K"] != "v" {
		t.Errorf("%+v", event)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("add@/devices/virtual/block/loop0\x00ACTION=add\x00SUBSYSTEM=block\x00"))
	f.Add([]byte("libudev\x00\xfe\xed\xca\xfe"))
	f.Add([]byte("a@/\x00=\x00\x00=="))
	f.Fuzz(func(t *testing.T, message []byte) {
		event, ok := Parse(message)
		if !ok {
			if !reflect.DeepEqual(event, Event{}) {
				t.Errorf("%q: refused, and %+v", message, event)
			}
			return
		}
		if event.Action == "" || !strings.HasPrefix(event.Path, "/") || !strings.HasPrefix(string(message), event.Action+"@"+event.Path) {
			t.Errorf("%q: %+v", message, event)
		}
		for key, value := range event.Properties {
			if key == "" || strings.ContainsAny(key, "=\x00") || !strings.Contains(string(message), "\x00"+key+"="+value) {
				t.Errorf("%q: property %q=%q", message, key, value)
			}
		}
	})
}
