package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs the program and returns what it printed.
func call(t *testing.T, pid int, arguments ...string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	complaints, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer complaints.Close()
	oldOut, oldErr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = out, complaints
	status = run(pid, arguments)
	os.Stdout, os.Stderr = oldOut, oldErr
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	complaint, err := os.ReadFile(complaints.Name())
	if err != nil {
		t.Fatal(err)
	}
	return status, string(text), string(complaint)
}

func begins(text, want string) bool {
	if want == "" {
		return text == ""
	}
	return strings.HasPrefix(text, want)
}
