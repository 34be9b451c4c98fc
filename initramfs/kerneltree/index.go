package kerneltree

// Index answers what a name stands for in one kernel tree. The fields are what
// the parsers give; NewIndex makes it usable.
type Index struct {
	Dependencies     []Dependency
	Aliases          []Alias
	SoftDependencies []SoftDependency
	BuiltIn          []string

	byName      map[string]Dependency
	builtIn     map[string]bool
	byAlias     map[string][]string
	softBefore  map[string][]string
	builtInName map[string]bool
}

// Meaning says what a name stands for. The zero value means that the tree
// knows nothing of that name.
type Meaning struct {
	// Modules are the names of the modules to load, more than one only for
	// an alias.
	Modules []string

	// BuiltIn means that the kernel itself contains it, wholly or, for an
	// alias with Modules as well, in part.
	BuiltIn bool
}

// NewIndex builds the look-up tables. builtInAliases may be nil: older trees
// lack modules.builtin.modinfo.
func NewIndex(dependencies []Dependency, aliases []Alias, soft []SoftDependency, builtIn []string, builtInAliases []Alias) *Index {
	x := &Index{
		Dependencies: dependencies, Aliases: aliases, SoftDependencies: soft, BuiltIn: builtIn,
		byName:      make(map[string]Dependency, len(dependencies)),
		builtIn:     make(map[string]bool, len(builtIn)),
		byAlias:     make(map[string][]string, len(aliases)),
		softBefore:  make(map[string][]string, len(soft)),
		builtInName: make(map[string]bool, len(builtInAliases)),
	}
	for _, d := range dependencies {
		x.byName[d.Name()] = d
	}
	for _, name := range builtIn {
		x.builtIn[Normalize(name)] = true
	}
	for _, a := range aliases {
		pattern, module := Normalize(a.Pattern), Normalize(a.Module)
		x.byAlias[pattern] = append(x.byAlias[pattern], module)
	}
	for _, s := range soft {
		module := Normalize(s.Module)
		x.softBefore[module] = append(x.softBefore[module], s.Before...)
	}
	for _, a := range builtInAliases {
		x.builtInName[Normalize(a.Pattern)] = true
	}
	return x
}

// Module gives the line of modules.dep for a module's name.
func (x *Index) Module(name string) (Dependency, bool) {
	d, found := x.byName[Normalize(name)]
	return d, found
}

// SoftBefore gives the names and aliases wanted before the module.
func (x *Index) SoftBefore(name string) []string { return x.softBefore[Normalize(name)] }

// Resolve tells what a name stands for: a module of that name, else a built-in
// of that name, else the modules and built-ins with that alias. An alias has
// to be equal to the name; patterns with wildcards are for devices and are not
// matched here.
func (x *Index) Resolve(name string) Meaning {
	name = Normalize(name)
	if _, found := x.byName[name]; found {
		return Meaning{Modules: []string{name}}
	}
	if x.builtIn[name] {
		return Meaning{BuiltIn: true}
	}
	meaning := Meaning{BuiltIn: x.builtInName[name]}
	for _, module := range x.byAlias[name] {
		if _, found := x.byName[module]; found {
			meaning.Modules = append(meaning.Modules, module)
		}
	}
	return meaning
}
