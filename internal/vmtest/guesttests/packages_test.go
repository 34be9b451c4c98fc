package guesttests

import (
	"slices"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

func TestEveryPackageWithGuestTestsIsListed(t *testing.T) {
	repository, err := vmtest.FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	found, err := vmtest.FindGuestPackages(repository)
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, p := range packages {
		listed = append(listed, p.path)
	}
	for _, path := range found {
		if !slices.Contains(listed, path) {
			t.Errorf("%s has guest tests; list it in packages.go", path)
		}
	}
	for _, path := range listed {
		if !slices.Contains(found, path) {
			t.Errorf("%s is listed and has no guest tests", path)
		}
	}
}
