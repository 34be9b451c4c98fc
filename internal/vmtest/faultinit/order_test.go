package main

import (
	"strings"
	"testing"
)

func TestAnOrderIsCarriedOutOnce(t *testing.T) {
	o, err := parseOrder("stall:ioctl=c138fd09,openat=/dev/vda4")
	if err != nil || o.kind != stall {
		t.Fatalf("%+v, %v", o, err)
	}
	for i, seen := range []struct {
		name, value string
		now         bool
	}{
		{"openat", "/dev/vda4", false}, {"ioctl", "c138fd03", false}, {"ioctl", "c138fd09", false}, {"openat", "/dev/vda", false},
		{"openat2", "/dev/vda4", false}, {"openat", "/dev/vda4", true}, {"openat", "/dev/vda4", false},
	} {
		if now := o.see(seen.name, seen.value); now != seen.now {
			t.Errorf("%d: %v", i, now)
		}
	}
}

func TestOrdersThatMakeNoSense(t *testing.T) {
	for word, want := range map[string]string{
		"": "none of fail", "hurt:fsopen=proc": "none of fail", "fail": "no fault can be at", "fail:fork": "no fault can be at", "kill:fsopen=a,": "no fault can be at",
	} {
		if _, err := parseOrder(word); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", word, err)
		}
	}
}

func TestUsageIsRead(t *testing.T) {
	const status = "Name:\tinit\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t30\n"
	if n, err := switches(status); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := switches("Name:\tinit\nvoluntary_ctxt_switches:\t12\n"); err == nil {
		t.Error("half of them is enough")
	}
	if begin, end, err := parseTimes("10,40"); begin.Seconds() != 10 || end.Seconds() != 40 || err != nil {
		t.Errorf("%v, %v, %v", begin, end, err)
	}
	for _, word := range []string{"", "10", "10,", "x,40", "40,10"} {
		if _, _, err := parseTimes(word); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
}
