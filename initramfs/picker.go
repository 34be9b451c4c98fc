package initramfs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/initramfs/kerneltree"
)

// request is one name to put into the image, with the reason to report.
type request struct {
	name, reason string
}

// picked is a module that goes into the image.
type picked struct {
	kerneltree.Dependency
	reason string
}

// selection is what a list of requests comes to.
type selection struct {
	// modules in the order in which they can be loaded.
	modules []picked

	// builtIn are the requested names that the kernel itself contains, in
	// the order of the requests.
	builtIn []string
}

// contains tells whether a module, by its name, was picked.
func (s *selection) contains(name string) bool {
	return slices.ContainsFunc(s.modules, func(m picked) bool { return m.Name() == kerneltree.Normalize(name) })
}

// pickModules follows the requests to all modules they need: hard dependencies,
// and soft ones that are wanted before and that the tree has. Names that are
// neither a module, nor built in, nor an alias of either make one error that
// lists them all.
func pickModules(index *kerneltree.Index, requests []request) (*selection, error) {
	p := picker{index: index, seen: make(map[string]bool)}
	var unknown []string
	for _, r := range requests {
		meaning := index.Resolve(r.name)
		switch {
		case len(meaning.Modules) > 0:
			for _, module := range meaning.Modules {
				p.add(module, r.reason)
			}
		case meaning.BuiltIn:
			if !slices.Contains(p.builtIn, r.name) {
				p.builtIn = append(p.builtIn, r.name)
			}
		default:
			unknown = append(unknown, r.name)
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("pick modules: neither a module of this kernel nor built in: %s", strings.Join(unknown, ", "))
	}
	return &p.selection, nil
}

type picker struct {
	selection
	index *kerneltree.Index
	seen  map[string]bool
}

// add picks a module after everything it needs. The name must be a module's.
func (p *picker) add(name, reason string) {
	// Marked on entry: soft dependencies may form circles, and modprobe cuts
	// them at the module it is already working on as well.
	if p.seen[name] {
		return
	}
	p.seen[name] = true
	module, _ := p.index.Module(name)
	for _, soft := range p.index.SoftBefore(name) {
		for _, wanted := range p.index.Resolve(soft).Modules {
			p.add(wanted, "wanted before "+name)
		}
	}
	for _, need := range slices.Backward(module.Needs) {
		p.add(kerneltree.NameOf(need), "needed by "+name)
	}
	p.modules = append(p.modules, picked{Dependency: module, reason: reason})
}
