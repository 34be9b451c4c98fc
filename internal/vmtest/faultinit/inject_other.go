//go:build !amd64

package main

import "errors"

var errMachine = errors.New("faults are for amd64, as the machines of the tests are")

func stopAtCalls() error { return errMachine }

func inject(string) error { return errors.Join(errMachine, ready()) }
