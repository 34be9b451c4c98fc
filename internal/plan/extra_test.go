package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/kernelcmdline"
)

func TestPlanCredentials(t *testing.T) {
	found := []Credential{
		{"credentials/b.cred", "b.cred", 10}, {"credentials/a.cred", "a.cred", 20}, {"credentials/readme", "readme", 5}, {"credentials/.x.cred", ".x.cred", 5},
		{"credentials/bad:name.cred", "bad:name.cred", 5}, {"credentials/.cred", ".cred", 5}, {"credentials/directory.cred", "directory.cred", -1},
		{"credentials/large.cred", "large.cred", maxCredentials - 29},
		{"global_credentials/a.cred", "a.cred", 7}, {"global_credentials/fits.cred", "fits.cred", maxCredentials - 30},
		{"global_credentials/more.cred", "more.cred", 1}, {"global_credentials/none.cred", "none.cred", 0},
	}
	c := PlanCredentials(kernelcmdline.Parse(wholeLine), found, false)
	var sources []string
	for _, pass := range c.Pass {
		sources = append(sources, pass.Source+">"+pass.Name)
	}
	want := []string{"credentials/b.cred>b", "credentials/a.cred>a", "global_credentials/fits.cred>fits", "global_credentials/none.cred>none"}
	if !slices.Equal(sources, want) {
		t.Errorf("%q", sources)
	}
	var named []string
	for _, warning := range c.Warnings {
		named = append(named, strings.Fields(warning)[1])
	}
	if want := []string{"/.extra/credentials/bad:name.cred", "/.extra/credentials/directory.cred", "/.extra/credentials/large.cred", "/.extra/global_credentials/more.cred"}; !slices.Equal(named, want) {
		t.Errorf("%q", c.Warnings)
	}
	if env := c.Environment(); !slices.Equal(env, []string{"ENCRYPTED_CREDENTIALS_DIRECTORY=/run/credentials/@encrypted"}) || c.InStore {
		t.Errorf("%q, %t", env, c.InStore)
	}
}

// With the variable set systemd would import nothing else; without credentials there is nothing to say.
func TestPlanCredentialsBesideOthers(t *testing.T) {
	one := []Credential{{"credentials/a.cred", "a.cred", 1}}
	for line, elsewhere := range map[string]bool{
		"systemd.set_credential=x:y": false, "systemd.set_credential_binary=x:eA==": false, "quiet": true,
	} {
		c := PlanCredentials(kernelcmdline.Parse(line), one, elsewhere)
		if len(c.Pass) != 1 || !c.InStore || c.Environment() != nil || len(c.Warnings) != 1 {
			t.Errorf("%s: %+v", line, c)
		}
		if c := PlanCredentials(kernelcmdline.Parse(line), nil, elsewhere); c.InStore || c.Environment() != nil || c.Warnings != nil {
			t.Errorf("%s: %+v", line, c)
		}
	}
	for _, line := range []string{"systemd.import_credentials=0", "rd.systemd.import_credentials=no"} {
		if c := PlanCredentials(kernelcmdline.Parse(line), one, false); len(c.Pass) != 0 || c.Environment() != nil {
			t.Errorf("%s: %+v", line, c)
		}
	}
}

func FuzzPlanCredentials(f *testing.F) {
	f.Add("a.cred", int64(1))
	f.Add("../x.cred", int64(-1))
	f.Fuzz(func(t *testing.T, name string, size int64) {
		c := PlanCredentials(kernelcmdline.CommandLine{}, []Credential{{name, name, size}, {name, name, size}}, false)
		for _, pass := range c.Pass {
			if strings.Contains(pass.Name, "/") || pass.Name == ".." || pass.Name == "" || pass.Size < 0 || pass.Size > maxCredentials {
				t.Errorf("%+v", pass)
			}
		}
	})
}
