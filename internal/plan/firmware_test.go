package plan

import (
	"errors"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/observe"
)

func TestCheckFirmware(t *testing.T) {
	ignore, err := ParseSettings([]byte("[Boot]\nTpmPhases=refuse\nTpmPhases=ignore\n"))
	if err != nil {
		t.Fatal(err)
	}
	measured := observe.Firmware{Measured: true, TPM2: true}
	for _, c := range []struct {
		line     string
		settings Settings
		firmware observe.Firmware
		want     string
	}{
		{wholeLine, Settings{}, observe.Firmware{}, ""},
		{wholeLine, Settings{}, observe.Firmware{TPM2: true}, ""},
		{wholeLine, Settings{}, observe.Firmware{Measured: true}, ""},
		{wholeLine, Settings{}, measured, "enter-initrd and leave-initrd"},
		{wholeLine, ignore, measured, ""},
		{wholeLine, Settings{}, observe.Firmware{Hibernated: true}, "HibernateLocation names a hibernation image"},
		{wholeLine, ignore, observe.Firmware{Hibernated: true}, "HibernateLocation names a hibernation image"},
		{wholeLine + " noresume", Settings{}, observe.Firmware{Hibernated: true}, ""},
	} {
		b, err := PlanBoot(kernelcmdline.Parse(c.line), c.settings)
		if err != nil {
			t.Fatal(err)
		}
		err = b.CheckFirmware(c.firmware)
		var refusal *Refusal
		if (err != nil) != (c.want != "") || err != nil && (!errors.As(err, &refusal) || !strings.Contains(refusal.Reason, c.want) || refusal.Advice == "") {
			t.Errorf("%s %+v: %v, want %q", c.line, c.firmware, err, c.want)
		}
	}
	for text, want := range map[string]string{
		"[Boot]\nTpmPhases=\n":    "neither refuse nor ignore",
		"[Boot]\nTpmPhases=yes\n": "neither refuse nor ignore",
		"[Boot]\nPhases=ignore\n": "unknown setting Phases= in [Boot]",
	} {
		if _, err := ParseSettings([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "read preroot.conf: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCheckAutomaticRoot(t *testing.T) {
	known := observe.Firmware{LoaderPartition: usrA}
	for line, refused := range map[string]bool{
		"": true, "root=gpt-auto": true, "mount.usr=off": true,
		"root=LABEL=x": false, "roothash=" + testHash: false, "usrhash=" + testHash: false, "root=gpt-auto mount.usr=LABEL=x": false,
	} {
		b := planLine(t, line)
		if err := b.CheckAutomaticRoot(observe.Firmware{}); (err != nil) != refused {
			t.Errorf("%q: %v", line, err)
		}
		if err := b.CheckAutomaticRoot(known); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestFindLoaderDisk(t *testing.T) {
	partitions := []observe.Partition{partition("vda1", "vda", 1, testData, ""), partition("vdb1", "vdb", 1, usrA, "")}
	copied := append(partitions, partition("vdc1", "vdc", 1, usrA, ""))
	for _, c := range []struct {
		loader     string
		partitions []observe.Partition
		want       string
	}{{usrA, partitions, "vdb"}, {usrA, copied, ""}, {usrA, nil, ""}, {"", partitions, ""}, {"odd", partitions, ""}} {
		if got := FindLoaderDisk(observe.Firmware{LoaderPartition: c.loader}, c.partitions); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
