package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/vmtest"
	"github.com/preroot/preroot/internal/vmtest/jsonschema"
)

// checkRecord compares a record of a boot with docs/report.schema.json.
func checkRecord(text string) error {
	repository, err := vmtest.FindRepository()
	if err != nil {
		return err
	}
	schemaText, err := os.ReadFile(filepath.Join(repository, "docs/report.schema.json"))
	if err != nil {
		return err
	}
	schema, err := jsonschema.Read(schemaText)
	if err != nil {
		return err
	}
	return schema.Check([]byte(text))
}

// proveRecord wants the guest's record to be as it is documented.
func proveRecord(e evidence) (string, error) {
	text, err := e.Text("preroot-report")
	if err == nil {
		err = checkRecord(text)
	}
	return fmt.Sprintf("%d bytes", len(text)), err
}

// proveRecordComplete wants what the schema cannot: the entries that each boot of this guest has.
func proveRecordComplete(e evidence) (string, error) {
	text, err := e.Text("preroot-report")
	if err != nil {
		return "", err
	}
	var record struct {
		Devices  []struct{ Use, Node, Reason string }
		Steps    []struct{ Name string }
		Versions struct{ Systemd int }
		Usr      struct{ RootHashFrom string }
	}
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		return "", fmt.Errorf("preroot-report: %w", err)
	}
	var proof []string
	for _, use := range []string{"data of /usr", "hash tree of /usr", "root"} {
		at := slices.IndexFunc(record.Devices, func(d struct{ Use, Node, Reason string }) bool { return d.Use == use })
		if at < 0 {
			return "", fmt.Errorf("no %s among the devices", use)
		}
		proof = append(proof, record.Devices[at].Node+" ("+record.Devices[at].Reason+")")
	}
	if !slices.ContainsFunc(record.Steps, func(s struct{ Name string }) bool { return s.Name == "find devices" }) {
		return "", errors.New("no step \"find devices\"")
	}
	lines, err := e.Lines("versions")
	if err != nil {
		return "", err
	}
	want, _, _ := strings.Cut(strings.TrimPrefix(find(lines, "systemd "), "systemd "), "-")
	if major, _, _ := strings.Cut(want, "."); fmt.Sprint(record.Versions.Systemd) != major {
		return "", fmt.Errorf("systemd %d, want %s", record.Versions.Systemd, major)
	}
	if !strings.HasPrefix(record.Usr.RootHashFrom, "usrhash= ") {
		return "", fmt.Errorf("the root hash is from %q", record.Usr.RootHashFrom)
	}
	return strings.Join(proof, ", "), nil
}

// proveJournal looks for what preroot wrote into the kernel log before there was a journal.
func proveJournal(e evidence) (string, error) {
	lines, err := e.Lines("early-kernel")
	if err != nil {
		return "", err
	}
	lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.Contains(line, " preroot: ") })
	for _, want := range []string{"preroot: starting on Linux " + e.release, "; executing /"} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
			return "", fmt.Errorf("the journal has no line of preroot with %q", want)
		}
	}
	return fmt.Sprintf("%d lines", len(lines)), nil
}
