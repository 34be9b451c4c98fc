package boot

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/failurescreen"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/veritytable"
)

// TestEveryFailureHasItsCode goes through what can go wrong, and every code has a case.
func TestEveryFailureHasItsCode(t *testing.T) {
	other := errors.New("other")
	refusal := &plan.Refusal{Reason: "no"}
	_, bad := veritytable.ParseSuperblock(append([]byte("verity\x00\x00\x09\x00\x00\x00"), make([]byte, 4096)...))
	if !is[*veritytable.FieldError](bad) {
		t.Fatalf("%v", bad)
	}
	seen := map[string]bool{}
	for _, c := range []struct {
		step string
		err  error
		want failurescreen.Code
	}{
		{stepAPI, other, failurescreen.APIMount},
		{stepSettings, other, failurescreen.Settings},
		{stepSettings, refusal, failurescreen.CommandLine},
		{stepDevices, &missingError{"x", time.Second, "", false}, failurescreen.DeviceMissing},
		{stepStage, &earlierError{stepDevices, &missingError{"x", time.Second, "", true}}, failurescreen.DeviceMissing},
		{stepStage, refusal, failurescreen.CommandLine},
		{stepDevices, refusal, failurescreen.DeviceRefused},
		{stepDevices, other, failurescreen.DeviceSearch},
		{stepUsr, explainMismatch(&hashtree.MismatchError{TopLevel: true}, &plan.Volume{Name: plan.UsrName}, "a", "b"), failurescreen.UsrHash},
		{stepUsr, explainMismatch(&hashtree.MismatchError{Level: -1}, &plan.Volume{Name: plan.UsrName}, "a", "b"), failurescreen.UsrDamaged},
		{stepUsr, bad, failurescreen.UsrSuperblock},
		{stepUsr, explainRefusal(&apply.RefusedError{Reason: "x"}, &plan.Volume{Name: plan.UsrName}, "signed", ""), failurescreen.UsrSignature},
		{stepUsr, other, failurescreen.UsrOpen},
		{stepMount, refusal, failurescreen.RootCheck},
		{stepMount, other, failurescreen.RootMount},
		{stepEtc, other, failurescreen.EtcRules},
		{stepExtensions, &plan.RequiredError{}, failurescreen.ExtensionRequired},
		{stepExtensions, other, failurescreen.ExtensionMerge},
		{stepHandOver, other, failurescreen.HandOver},
		{stepMount, &deniedError{other}, failurescreen.Passphrase},
		{stepMount, &tooLongError{time.Second}, failurescreen.TooLong},
		{stepUsr, &bugError{"x"}, failurescreen.Bug},
		{"", other, failurescreen.Unknown},
		{"an unknown step", refusal, failurescreen.Unknown},
	} {
		for _, err := range []error{c.err, fmt.Errorf("in between: %w", c.err)} {
			if got := failureCode(c.step, err); got != c.want {
				t.Errorf("%s, %v: %s, want %s", c.step, err, got.Name, c.want.Name)
			}
		}
		seen[c.want.Name] = true
	}
	for _, code := range failurescreen.Codes {
		if !seen[code.Name] {
			t.Errorf("nothing has the code %s", code.Name)
		}
	}
}

// TestEveryStepHasACode reads the source: a step that somebody adds needs a code, and breakpoints lie at steps.
func TestEveryStepHasACode(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	var steps []ast.Expr
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, value := range n.Values {
					if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
						values[n.Names[i].Name], _ = strconv.Unquote(literal.Value)
					}
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "step" || ok && f.Sel.Name == "once" {
					// once itself passes a name on.
					if name, ok := n.Args[0].(*ast.Ident); !ok || name.Name != "name" {
						steps = append(steps, n.Args[0])
					}
				}
			}
			return true
		})
	}
	var named []string
	for _, step := range steps {
		name := ""
		switch step := step.(type) {
		case *ast.BasicLit:
			name, _ = strconv.Unquote(step.Value)
		case *ast.Ident:
			name = values[step.Name]
		}
		if plain, _ := codesOf(name); plain.Name == "" {
			t.Errorf("step %q has no code in stepCodes", name)
		}
		named = append(named, name)
	}
	if len(named) < 8 {
		t.Errorf("only %q were found", named)
	}
	for _, codes := range stepCodes {
		if !slices.Contains(named, codes.step) {
			t.Errorf("there is no step %q", codes.step)
		}
	}
	for _, point := range plan.Breakpoints {
		if !slices.Contains(named, breakStep(point)) {
			t.Errorf("breakpoint %s lies at no step", point)
		}
	}
}
