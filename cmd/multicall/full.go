//go:build !sealed

package main

import (
	"maps"
	"slices"

	"github.com/preroot/preroot/applets/boot"
	"github.com/preroot/preroot/applets/rescue"
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
	applets["sh"] = rescue.Main(slices.Sorted(maps.Keys(applets)))
}
