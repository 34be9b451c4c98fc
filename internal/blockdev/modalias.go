package blockdev

import (
	"os"
	"path"
	"path/filepath"
)

// Modaliases returns the modalias of every device below a sysfs mounted at sys,
// each once: what drivers are looked up by.
func Modaliases(sys string) []string {
	var aliases []string
	seen := map[string]bool{}
	buses, err := os.ReadDir(path.Join(sys, "bus"))
	if err != nil {
		return nil
	}
	for _, bus := range buses {
		devices, err := filepath.Glob(path.Join(sys, "bus", bus.Name(), "devices/*/modalias"))
		if err != nil {
			continue
		}
		for _, file := range devices {
			if alias := readLine(file); alias != "" && !seen[alias] {
				seen[alias] = true
				aliases = append(aliases, alias)
			}
		}
	}
	return aliases
}
