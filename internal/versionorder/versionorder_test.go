package versionorder

import (
	"strings"
	"testing"
)

// Lists from oldest to newest; every pair of a list is compared in both directions.
var ladders = map[string][]string{
	// The order systemd 262 merged these names in.
	"extension names": {"A", "a1", "a2", "a10", "b~1", "b", "b-1", "b^1", "b.1", "one", "1", "9", "10"},
	"version format": {
		"122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1",
		"123.a-1", "123.1-1", "123a-1", "124-1",
	},
	"pre-release is older than the end": {"~", "", "0"},
	"digits above letters":              {"user", "00-default", "10-site"},
	"upper case first":                  {"Z", "a", "aA", "aa"},
	"numbers have no width limit":       {"9", strings.Repeat("9", 40), "1" + strings.Repeat("0", 40)},
	"separators":                        {"1~a", "1", "1-a", "1^a", "1.a", "1a"},
	"an empty number is older than zero": {
		"x", "x0", "x1",
	},
	"marks in one round": {"a-^", "a-"},
	// Seen with systemd-analyze compare-versions of systemd 262.
	"a second tilde is newer":          {"1~", "1~~", "1"},
	"ignored, but there after a tilde": {"1~", "1~+", "1"},
	"marks out of their order":         {"a-^.", "a-^.^", "a-.^"},
	"a mark before another one":        {"a-^", "a-.", "a--", "a-b", "a-1"},
	"rest after equal parts":           {"1.2.3", "1.2.3-1", "1.2.3.1", "1.2.4"},
	"dash ranks below caret":           {"1-2", "1^1"},
	"caret ranks below dot":            {"1^2", "1.1"},
	"dot ranks below letters":          {"1.2", "1a"},
	"letters below more digits":        {"1a", "11"},
	"tilde after a dash":               {"1-~", "1-"},
	"leading zeros do not add":         {"007", "8", "0080.1", "081"},
}

func TestCompareOrdersLadders(t *testing.T) {
	for name, ladder := range ladders {
		t.Run(name, func(t *testing.T) {
			for i, a := range ladder {
				for j, b := range ladder {
					if got, want := Compare(a, b), order(i, j); got != want {
						t.Errorf("Compare(%q, %q) = %d, want %d", a, b, got, want)
					}
				}
			}
		})
	}
}

func TestCompareFindsEqual(t *testing.T) {
	for _, pair := range [][2]string{
		{"", ""},
		{"a2", "a_2"},
		{"a2", "a 2"},
		{"a2", "a+2"},
		{"é", ""},
		{"aé", "a"},
		{"01", "1"},
		{"0", "000"},
		{"1.0", "1.00"},
		{"__", ""},
		{"v\x00\xff1", "v1"},
		{"1._", "1."},
	} {
		if got := Compare(pair[0], pair[1]); got != 0 {
			t.Errorf("Compare(%q, %q) = %d, want 0", pair[0], pair[1], got)
		}
		if got := Compare(pair[1], pair[0]); got != 0 {
			t.Errorf("Compare(%q, %q) = %d, want 0", pair[1], pair[0], got)
		}
	}
}

// An ignored character ends a run: "1_2" is the number 1 and then the number 2.
func TestCompareIgnoredCharacterSplitsRuns(t *testing.T) {
	if got := Compare("1_2", "12"); got != -1 {
		t.Errorf(`Compare("1_2", "12") = %d, want -1`, got)
	}
	if got := Compare("a_b", "ab"); got != -1 {
		t.Errorf(`Compare("a_b", "ab") = %d, want -1`, got)
	}
}

func TestCompareAllocatesNothing(t *testing.T) {
	allocations := testing.AllocsPerRun(10, func() { Compare("123~rc1-1.5^a", "123~rc1-1.5^b") })
	if allocations != 0 {
		t.Errorf("Compare allocates %v times, want 0", allocations)
	}
}

func FuzzCompare(f *testing.F) {
	for _, ladder := range ladders {
		for i := range ladder {
			f.Add(ladder[0], ladder[i])
		}
	}
	f.Add("a-^.~_9", "a-^.~_9\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		result := Compare(a, b)
		if result < -1 || result > 1 {
			t.Errorf("Compare(%q, %q) = %d, outside -1..1", a, b, result)
		}
		if back := Compare(b, a); back != -result {
			t.Errorf("Compare(%q, %q) = %d but the other way round %d", a, b, result, back)
		}
		if own := Compare(a, a); own != 0 {
			t.Errorf("Compare(%q, itself) = %d", a, own)
		}
		if older := Compare(a+"~", a); older != -1 && !strings.HasSuffix(a, "~") {
			t.Errorf("Compare(%q, %q) = %d, want -1: a pre-release is older", a+"~", a, older)
		}
	})
}
