//go:build guest

// Package failing has guest tests of which some must be reported as failed.
package failing

import "testing"

func TestPasses(t *testing.T) {}

func TestFails(t *testing.T) { t.Error("failed as planned") }

func TestHasFailingPart(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Run("bad", func(t *testing.T) { t.Error("part failed as planned") })
}

func TestLeavesOut(t *testing.T) { t.SkipNow() }

func TestPanics(t *testing.T) { panic("panicked as planned") }

func TestNeverStarts(t *testing.T) {}
