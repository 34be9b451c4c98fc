package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/preroot/preroot/internal/inifile"
)

const configSection = "Build"

// readConfig takes the options of a file. What the settings have already counts more; lists come before those that
// they have. A section or key that is not known is an error.
func (s *buildSettings) readConfig(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	config, err := inifile.Parse(text)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return fmt.Errorf("read config %s: %s", file, first)
	}
	for _, section := range config.Sections() {
		if section != configSection {
			return fmt.Errorf("read config %s: unknown section [%s] (known: [%s])", file, section, configSection)
		}
	}
	for _, key := range config.Keys(configSection) {
		i := slices.IndexFunc(buildOptions, func(o buildOption) bool { return o.key != "" && o.key == key })
		if i < 0 {
			return fmt.Errorf("read config %s: unknown key %s= in [%s] (known: %s)", file, key, configSection, strings.Join(configKeys(), " "))
		}
		if err := s.take(buildOptions[i], config.All(configSection, key), filepath.Dir(file)); err != nil {
			return fmt.Errorf("read config %s: %w", file, err)
		}
	}
	return nil
}

func configKeys() (keys []string) {
	for _, o := range buildOptions {
		if o.key != "" {
			keys = append(keys, o.key+"=")
		}
	}
	return keys
}

// take sets one option to the values of a file in folder. An empty value empties a list.
func (s *buildSettings) take(o buildOption, values []string, folder string) error {
	last := values[len(values)-1]
	switch {
	case o.text != nil:
		if p := o.text(s); *p == "" && last != "" {
			*p = o.inFolder(last, folder)
		}
	case o.flag != nil:
		yes, err := parseBoolean(last)
		if err != nil {
			return fmt.Errorf("%s=%s: %w", o.key, last, err)
		}
		*o.flag(s) = *o.flag(s) || yes
	default:
		var fromFile list
		for _, value := range values {
			if value == "" {
				fromFile = nil
				continue
			}
			fromFile = append(fromFile, o.inFolder(value, folder))
		}
		p := o.many(s)
		*p = append(fromFile, *p...)
	}
	return nil
}

// inFolder makes a relative path one from the folder of the file that has it. A kernel may be a release, which is no path.
func (o buildOption) inFolder(value, folder string) string {
	if !o.path || filepath.IsAbs(value) {
		return value
	}
	whole := filepath.Join(folder, value)
	if o.key == "Kernel" && !strings.Contains(value, "/") {
		if _, err := os.Stat(whole); err != nil {
			return value
		}
	}
	return whole
}

// parseBoolean takes the words of systemd.syntax(7).
func parseBoolean(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "yes", "true", "on", "y", "t":
		return true, nil
	case "no", "false", "off", "n", "f":
		return false, nil
	}
	if yes, err := strconv.ParseBool(text); err == nil {
		return yes, nil
	}
	return false, fmt.Errorf("neither yes nor no")
}
