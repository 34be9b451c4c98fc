package kerneltree

import (
	"path"
	"strings"
)

// Match gives the modules with an alias that covers a device's modalias, in the order of modules.alias, each once. It
// matches as the boot does (internal/kernelmodules), which must not be linked with this side.
func (x *Index) Match(modalias string) []string {
	modalias = hideSlashes(Normalize(strings.TrimSpace(modalias)))
	var names []string
	seen := make(map[string]bool)
	for _, a := range x.Aliases {
		pattern := Normalize(a.Pattern)
		fixed, _, _ := strings.Cut(pattern, "*")
		if strings.ContainsAny(fixed, `?[\`) {
			fixed = ""
		}
		module := Normalize(a.Module)
		if seen[module] || !strings.HasPrefix(modalias, hideSlashes(fixed)) {
			continue
		}
		if ok, err := path.Match(hideSlashes(pattern), modalias); err != nil || !ok {
			continue
		}
		if _, found := x.byName[module]; found {
			seen[module] = true
			names = append(names, module)
		}
	}
	return names
}

// hideSlashes: to path.Match a "/" separates, and no wildcard crosses it.
func hideSlashes(text string) string { return strings.ReplaceAll(text, "/", "\x01") }
