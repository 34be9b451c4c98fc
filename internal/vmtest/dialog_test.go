package vmtest

import (
	"io"
	"testing"
)

func TestDialog(t *testing.T) {
	in, out := io.Pipe()
	d := newDialog([]Exchange{{"name: ", "a\r"}, {"name: ", "b\r"}, {"# ", "exit\r"}}, out)
	read := func() string {
		buf := make([]byte, 100)
		n, err := in.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	for _, part := range []string{"login\nna", "me"} {
		d.hear([]byte(part))
	}
	if len(d.left) != 3 {
		t.Errorf("%d left", len(d.left))
	}
	d.hear([]byte(": \n"))
	if got := read(); got != "a\r" || len(d.left) != 2 {
		t.Errorf("%q, %d left", got, len(d.left))
	}
	d.hear([]byte("name: \n# "))
	if got := read(); got != "b\r" {
		t.Errorf("%q", got)
	}
	if got := read(); got != "exit\r" || len(d.left) != 0 {
		t.Errorf("%q, %d left", got, len(d.left))
	}
	d.hear([]byte("# "))
}
