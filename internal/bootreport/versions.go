package bootreport

import (
	"runtime"
	"runtime/debug"
)

// Versions says what took part in the boot, beside the kernel.
type Versions struct {
	// Preroot is the version of this program as Go knows it: "(devel)" when it was built without version control.
	Preroot string `json:"preroot"`
	// Revision is the commit it was built from, with "+changed" if the sources were not as committed; empty where the
	// build did not keep it.
	Revision string `json:"revision,omitempty"`
	// Go is the version of Go that it was built with.
	Go string `json:"go"`
	// Systemd is that of the real root, 0 if it is not known.
	Systemd int `json:"systemd,omitempty"`
}

// readVersions reads what the build left in this program.
func readVersions() Versions {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Versions{Preroot: "unknown", Go: runtime.Version()}
	}
	return versionsOf(info)
}

func versionsOf(info *debug.BuildInfo) Versions {
	v := Versions{Preroot: info.Main.Version, Go: info.GoVersion}
	changed := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			changed = setting.Value == "true"
		}
	}
	if changed && v.Revision != "" {
		v.Revision += "+changed"
	}
	return v
}
