package toolbox

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentListsEveryCommand: docs/rescue.md has the line of each, in the order of the table, and no other.
func TestDocumentListsEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../../docs/rescue.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.SplitSeq(string(text), "\n") {
		if cells := strings.SplitN(line, " | `", 2); strings.HasPrefix(line, "| ") && len(cells) == 2 {
			listed = append(listed, strings.ReplaceAll(strings.TrimSuffix(cells[1], "` |"), `\|`, "|"))
		}
	}
	var want []string
	for _, e := range table() {
		want = append(want, e.usage)
	}
	if strings.Join(listed, "\n") != strings.Join(want, "\n") {
		t.Errorf("docs/rescue.md lists:\n%s\nwant:\n%s", strings.Join(listed, "\n"), strings.Join(want, "\n"))
	}
}
