package kerneltree

import "strings"

// Config is what a kernel was built with: the option's name, with its CONFIG_, to "y", "m", or the value as it
// stands in the file. Options that are not set have no entry.
type Config map[string]string

// ParseConfig reads a kernel's .config, as it lies in lib/modules/RELEASE/config or /boot/config-RELEASE. Lines that
// set nothing are passed over.
func ParseConfig(text []byte) Config {
	c := make(Config)
	_ = eachLine(text, func(_ int, line string) error {
		name, value, found := strings.Cut(line, "=")
		if found && strings.HasPrefix(name, "CONFIG_") {
			c[name] = value
		}
		return nil
	})
	return c
}

// IsSet tells whether an option is built in or a module.
func (c Config) IsSet(option string) bool { return c[option] == "y" || c[option] == "m" }
