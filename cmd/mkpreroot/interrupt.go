package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// catchSignals gives a context that ends with the first signal that asks the program to end, so that a build can take
// back what it has begun. A second one ends the program at once. caught tells which signal came, if any.
func catchSignals() (stop context.Context, caught func() os.Signal) {
	stop, end := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		// What the caller has turned off, as nohup(1) does, stays so.
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	got := make(chan os.Signal, 1)
	go func() {
		s := <-signals
		signal.Reset(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		got <- s
		end(fmt.Errorf("stopped by signal: %v", s))
	}()
	return stop, func() os.Signal {
		select {
		case s := <-got:
			return s
		default:
			return nil
		}
	}
}

// dieOf ends the program as the signal would have, so that a shell that waits for it stops too.
func dieOf(s os.Signal) {
	if number, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(os.Getpid(), number)
		// Another thread may be the one that gets it, a moment later.
		time.Sleep(time.Second)
		os.Exit(128 + int(number))
	}
	os.Exit(exitFailed)
}
