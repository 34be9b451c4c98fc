package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/superblock"
)

func TestParseSysextSelection(t *testing.T) {
	changed := flatcarSelection
	changed.Device = Selector{ByPartLabel, "OEM"}
	changed.Copies = ""
	changed.Enabled = []string{"/etc/names"}
	for text, want := range map[string]SysextSelection{
		"[ConfExt]\nRequire=x\n":              {},
		"[SysExtSelection]\n":                 {},
		"[SysExtSelection]\nPreset=flatcar\n": flatcarSelection,
		"[SysExtSelection]\nOemDevice=PARTLABEL=OEM\nOemCopies=\nEnabled=\nEnabled=/etc/names\nPreset=flatcar\n": changed,
		"[SysExtSelection]\nOemDirectory=/oem\nOemDevice=\n":                                                     {OEM: "/oem"},
		"[SysExtSelection]\nEnabled=/etc/a /usr/b\nImages=/var/images\nPrefix=x-\n": {
			Enabled: []string{"/etc/a", "/usr/b"}, Images: "/var/images", Prefix: "x-",
		},
	} {
		settings, err := ParseSettings([]byte(text))
		if err != nil || !reflect.DeepEqual(settings.Selection, want) {
			t.Errorf("%q: %+v, %v", text, settings.Selection, err)
		}
	}
	if len(flatcarSelection.Enabled) != 2 {
		t.Error("the preset was changed")
	}
	if !flatcarSelection.IsSet() || !(&SysextSelection{Enabled: []string{"/etc/a"}}).IsSet() || (&SysextSelection{Images: "/etc/a"}).IsSet() {
		t.Error("IsSet")
	}
}

func TestBadSysextSelection(t *testing.T) {
	for text, want := range map[string]string{
		"Preset=coreos":       "not known",
		"OemDirectory=oem":    "below /",
		"OemDirectory=/":      "below /",
		"OemCopies=/a/../b":   "below /",
		"Images=/a/":          "below /",
		"Enabled=/a b":        "below /",
		"Prefix=../":          "without '/'",
		"OemDevice=/oem":      "preroot finds devices by",
		"OemDevice=LABEL=":    "label is empty",
		"OemDirectroy=/usr/x": "unknown setting",
	} {
		if _, err := ParseSettings([]byte("[SysExtSelection]\n" + text + "\n")); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "preroot.conf") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestFindOEM(t *testing.T) {
	partition := func(disk, name, label string) observe.Partition {
		return observe.Partition{
			Device: blockdev.Device{Name: disk + "6", Disk: disk}, Entry: gpt.Entry{Number: 6, Name: name},
			Content: superblock.Info{Kind: superblock.Ext4, Label: label},
		}
	}
	partitions := []observe.Partition{partition("sda", "OEM", "OEM"), partition("sdb", "OEM", "other"), partition("sdb", "other", "OEM")}
	b := Boot{Selection: flatcarSelection}
	if got := b.FindOEM(partitions, "sdb"); got != &partitions[2] {
		t.Errorf("by its label: %+v", got)
	}
	b.Selection.Device = Selector{ByPartLabel, "OEM"}
	if got := b.FindOEM(partitions, "sdb"); got != &partitions[1] {
		t.Errorf("by its partition: %+v", got)
	}
	if got := b.FindOEM(partitions, "sdc"); got != nil {
		t.Errorf("on another disk: %+v", got)
	}
	b.Selection.Device = Selector{}
	if got := b.FindOEM(partitions, "sda"); got != nil {
		t.Errorf("without a name: %+v", got)
	}
}

func TestNoteSelection(t *testing.T) {
	b := Boot{}
	b.NoteSelection("100% of it")
	if !slices.Equal(b.Fallback.Reasons(), []string{"100% of it"}) || b.Fallback.Refusal() != nil {
		t.Errorf("%+v", b.Fallback)
	}
}
