package main

import (
	"strings"
	"testing"
)

func TestFigures(t *testing.T) {
	f := figures{}
	err := f.read(`preroot-guest: BEGIN mergetimes
took dirs-merge:1 preroot 2000000 9 4096
took dirs-merge:1 preroot 3000000 9 5000
took dirs-merge:1 preroot 9000000 9 4000
took dirs-merge:1 systemd 10000000 9 9000
took dirs-merge:1 floor 500000 9 0
took dirs-refresh:1 preroot 1000000 9 4096
took dirs-refresh:1 systemd 10000000 9 9000
took dirs-merge:10 preroot 1000000 9 4096
took dirs-merge:100 preroot 10000000 9 4096
took dirs-merge:200 preroot 20000000 9 4096
took dirs-merge:400 preroot 80000000 9 30000
`)
	if err != nil {
		t.Fatal(err)
	}
	if middle, spread := f.median("dirs-merge:1", "preroot"); middle != 3e6 || spread < 2.3 || spread > 2.4 {
		t.Errorf("median %v, spread %v", middle, spread)
	}
	var text strings.Builder
	f.print(&text)
	for _, want := range []string{
		"merge of 1 directory                        0.50      3.00     10.00   0.300    0.20 NOT REACHED",
		"refresh without change, 1 directory                   1.00     10.00   0.100    0.20 reached",
		"costs 100.0 us of CPU from 10 to 100, 100.0 from 100 to 200, 300.0 from 200 to 400: ratio 3.00    1.25 NOT REACHED",
		"at most 29.3 MiB resident for 400 directories, pages of the program's file included: target 24 MiB NOT REACHED",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

func TestFiguresOfNothing(t *testing.T) {
	for _, output := range []string{"", "preroot-guest: DONE\n", "took dirs-merge:1 preroot many 9 4096\n"} {
		if err := (figures{}).read(output); err == nil {
			t.Errorf("%q is taken", output)
		}
	}
}
