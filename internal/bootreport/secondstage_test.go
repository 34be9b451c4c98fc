package bootreport

import (
	"strings"
	"testing"
)

func TestTextOfSecondStage(t *testing.T) {
	r := New("7.2", "", "sealed")
	if strings.Contains(r.Text(), "second stage") {
		t.Error(r.Text())
	}
	r.SecondStage = &SecondStage{Image: "/usr/lib/flatcar/bootengine.img", Reasons: []string{"no root=", "fresh"}, Carried: []string{"/oem"}}
	want := "second stage: /usr/lib/flatcar/bootengine.img\n  because no root=\n  because fresh\n  with /oem of the initramfs\n"
	if text := r.Text(); !strings.Contains(text, want) {
		t.Errorf("%s", text)
	}
}
