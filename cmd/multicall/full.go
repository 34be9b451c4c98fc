//go:build !sealed

package main

import (
	"maps"
	"slices"

	"github.com/preroot/preroot/applets/boot"
	"github.com/preroot/preroot/applets/rescue"
	"github.com/preroot/preroot/applets/rescue/toolbox"
)

// program is the profile with a shell.
var program = boot.Program{
	Profile: "full",
	Shell: func(o boot.Offer) (boot.Outcome, error) {
		end, err := rescue.Offer{
			PassphraseHash: o.PassphraseHash, AnswerTime: o.AnswerTime, Greeting: o.Greeting, Why: o.Why,
			NotResumable: o.NotResumable, Terminal: o.Terminal, Stop: o.Stop,
		}.Open()
		return boot.Outcome(end), err
	},
}

func init() {
	names := slices.Concat(slices.Sorted(maps.Keys(applets)), []string{"sh"}, toolbox.Names())
	slices.Sort(names)
	applets["sh"] = rescue.Main(names)
	for _, name := range toolbox.Names() {
		applets[name] = toolbox.Main(names)
	}
}
