package apply

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestRoomForWaiting(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for images, want := range map[int]int{0: 0, 1: 1, together: together, together + 1: together + 1, 1 << 30: int(max(limit.Cur/4, together))} {
		if limit.Cur/4 <= together && images > together {
			want = together
		}
		if got := roomForWaiting(images); got != want {
			t.Errorf("%d images: %d, not %d (of %d descriptors)", images, got, want, limit.Cur)
		}
	}
}
