package main

import (
	"debug/buildinfo"
	"fmt"
	"os"

	"github.com/preroot/preroot/internal/plan"
)

// ourModule is what Go writes into programs of this project.
const ourModule = "github.com/preroot/preroot"

// checkSettings refuses a preroot.conf that has a word which the boot would not understand, and end at. What another program than ours takes from
// such a file nobody knows.
func checkSettings(conf, program string) error {
	if conf == "" {
		return nil
	}
	if info, err := buildinfo.ReadFile(program); err != nil || info.Main.Path != ourModule {
		return nil
	}
	text, err := os.ReadFile(conf)
	if err != nil {
		return fmt.Errorf("check settings: %w", err)
	}
	if _, err := plan.ParseSettings(text); err != nil {
		return fmt.Errorf("check settings %s: the image would not boot: %w", conf, err)
	}
	return nil
}
