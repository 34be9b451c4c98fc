// Command panics uses what the runtime reads from its tables - pointer maps, frames, names - and then ends in a panic.
package main

import (
	"fmt"
	"runtime"
	"strings"
)

type tree struct {
	left, right *tree
	name        string
}

func grow(depth int) *tree {
	if depth == 0 {
		return &tree{name: strings.Repeat("x", 3)}
	}
	return &tree{grow(depth - 1), grow(depth - 1), fmt.Sprint(depth)}
}

func (t *tree) count() int {
	if t == nil {
		return 0
	}
	return t.left.count() + t.right.count() + len(t.name)
}

// recovered is caught by its caller, over frames with deferred calls.
func recovered(depth int) (caught string) {
	defer func() {
		if reason := recover(); reason != nil {
			caught = fmt.Sprint(reason)
		}
	}()
	if depth == 0 {
		var none *tree
		return none.name
	}
	defer runtime.GC()
	return recovered(depth - 1)
}

func main() {
	done := make(chan int)
	for range 4 {
		// The stack grows and is copied, with pointers into it.
		go func() { done <- grow(12).count() }()
	}
	sum := 0
	for range 4 {
		runtime.GC()
		sum += <-done
	}
	fmt.Println(sum, recovered(5))
	panic("the end")
}
