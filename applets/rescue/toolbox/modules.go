package toolbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/kernelmodules"
)

// runningIndex reads the indexes of the running kernel's modules.
func runningIndex() (*kernelmodules.Index, error) {
	release, err := kernelRelease()
	if err != nil {
		return nil, err
	}
	return kernelmodules.ReadIndex("/", release)
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// modprobe loads a module of this kernel with all that it needs, by name or alias; words behind it are its parameters. -a takes
// many modules, -r takes them out again, -n only looks.
func modprobe(c *call) error {
	set, words, err := c.parse("a/all b/use-blacklist n/dry-run q/quiet r/remove v/verbose S:/set-version")
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return wrongUse("name a module")
	}
	if set.has("r") {
		for _, name := range words {
			if err := removeModule(name); err != nil && !set.has("q") {
				c.complain(err)
			}
		}
		return nil
	}
	release, given := set.value('S')
	if !given {
		if release, err = kernelRelease(); err != nil {
			return err
		}
	}
	index, err := kernelmodules.ReadIndex("/", release)
	if err != nil {
		return err
	}
	loader := kernelmodules.NewLoader(index)
	names := words
	if !set.has("a") {
		names = words[:1]
	}
	for _, name := range names {
		found := findModules(index, name)
		if len(found) == 0 {
			if !set.has("q") {
				c.complain(fmt.Errorf("there is no module %s for the kernel %s in this image", name, release))
			}
			c.code = 1
			continue
		}
		if !set.has("a") && len(words) > 1 {
			loader.Parameters = map[string]string{}
			for _, module := range found {
				loader.Parameters[module] = strings.Join(words[1:], " ")
			}
		}
		for _, module := range found {
			if set.has("nv") {
				fmt.Fprintln(c.out, module)
			}
			if set.has("n") {
				continue
			}
			if err := loader.Load(module); err != nil {
				c.complain(loadReason(err))
			}
		}
	}
	return nil
}

// findModules returns what a name stands for: itself, or as an alias several.
func findModules(index *kernelmodules.Index, name string) []string {
	module := kernelmodules.ModuleName(name)
	if index.Has(module) {
		return []string{module}
	}
	return index.Match(name)
}

// loadReason says what the numbers of finit_module(2) mean.
func loadReason(err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.ENOENT):
		hint = "a symbol or a parameter is unknown"
	case errors.Is(err, unix.ENOEXEC):
		hint = "it is no module of this kernel"
	case errors.Is(err, unix.EKEYREJECTED), errors.Is(err, unix.ENOKEY):
		hint = "its signature is not accepted"
	case errors.Is(err, unix.ENODEV):
		hint = "there is no such device"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w (%s; dmesg has more)", err, hint)
}

// rmmod takes modules out of the kernel.
func rmmod(c *call) error {
	_, names, err := c.parse("f/force s v/verbose w/wait")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return wrongUse("name a module")
	}
	for _, name := range names {
		if err := removeModule(name); err != nil {
			c.complain(err)
		}
	}
	return nil
}

func removeModule(name string) error {
	module := kernelmodules.ModuleName(name)
	err := unix.DeleteModule(module, unix.O_NONBLOCK)
	switch err {
	case nil:
		return nil
	case unix.ENOENT:
		return fmt.Errorf("%s: it is not loaded", module)
	case unix.EWOULDBLOCK, unix.EBUSY:
		if text, err := os.ReadFile("/proc/modules"); err == nil {
			for _, m := range parseModules(string(text)) {
				if m.name == module && len(m.users) > 0 {
					return fmt.Errorf("%s: %s needs it", module, strings.Join(m.users, ", "))
				}
			}
		}
		return fmt.Errorf("%s: it is in use", module)
	}
	return fmt.Errorf("remove %s: %w", module, err)
}

// loadedModule is a line of /proc/modules.
type loadedModule struct {
	name, size, count string
	users             []string
}

func parseModules(text string) []loadedModule {
	var all []loadedModule
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		users := strings.FieldsFunc(fields[3], func(r rune) bool { return r == ',' })
		users = slices.DeleteFunc(users, func(u string) bool { return u == "-" || strings.HasPrefix(u, "[") })
		all = append(all, loadedModule{fields[0], fields[1], fields[2], users})
	}
	return all
}

// lsmod lists the modules that are loaded.
func lsmod(c *call) error {
	if _, names, err := c.parse("v/verbose"); err != nil || len(names) > 0 {
		return wrongUse("it takes no names")
	}
	text, err := os.ReadFile("/proc/modules")
	if errors.Is(err, unix.ENOENT) {
		return errors.New("this kernel takes no modules")
	}
	if err != nil {
		return err
	}
	rows := [][]string{{"Module", "Size", "Used by"}}
	for _, m := range parseModules(string(text)) {
		rows = append(rows, []string{m.name, m.size, strings.TrimSpace(m.count + " " + strings.Join(m.users, ","))})
	}
	writeTable(c, rows, func(column int) bool { return column == 1 })
	return nil
}
