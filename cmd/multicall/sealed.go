//go:build sealed

package main

import "github.com/preroot/preroot/applets/boot"

// program is the profile that only boots: what is not in the program cannot be reached. An initramfs without a shell has nobody who
// could call an applet, and PID 1 calls none.
var program = boot.Program{Profile: "sealed"}

// usage is what every other call is told, whatever it asks for.
const usage = "this program has the profile sealed: it boots, and has no commands (the full program, preroot, has them)"

// findApplet returns nothing: there is none.
func findApplet(string) func(arguments []string) int { return nil }

func refusal([]string) string { return usage }
