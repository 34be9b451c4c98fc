package initramfs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/initramfs/kerneltree"
)

// picked is a module that goes into the image.
type picked struct {
	kerneltree.Dependency
	reason string
}

// selection is what a list of requests comes to.
type selection struct {
	// modules in the order in which they can be loaded.
	modules []picked

	// builtIn are the requested names that the kernel itself contains, missing the optional ones that it lacks, and
	// blacklisted those that the target forbids to load by alias; in the order of the requests, each once.
	builtIn, missing, blacklisted []string

	names map[string]bool
}

// contains tells whether a module, by its name, was picked.
func (s *selection) contains(name string) bool { return s.names[kerneltree.Normalize(name)] }

// pickModules follows the requests to all modules they need: hard dependencies,
// and soft ones that are wanted before and that the tree has. Names that are
// neither a module, nor built in, nor an alias of either make one error that
// lists them all.
func pickModules(k *kernel, requests []request) (*selection, error) {
	p := picker{index: k.index, blacklist: k.blacklist, entered: make(map[string]bool)}
	p.names = make(map[string]bool)
	var unknown []string
	for _, r := range requests {
		meaning := p.index.Resolve(r.name)
		switch {
		case len(meaning.Modules) > 0:
			for _, module := range meaning.Modules {
				if r.byAlias && p.blacklist.Has(module) {
					addOnce(&p.blacklisted, module)
					continue
				}
				p.add(module, r.reason)
			}
		case meaning.BuiltIn:
			addOnce(&p.builtIn, r.name)
		case r.optional:
			addOnce(&p.missing, r.name)
		default:
			addOnce(&unknown, r.name+whyMissing(k.config, r.name))
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("pick modules: neither a module of this kernel nor built in: %s", strings.Join(unknown, ", "))
	}
	return &p.selection, nil
}

func addOnce(names *[]string, name string) {
	if !slices.Contains(*names, name) {
		*names = append(*names, name)
	}
}

type picker struct {
	selection
	index     *kerneltree.Index
	blacklist kerneltree.Blacklist
	entered   map[string]bool
}

// add picks a module after everything it needs. The name must be a module's.
func (p *picker) add(name, reason string) {
	// Marked on entry: soft dependencies may form circles, and modprobe cuts
	// them at the module it is already working on as well.
	if p.entered[name] {
		return
	}
	p.entered[name] = true
	module, _ := p.index.Module(name)
	for _, soft := range p.index.SoftBefore(name) {
		for _, wanted := range p.index.Resolve(soft).Modules {
			if soft != wanted && p.blacklist.Has(wanted) {
				continue
			}
			p.add(wanted, "wanted before "+name)
		}
	}
	for _, need := range slices.Backward(module.Needs) {
		p.add(kerneltree.NameOf(need), "needed by "+name)
	}
	p.names[name] = true
	p.modules = append(p.modules, picked{Dependency: module, reason: reason})
}
