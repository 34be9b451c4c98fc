package bootrefresh

import (
	"reflect"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/osrelease"
)

func testStamp() *Stamp {
	return NewStamp(osrelease.ClassConfext, "0c3f", "/usr/bin/systemd-confext", []string{"plain", "user"}, testState())
}

func testState() State {
	return State{
		Hierarchies: []Hierarchy{{Path: "/etc", MountID: 1<<31 + 7, Merged: true, MutablePath: "/etc", MutableIdentity: "the hierarchy"}},
		Images: []Image{
			{Name: "plain", Path: "/var/lib/confexts/plain", Type: "directory", Identity: "1 1:ab:0 5 0"},
			{Name: "user", Path: "/var/lib/confexts/user.raw", Type: "raw", Identity: "1 1:ac:0 5 6", Sidecar: "00ff"},
		},
		Mutable: "auto", ImagePolicy: "root=verity", Release: `ID="testbed"`,
	}
}

func TestStampSurvives(t *testing.T) {
	stamp := testStamp()
	read, err := ParseStamp(stamp.encode(), osrelease.ClassConfext)
	if err != nil || !reflect.DeepEqual(read, stamp) {
		t.Fatalf("%+v, %v", read, err)
	}
	if want := "plain, user into /etc"; read.Merged() != want {
		t.Errorf("%q, want %q", read.Merged(), want)
	}
}

func TestStampIsRefused(t *testing.T) {
	good := testStamp().encode()
	for name, c := range map[string]struct{ old, new, want string }{
		"cut":           {string(good[20:]), "", "ends too early"},
		"no JSON":       {string(good), "yes", "where a value belongs"},
		"empty object":  {string(good), "{}", "version 0 is unknown"},
		"newer":         {`"version":1`, `"version":2`, "version 2 is unknown"},
		"other class":   {`"class":"confext"`, `"class":"sysext"`, `it is for "sysext"s`},
		"no boot":       {`"bootId":"0c3f"`, `"bootId":""`, "names no boot"},
		"no hierarchy":  {`"hierarchies":[`, `"hierarchies":[],"x":[`, "names no boot or no hierarchy"},
		"no program":    {`/usr/bin/systemd-confext`, ``, "as the program"},
		"other program": {`/usr/bin/systemd-confext`, `/usr/bin/sh`, "as the program"},
		"relative":      {`/usr/bin/systemd-confext`, `systemd-confext`, "as the program"},
		"type":          {`"mountId":2147483655`, `"mountId":"7"`, "in state: in hierarchies: member mountId is not a positive whole number"},
		"too large":     {string(good), strings.Repeat(" ", maxStamp+1), "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(string(good), c.old, c.new, 1)
			if text == string(good) {
				t.Fatal("nothing was changed")
			}
			stamp, err := ParseStamp([]byte(text), osrelease.ClassConfext)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v; want %q", stamp, err, c.want)
			}
		})
	}
}

func FuzzParseStamp(f *testing.F) {
	f.Add(testStamp().encode())
	f.Add([]byte(`{"version":1,"class":"confext","bootId":"x","program":"/systemd-confext","state":{"hierarchies":[{}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		stamp, err := ParseStamp(text, osrelease.ClassConfext)
		if err != nil {
			return
		}
		_ = stamp.Merged()
		if change := stamp.State.FindChange(&stamp.State); change != "" && !hasDoubles(stamp.State.Images) {
			t.Errorf("it differs from itself: %s", change)
		}
	})
}

func hasDoubles(images []Image) bool {
	names := map[string]bool{}
	for _, image := range images {
		names[image.Name] = true
	}
	return len(names) != len(images)
}

// TestEveryFieldIsCompared changes each field of a state in turn.
func TestEveryFieldIsCompared(t *testing.T) {
	was := testState()
	if same := testState(); was.FindChange(&same) != "" {
		t.Fatalf("it differs from itself: %s", was.FindChange(&same))
	}
	count := 0
	var walk func(value reflect.Value, name string, judge func())
	walk = func(value reflect.Value, name string, judge func()) {
		switch value.Kind() {
		case reflect.Struct:
			for i := range value.NumField() {
				walk(value.Field(i), name+"."+value.Type().Field(i).Name, judge)
			}
		case reflect.Slice:
			for i := range value.Len() {
				walk(value.Index(i), name, judge)
			}
		case reflect.String:
			old := value.String()
			value.SetString(old + "x")
			judge()
			value.SetString(old)
			count++
		case reflect.Uint64:
			value.SetUint(value.Uint() + 1)
			judge()
			value.SetUint(value.Uint() - 1)
			count++
		case reflect.Bool:
			value.SetBool(!value.Bool())
			judge()
			value.SetBool(!value.Bool())
			count++
		default:
			t.Fatalf("%s is of a kind that this test does not know", name)
		}
		if value.Kind() != reflect.Struct && value.Kind() != reflect.Slice {
			t.Logf("%s is compared", name)
		}
	}
	now := testState()
	walk(reflect.ValueOf(&now).Elem(), "State", func() {
		if was.FindChange(&now) == "" {
			t.Errorf("not found: %+v", now)
		}
	})
	if count < 18 {
		t.Errorf("only %d fields were changed", count)
	}
}

func TestFindChangeSaysWhat(t *testing.T) {
	for want, change := range map[string]func(*State){
		"another mount is at /etc":                     func(s *State) { s.Hierarchies[0].MountID++ },
		"the mutable directory of /etc is another one": func(s *State) { s.Hierarchies[0].MutablePath = "/x" },
		"there are other hierarchies":                  func(s *State) { s.Hierarchies = nil },
		"/run/confexts/new was added":                  func(s *State) { s.Images = append(s.Images, Image{Name: "new", Path: "/run/confexts/new"}) },
		"/var/lib/confexts/user.raw was changed":       func(s *State) { s.Images[1].Identity = "2" },
		"/run/confexts/user was changed":               func(s *State) { s.Images[1].Path = "/run/confexts/user" },
		"/var/lib/confexts/user.raw was removed":       func(s *State) { s.Images = s.Images[:1] },
		"/var/lib/confexts/plain was removed":          func(s *State) { s.Images = s.Images[1:] },
		"the mode is no and was auto":                  func(s *State) { s.Mutable = "no" },
		"there is another image policy":                func(s *State) { s.ImagePolicy = "" },
		"os-release is another one":                    func(s *State) { s.Release = "" },
	} {
		was, now := testState(), testState()
		change(&now)
		if got := was.FindChange(&now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
