package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
)

const (
	testHash = "851d87190a92084adc84cf705f0f11e331a47bfa587c57234c2a0d9011708552"
	testData = "851d8719-0a92-084a-dc84-cf705f0f11e3"
	testTree = "31a47bfa-587c-5723-4c2a-0d9011708552"
	testRoot = "1619e9be-a664-4fb7-aeff-e22fdca40494"
	// wholeLine boots; tests add words, and later ones win.
	wholeLine = "root=PARTUUID=" + testRoot + " rw usrhash=" + testHash
)

func planLine(t *testing.T, line string) *Boot {
	t.Helper()
	b, err := PlanBoot(kernelcmdline.Parse(line), Settings{})
	if err == nil {
		_, err = PlanSecondStage(b.Fallback, false)
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return b
}

// refuseLine returns what stops a boot with a command line where there is no second stage.
func refuseLine(line string) error {
	b, err := PlanBoot(kernelcmdline.Parse(line), Settings{})
	if err == nil {
		_, err = PlanSecondStage(b.Fallback, false)
	}
	return err
}

func TestPlanBootOfTheUsualLine(t *testing.T) {
	b := planLine(t, "root=PARTUUID="+strings.ToUpper(testRoot)+" rootfstype=ext4 rootflags=rw rw "+
		"mount.usr=/dev/mapper/usr mount.usrfstype=erofs mount.usrflags=ro usrhash="+strings.ToUpper(testHash))
	if b.Usr.Volume.RootHash != testHash {
		t.Errorf("root hash %s", b.Usr.Volume.RootHash)
	}
	for _, c := range []struct{ got, want any }{
		{b.Usr.Volume.Data, Selector{ByPartUUID, testData}},
		{b.Usr.Volume.Hash, Selector{ByPartUUID, testTree}},
		{b.Root.Device, Selector{ByPartUUID, testRoot}},
		{b.Usr.Mount.Type, "erofs"},
		{b.Root.Type, "ext4"},
		{b.Usr.Mount.Attributes, mountapi.ReadOnly},
		{b.Root.Attributes, mountapi.Attributes(0)},
		{b.Init, "/sbin/init"},
		{b.Timeout, DefaultTimeout},
		{len(b.Warnings), 0},
		{b.Skip[osrelease.ClassSysext] || b.Skip[osrelease.ClassConfext], false},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	want := []Need{{"dm_verity", "usrhash="}, {"erofs", "mount.usrfstype="}, {"ext4", "rootfstype="}}
	if !slices.Equal(b.Modules, want) {
		t.Errorf("modules %v", b.Modules)
	}
}

func TestPlanBootRefuses(t *testing.T) {
	const root, rootAndHash = "root=PARTUUID=" + testRoot + " rw ", wholeLine
	for name, c := range map[string]struct{ line, want string }{
		"usrhash without value":    {root + "usrhash", "has usrhash without a value"},
		"rd.usrhash without value": {root + "rd.usrhash", "has usrhash without a value"},
		"empty usrhash":            {root + "usrhash=", "too short: 0 hex digits, at least 64"},
		"short usrhash":            {root + "usrhash=" + testHash[:62], "too short: 62 hex digits"},
		"a digit of usrhash lost":  {root + "usrhash=" + testHash[:63], "too short: 63 hex digits"},
		"usrhash of a sha1":        {root + "usrhash=" + testHash[:40], "too short: 40 hex digits"},
		"usrhash a digit too long": {root + "usrhash=" + testHash + "0", "65 hex digits, which is no whole number of bytes"},
		"usrhash not hex":          {root + "usrhash=g" + testHash[1:], `is not hexadecimal: "g" is no hex digit`},
		"usrhash with a space":     {root + `usrhash=" ` + testHash[1:] + `"`, `is not hexadecimal: " " is no hex digit`},
		"the last usrhash counts":  {rootAndHash + " usrhash=00", "too short"},
		"verity off":               {rootAndHash + " systemd.verity=0", "has usrhash=, and switches dm-verity off"},
		"verity off in the initrd": {rootAndHash + " rd.systemd.verity=no", "switches dm-verity off"},
		"no root to be searched":   {"rw usrhash=" + testHash + " systemd.gpt_auto=0", "switches the search for it off"},
		"nor in the initrd":        {wholeLine + " root=gpt-auto rd.systemd.gpt_auto=no", "switches the search for it off"},
		"root=tmpfs":               {wholeLine + " root=tmpfs", "root=tmpfs asks for a file system in memory"},
		"root=off":                 {wholeLine + " root=off", "root=off asks for no file system at all"},
		"root=dissect":             {wholeLine + " root=dissect", "root=dissect asks for a disk image"},
		"root=bind":                {wholeLine + " root=bind:/run/x", "root=bind:/run/x asks for a directory"},
		"root=fstab":               {wholeLine + " root=fstab", "root=fstab asks for what an fstab"},
		"volatile in another way":  {wholeLine + " systemd.volatile=maybe", "systemd.volatile=maybe asks for a root that forgets, in a way"},
		"diskless Flatcar":         {"verity.usr=LABEL=x verity.usrhash=" + testHash, "there is verity.usr= and no root=: that asks for a diskless system"},
		"diskless without verity":  {"mount.usr=LABEL=x", "there is mount.usr= and no root=: that asks for a diskless system"},
		"how to mount what":        {root + "mount.usrflags=ro", "how to mount /usr, and not what"},
		"which type of what":       {root + "mount.usrfstype=btrfs", "how to mount /usr, and not what"},
		"root by an empty UUID":    {wholeLine + " root=UUID=", "root=UUID=: the UUID is empty"},
		"root by id":               {wholeLine + " root=/dev/disk/by-id/x", "preroot finds devices by"},
		"root by an MBR's id":      {wholeLine + " root=PARTUUID=12345678-01", "root=PARTUUID=12345678-01: "},
		"root by an empty label":   {wholeLine + " root=PARTLABEL=", "the label is empty"},
		"root on device mapper":    {wholeLine + " root=/dev/mapper/other", "preroot finds devices by"},
		"a forced check":           {wholeLine + " fsck.mode=force", "preroot has no fsck"},
		"another mount.usr":        {wholeLine + " mount.usr=PARTUUID=" + testData, "... is not the device that usrhash= opens"},
		"empty mount.usr":          {wholeLine + " mount.usr=", "mount.usr= is not the device"},
		"data device":              {wholeLine + " systemd.verity_usr_data=ID=x", "systemd.verity_usr_data=ID=x: "},
		"hash device":              {wholeLine + " systemd.verity_usr_hash=", "systemd.verity_usr_hash=: "},
		"relative init":            {wholeLine + " init=bin/sh", "init=bin/sh is not an absolute path"},
		"empty init":               {wholeLine + " init=", "init= is not an absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			err := refuseLine(c.line)
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestPlanBootRefusesWhatItCannotHonour(t *testing.T) {
	for _, word := range []string{
		"resume=/dev/vda3", "rd.luks.uuid=x", "rd.luks.name=x", "luks.uuid=x", "luks.name=x",
		"rd.md.uuid=x", "rd.lvm.lv=x", "rd.lvm.vg=x", "netroot=x", "nfsroot=x", "flatcar.first_boot=detected",
		"coreos.first_boot=1", "ignition.firstboot", "rd.systemd.unit=rescue.target",
		"rd.unheard_of", "rd.unheard_of=0", "rd.luks=1", "rd.luks", "rd.md=maybe", "rd.udevx", "rd.driver.post=x",
	} {
		key, _, _ := strings.Cut(word, "=")
		for _, line := range []string{wholeLine + " " + word, word + " " + wholeLine, wholeLine + " " + strings.ReplaceAll(word, "_", "-"), wholeLine + " rd." + word} {
			err := refuseLine(line)
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(strings.ReplaceAll(refusal.Reason, "-", "_"), key+",") || refusal.Advice == "" {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	// Behind "--" a word is for init, and one that only starts alike is another.
	planLine(t, wholeLine+" usrfoo=1 noresume -- rd.break resume=x")
	planLine(t, wholeLine+" systemd.volatile=overlay systemd.volatile=no")
	planLine(t, "root=gpt-auto rw verity.usr=LABEL=x verity.usrhash="+testHash)
	// What is switched off, honoured, or about something else.
	planLine(t, wholeLine+" rd.luks=0 rd.md=no rd.lvm=off rd.auto=0 rd.systemd.debug-shell=0 rd.udev.log_level=debug rd.shell=0 rd.emergency=reboot"+
		" rd.systemd.log_level=debug rd.systemd.show_status=auto rd.vconsole.keymap=de rd.timeout=3 rd.info rd.systemd.verity=1")
	for _, key := range unsupported {
		if !strings.Contains(wholeLine, key+"=") {
			continue
		}
		t.Errorf("%s is refused and needed", key)
	}
}

func TestPlanBootRootSelectors(t *testing.T) {
	for text, want := range map[string]Selector{
		"PARTUUID=" + strings.ToUpper(testRoot):   {ByPartUUID, testRoot},
		"PARTLABEL=root-a":                        {ByPartLabel, "root-a"},
		`"PARTLABEL=my root"`:                     {ByPartLabel, "my root"},
		"/dev/vda2":                               {ByPath, "/dev/vda2"},
		"gpt-auto":                                {Kind: Automatic},
		"gpt-auto-force":                          {Kind: Automatic},
		"UUID=" + testRoot:                        {ByUUID, testRoot},
		"UUID=12AB-34CD":                          {ByUUID, "12AB-34CD"},
		"LABEL=ROOT":                              {ByLabel, "ROOT"},
		"/dev/disk/by-uuid/" + testRoot:           {ByUUID, testRoot},
		"/dev/disk/by-label/" + `my\x20root`:      {ByLabel, "my root"},
		"/dev/disk/by-partuuid/" + testRoot:       {ByPartUUID, testRoot},
		"/dev/disk/by-partlabel/" + `my\x20root`:  {ByPartLabel, "my root"},
		"/dev/disk/by-partlabel/" + `odd\xzz\x2`:  {ByPartLabel, `odd\xzz\x2`},
		"/dev/disk/by-partlabel/PARTLABEL=really": {ByPartLabel, "PARTLABEL=really"},
	} {
		b := planLine(t, "rw usrhash="+testHash+" root="+strings.Trim(text, `"`))
		if strings.HasPrefix(text, `"`) {
			b = planLine(t, "rw usrhash="+testHash+` root="`+strings.Trim(text, `"`)+`"`)
		}
		if b.Root.Device != want {
			t.Errorf("%s: %v", text, b.Root.Device)
		}
	}
}

func TestPlanBootModeOfRoot(t *testing.T) {
	for words, want := range map[string]struct {
		attributes mountapi.Attributes
		options    string
	}{
		"rw":                                    {0, ""},
		"ro rw":                                 {0, ""},
		"ro rootflags=rw":                       {0, ""},
		"rootflags=rw":                          {0, ""},
		"rootflags=ro,rw":                       {0, ""},
		"rw rw=1 ro=1":                          {0, ""},
		"rw rootflags=noatime,data=journal":     {mountapi.NoATime, "data=journal"},
		"rw rootflags=ro rootflags=subvol=a":    {0, "subvol=a"},
		`rw rootflags="nosuid,context=\"a,b\""`: {mountapi.NoSUID, ""},
	} {
		b := planLine(t, "root=/dev/vda2 usrhash="+testHash+" "+words)
		if b.Root.Attributes != want.attributes {
			t.Errorf("%s: attributes %#x", words, b.Root.Attributes)
		}
		if want.options != "" && (len(b.Root.Options) != 1 || b.Root.Options[0].String() != want.options) {
			t.Errorf("%s: options %v", words, b.Root.Options)
		}
	}
}

func TestPlanBootUsrIsAlwaysReadOnly(t *testing.T) {
	for _, words := range []string{"", "mount.usrflags=rw", "mount.usrflags=ro", "mount.usrfstype=auto mount.usrflags=noatime,rw"} {
		b := planLine(t, wholeLine+" mount.usr=/dev/mapper/usr "+words)
		if b.Usr.Mount.Attributes&mountapi.ReadOnly == 0 || b.Usr.Mount.Type != "" {
			t.Errorf("%q: %+v", words, b.Usr.Mount)
		}
	}
}

func TestPlanBootNamedVerityDevices(t *testing.T) {
	b := planLine(t, wholeLine+" systemd.verity_usr_data=/dev/vdb systemd.verity-usr-hash=PARTLABEL=tree")
	if b.Usr.Volume.Data != (Selector{ByPath, "/dev/vdb"}) || b.Usr.Volume.Hash != (Selector{ByPartLabel, "tree"}) || b.Usr.Volume.RootHash != testHash {
		t.Errorf("%+v", b.Usr)
	}
}

func TestPlanBootLongRootHash(t *testing.T) {
	long := strings.Repeat("ab", 16) + strings.Repeat("00", 32) + strings.Repeat("cd", 16)
	b := planLine(t, "root=/dev/vda2 rw usrhash="+long)
	if b.Usr.Volume.RootHash != long || b.Usr.Volume.Data.Value != "abababab-abab-abab-abab-abababababab" ||
		b.Usr.Volume.Hash.Value != "cdcdcdcd-cdcd-cdcd-cdcd-cdcdcdcdcdcd" {
		t.Errorf("%+v", b.Usr)
	}
}

func TestPlanBootTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5": 5 * time.Second, "5s": 5 * time.Second, "86400": 24 * time.Hour,
		"0": 0, "": 0, "-1": 0, "1min": 0, "86401": 0, "99999999999999999999": 0, "infinity": 0,
	} {
		b := planLine(t, wholeLine+" rd.timeout="+text)
		warned := want == 0
		if warned {
			want = DefaultTimeout
		}
		if b.Timeout != want || (len(b.Warnings) == 1) != warned {
			t.Errorf("rd.timeout=%s: %v, %v", text, b.Timeout, b.Warnings)
		}
	}
	if b := planLine(t, wholeLine+" rd.timeout"); b.Timeout != DefaultTimeout || len(b.Warnings) != 0 {
		t.Errorf("rd.timeout alone: %v, %v", b.Timeout, b.Warnings)
	}
}

func TestPlanBootInit(t *testing.T) {
	if b := planLine(t, wholeLine+" init=/a init=/usr/lib/systemd/systemd init"); b.Init != "/usr/lib/systemd/systemd" {
		t.Error(b.Init)
	}
}

func TestPlanBootSkipsClasses(t *testing.T) {
	required := Settings{Required: map[osrelease.Class][]string{osrelease.ClassConfext: {"00-default", "x"}}}
	for _, c := range []struct {
		words           string
		settings        Settings
		sysext, confext bool
		warnings        int
		refusal         string
	}{
		{words: ""},
		{words: "systemd.sysext=0", sysext: true},
		{words: "systemd.confext=no systemd.sysext=OFF", sysext: true, confext: true},
		{words: "systemd.confext=0 systemd.confext=1"},
		{words: "systemd.confext"},
		{words: "systemd.confext=maybe", warnings: 1},
		{words: "rd.systemd.confext=0"},
		{words: "systemd.confext=0", settings: required, refusal: "preroot.conf requires 00-default, x"},
		{words: "systemd.confext=maybe", settings: required, warnings: 1},
		{words: "systemd.sysext=0", settings: required, sysext: true},
		{words: "systemd.verity=maybe", warnings: 1},
	} {
		b, err := PlanBoot(kernelcmdline.Parse(wholeLine+" "+c.words), c.settings)
		if c.refusal != "" {
			if err == nil || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("%s: %v", c.words, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		if b.Skip[osrelease.ClassSysext] != c.sysext || b.Skip[osrelease.ClassConfext] != c.confext || len(b.Warnings) != c.warnings {
			t.Errorf("%s: %v, %v", c.words, b.Skip, b.Warnings)
		}
	}
}

func TestPlanBootModulesForRequiredImages(t *testing.T) {
	settings := Settings{Required: map[osrelease.Class][]string{
		osrelease.ClassConfext: {"c"}, osrelease.ClassSysext: {"s"},
	}}
	want := []Need{
		{"dm_verity", "usrhash="},
		{"loop", "preroot.conf requires the sysext s"}, {"overlay", "preroot.conf requires the sysext s"},
	}
	for range 20 {
		b, err := PlanBoot(kernelcmdline.Parse(wholeLine), settings)
		if err != nil || !slices.Equal(b.Modules, want) {
			t.Fatalf("%v, %v", b.Modules, err)
		}
	}
}

func TestShortenKeepsCharactersWhole(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("a", 40):               "",
		strings.Repeat("a", 41):               strings.Repeat("a", 40) + "...",
		strings.Repeat("a", 39) + "ä" + "bcd": strings.Repeat("a", 39) + "...",
		strings.Repeat("\x80", 50):            "...",
	} {
		if want == "" {
			want = text
		}
		if got := shorten(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzPlanBoot(f *testing.F) {
	f.Add(wholeLine)
	f.Add("root=/dev/vda2 rootflags=rw,x=\"a,b\" usrhash=" + testHash + " rd.timeout=5s mount.usrflags=,,")
	f.Add(`root="PARTLABEL=a b" rw usrhash=` + testHash + testHash + " systemd.verity_usr_hash=/dev/disk/by-partlabel/\\x20")
	f.Add("mount.usr=/dev/mapper/usr verity.usr=PARTUUID=" + testData + " rootflags=rw mount.usrflags=ro root=LABEL=ROOT verity.usrhash=" + testHash)
	f.Add("root=LABEL=ROOT usr=LABEL=x usrflags=rw,rescue=all verity.usr=LABEL=x usrfstype=btrfs mount.usr=off verity.usrhash")
	f.Add("roothash=" + testHash + " systemd.verity_root_options=hash-offset=4K root=/dev/mapper/root rw")
	f.Fuzz(func(t *testing.T, line string) {
		b, err := PlanBoot(kernelcmdline.Parse(line), Settings{})
		if err != nil {
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Reason == "" {
				t.Errorf("not a refusal: %v", err)
			}
			return
		}
		if (b.Usr.Volume != nil) != (b.Usr.Source == UsrVerity) || (b.Usr.Mount.Device != Selector{}) != (b.Usr.Source == UsrDevice) {
			t.Errorf("%+v", b.Usr)
		}
		// What has a root hash is never mounted without.
		words := kernelcmdline.Parse(line)
		for _, key := range []string{"usrhash", "verity.usrhash"} {
			if words.Has(key) && b.Usr.Source != UsrVerity {
				t.Errorf("%s, and /usr is %+v", key, b.Usr)
			}
		}
		var selectors []Selector
		// What is said of the root may be the reason for which it is left to a second stage.
		refused := b.Fallback.Refusal() != nil
		if v := b.RootVolume; v != nil && !refused {
			selectors = []Selector{v.Data, v.Hash}
			if b.Root.Device != (Selector{}) || !b.Root.IsReadOnly() {
				t.Errorf("%+v", b.Root)
			}
		} else if words.Has("roothash") && !refused {
			t.Errorf("roothash, and the root is %+v", b.Root)
		} else if !refused {
			selectors = []Selector{b.Root.Device}
		}
		switch b.Usr.Source {
		case UsrVerity:
			if len(b.Usr.Volume.RootHash) < 64 || b.Usr.Mount.Attributes&mountapi.ReadOnly == 0 {
				t.Errorf("%+v", b.Usr)
			}
			selectors = append(selectors, b.Usr.Volume.Data, b.Usr.Volume.Hash)
		case UsrDevice:
			selectors = append(selectors, b.Usr.Mount.Device)
		}
		if !strings.HasPrefix(b.Init, "/") || b.Timeout <= 0 || b.Timeout > 24*time.Hour {
			t.Errorf("%+v", b)
		}
		for _, s := range selectors {
			if s.Value == "" && s.Kind != Automatic {
				t.Errorf("empty selector in %+v", b)
			}
		}
	})
}

func TestPlanBootWithoutRoot(t *testing.T) {
	if b := planLine(t, "rw usrhash="+testHash); b.Root.Device != (Selector{Kind: Automatic}) || b.Root.IsReadOnly() {
		t.Errorf("%+v", b.Root)
	}
}

func TestPlanBootReadOnlyRoot(t *testing.T) {
	for _, line := range []string{wholeLine + " ro", "root=/dev/vda2 usrhash=" + testHash, wholeLine + " rootflags=noatime,ro"} {
		b := planLine(t, line)
		if !b.Root.IsReadOnly() || len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "nothing merged takes writes") {
			t.Errorf("%s: %+v", line, b)
		}
	}
	if planLine(t, wholeLine).Root.IsReadOnly() {
		t.Error("read-only in spite of rw")
	}
}
