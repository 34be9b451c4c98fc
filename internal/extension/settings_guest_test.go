//go:build guest

package extension

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
)

func TestReadSettings(t *testing.T) {
	const lib, local = "usr/lib/systemd/confext.conf", "usr/local/lib/systemd/confext.conf"
	mode := func(value string) string { return "[ConfExt]\nMutable=" + value + "\n" }
	for name, c := range map[string]struct {
		files           map[string]string
		mutable, policy string
		warnings        string // parts, in order
	}{
		"nothing":                 {mutable: "no"},
		"main file":               {files: map[string]string{lib: mode("auto")}, mutable: "auto"},
		"boolean":                 {files: map[string]string{lib: mode("TRUE")}, mutable: "yes"},
		"another section":         {files: map[string]string{lib: "[SysExt]\nMutable=yes\n"}, mutable: "no"},
		"the first main file":     {files: map[string]string{lib: mode("auto"), local: mode("yes")}, mutable: "yes"},
		"the first one is empty":  {files: map[string]string{lib: mode("auto"), local: ""}, mutable: "no"},
		"the first one is masked": {files: map[string]string{lib: mode("auto"), local + " -> /dev/null": ""}, mutable: "no"},
		"the first one dangles":   {files: map[string]string{lib: mode("auto"), local + " -> /gone": ""}, mutable: "auto"},
		"a link":                  {files: map[string]string{lib + " -> /usr/share/c": "", "usr/share/c": mode("import")}, mutable: "import"},
		"last assignment":         {files: map[string]string{lib: mode("yes") + mode("auto")}, mutable: "auto"},
		"a mode that is none":     {files: map[string]string{lib: mode("yes") + "Mutable=Auto\n"}, mutable: "yes", warnings: "Mutable=Auto is no mode"},
		"never a mode":            {files: map[string]string{lib: "[ConfExt]\nMutable=a\nMutable=b\n"}, mutable: "no", warnings: "Mutable=a is no mode\nMutable=b is no mode"},
		"empty mode":              {files: map[string]string{lib: "[ConfExt]\nMutable=\n"}, mutable: "no", warnings: "Mutable= is no mode"},
		"policy":                  {files: map[string]string{lib: "[ConfExt]\nImagePolicy=root=signed\n"}, mutable: "no", policy: "root=signed"},
		"policy taken back":       {files: map[string]string{lib: "[ConfExt]\nImagePolicy=*\n", lib + ".d/1.conf": "[ConfExt]\nImagePolicy=\n"}, mutable: "no"},
		"nonsense is passed over": {files: map[string]string{lib: "nonsense\n[ConfExt]\nMutable=auto\n=\n"}, mutable: "auto", warnings: "line 1"},
		"drop-in wins":            {files: map[string]string{local: mode("yes"), lib + ".d/a.conf": mode("auto")}, mutable: "auto"},
		"drop-ins by name": {files: map[string]string{
			lib + ".d/20-b.conf": mode("auto"), local + ".d/10-a.conf": mode("yes"),
		}, mutable: "auto"},
		"hidden drop-in": {files: map[string]string{
			lib + ".d/50.conf": mode("auto"), local + ".d/50.conf": "", lib + ".d/40.conf": mode("yes"),
		}, mutable: "yes"},
		"masked drop-in": {files: map[string]string{
			lib + ".d/50.conf": mode("auto"), local + ".d/50.conf -> /dev/null": "",
		}, mutable: "no"},
		"not a drop-in": {files: map[string]string{lib + ".d/50.conf.bak": mode("auto"), lib + ".d/README": mode("yes")}, mutable: "no"},
		"unverified places": {files: map[string]string{
			"etc/systemd/confext.conf": mode("yes"), "run/systemd/confext.conf.d/x.conf": mode("yes"), "etc/systemd/sysext.conf": mode("yes"), lib: mode("auto"),
		}, mutable: "auto", warnings: "/etc/systemd/confext.conf is not read\n/run/systemd/confext.conf.d is not read"},
	} {
		t.Run(name, func(t *testing.T) {
			root := newTree(t, c.files)
			// The null device is there in some roots and not in others.
			for _, withDevice := range []bool{false, true} {
				if withDevice {
					if err := unix.Mkdir(host(root, "/dev"), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := unix.Mknod(host(root, "/dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
						t.Fatal(err)
					}
				}
				settings, err := ReadSettings(root, osrelease.ClassConfext, VerifiedSettings)
				if err != nil {
					t.Fatal(err)
				}
				if settings.Mutable != c.mutable || settings.ImagePolicy != c.policy {
					t.Errorf("%+v", settings)
				}
				var want []string
				if c.warnings != "" {
					want = strings.Split(c.warnings, "\n")
				}
				if len(settings.Warnings) != len(want) {
					t.Fatalf("warnings %q, want %q", settings.Warnings, want)
				}
				for i, part := range want {
					if !strings.Contains(settings.Warnings[i], part) {
						t.Errorf("warning %q, want %q", settings.Warnings[i], part)
					}
				}
			}
		})
	}
}

func TestReadSettingsOfSysexts(t *testing.T) {
	root := newTree(t, map[string]string{
		"usr/lib/systemd/sysext.conf":  "[SysExt]\nMutable=ephemeral\n[ConfExt]\nMutable=yes\n",
		"usr/lib/systemd/confext.conf": "[SysExt]\nMutable=yes\n",
	})
	settings, err := ReadSettings(root, osrelease.ClassSysext, VerifiedSettings)
	if err != nil || settings.Mutable != "ephemeral" || len(settings.Warnings) != 0 {
		t.Errorf("%+v, %v", settings, err)
	}
}

// A verified /usr that cannot be read is no reason to guess.
func TestReadSettingsErrors(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"a directory":            {"usr/lib/systemd/confext.conf/": ""},
		"drop-ins are in a file": {"usr/lib/systemd/confext.conf.d": "x"},
		"too large":              {"usr/lib/systemd/confext.conf": strings.Repeat("#\n", 1<<20)},
	} {
		if settings, err := ReadSettings(newTree(t, files), osrelease.ClassConfext, VerifiedSettings); err == nil || !strings.HasPrefix(err.Error(), "read confext.conf: ") {
			t.Errorf("%s: %+v, %v", name, settings, err)
		}
	}
}
