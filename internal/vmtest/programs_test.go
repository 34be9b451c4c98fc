package vmtest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLinksAreFollowedInsideTheTree(t *testing.T) {
	tree := t.TempDir()
	for _, dir := range []string{"usr/lib/sub", "usr/sbin"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"lib": "usr/lib", "sbin": "/usr/sbin", "usr/lib/libx.so": "libx.so.1", "usr/lib/sub/up": "../../../../../usr/lib/libx.so",
		"loop": "loop", "outside": "../../../../etc/passwd",
	} {
		if err := os.Symlink(target, filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"usr/lib/libx.so.1", "usr/sbin/tool"} {
		if err := os.WriteFile(filepath.Join(tree, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"/lib/libx.so":     "usr/lib/libx.so.1",
		"/sbin/tool":       "usr/sbin/tool",
		"/usr/lib/sub/up":  "usr/lib/libx.so.1",
		"/../lib/libx.so.": "",
		"/loop":            "",
		"/outside":         "",
	} {
		got, err := resolveInside(tree, name)
		if want == "" {
			if err == nil {
				t.Errorf("%s: %s, want an error", name, got)
			}
			continue
		}
		if err != nil || got != filepath.Join(tree, want) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestStaticProgramComesAlone(t *testing.T) {
	tree := t.TempDir()
	repository, err := FindRepository()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(tree, "tool")
	if err := runGo(t.Context(), repository, "build", "-o", program, "./internal/vmtest/guestinit"); err != nil {
		t.Fatal(err)
	}
	includes, err := IncludePrograms(tree, "/tool", "/tool")
	if err != nil {
		t.Fatal(err)
	}
	if len(includes) != 1 || includes[0].Destination != "/tool" || includes[0].Source != program {
		t.Errorf("%+v", includes)
	}
	if _, err := IncludePrograms(tree, "/missing"); err == nil {
		t.Error("a missing program was included")
	}
	if err := os.WriteFile(filepath.Join(tree, "script"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := IncludePrograms(tree, "/script"); err == nil {
		t.Error("a script was included as a program")
	}
}
