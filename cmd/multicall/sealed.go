//go:build sealed

package main

import "github.com/preroot/preroot/applets/boot"

// program is the profile without a shell: what is not in the program cannot be reached.
var program = boot.Program{Profile: "sealed"}

// shellApplet returns nothing: there is no shell.
func shellApplet(string) func(arguments []string) int { return nil }
