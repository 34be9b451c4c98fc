package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/kernelcmdline"
)

// StubFile is a file of systemd-stub(7) that the real root wants to see. Extra is its name below /.extra, Run where it goes below /run.
type StubFile struct {
	Extra, Run  string
	Permissions uint32
}

// StubFiles are those that systemd's tmpfiles.d/20-systemd-stub.conf copies in an initrd of systemd's.
var StubFiles = []StubFile{
	{"profile", "systemd/stub/profile", 0o444},
	{"os-release", "systemd/stub/os-release", 0o444},
	{"boot-secret", "systemd/stub/boot-secret", 0o400},
	{"tpm2-pcr-signature.json", "systemd/tpm2-pcr-signature.json", 0o444},
	{"tpm2-pcr-public-key.pem", "systemd/tpm2-pcr-public-key.pem", 0o444},
}

// CredentialDirectories are below /.extra; of two credentials of one name the first counts.
var CredentialDirectories = []string{"credentials", "global_credentials"}

// InitrdExtensions are below /.extra, too: they are for an initrd of systemd's, and never for the real root.
var InitrdExtensions = []string{"sysext", "global_sysext", "confext", "global_confext"}

// Where credentials go below /run. The first is the one that systemd takes; services look in the second, too.
const (
	EncryptedCredentials = "credentials/@encrypted"
	CredentialStore      = "credstore.encrypted"
)

// maxCredentials bounds credentials in bytes, each and all together, as in systemd.
const maxCredentials = 1 << 20

// Credential is a file to pass on.
type Credential struct {
	// Source is its path below /.extra, Name what it is called.
	Source, Name string
	Size         int64
}

// Credentials says what of the stub's credentials is passed on. They are encrypted or at least not trusted: who uses one has to authenticate it.
type Credentials struct {
	Pass []Credential
	// InStore has them in the credential store as well, and no variable set. systemd imports nothing at all when the variable is set, so it
	// must not be where there are credentials that systemd imports by itself.
	InStore  bool
	Warnings []string
}

// Environment is what the next init needs to find them.
func (c *Credentials) Environment() []string {
	if len(c.Pass) == 0 || c.InStore {
		return nil
	}
	return []string{"ENCRYPTED_CREDENTIALS_DIRECTORY=/run/" + EncryptedCredentials}
}

// PlanCredentials picks the credentials of systemd-stub among the files that were found, in the order of CredentialDirectories. fromElsewhere says that
// the firmware or the hypervisor may have some for systemd.
func PlanCredentials(words kernelcmdline.CommandLine, found []Credential, fromElsewhere bool) *Credentials {
	c := &Credentials{}
	if !importsCredentials(words) {
		return c
	}
	total := int64(0)
	for _, file := range found {
		if strings.HasPrefix(file.Name, ".") || !strings.HasSuffix(file.Name, ".cred") {
			continue
		}
		file.Name = strings.TrimSuffix(file.Name, ".cred")
		problem := ""
		switch {
		case !isCredentialName(file.Name):
			problem = "its name is not that of a credential"
		case file.Size < 0:
			problem = "it is not a regular file"
		case slices.ContainsFunc(c.Pass, func(other Credential) bool { return other.Name == file.Name }):
			continue
		case file.Size > maxCredentials-total:
			problem = fmt.Sprintf("credentials have more than %d bytes", maxCredentials)
		}
		if problem != "" {
			c.Warnings = append(c.Warnings, fmt.Sprintf("credential /.extra/%s is left out: %s", file.Source, problem))
			continue
		}
		total += file.Size
		c.Pass = append(c.Pass, file)
	}
	c.InStore = len(c.Pass) > 0 && (fromElsewhere || words.Has("systemd.set_credential") || words.Has("systemd.set_credential_binary"))
	if c.InStore {
		c.Warnings = append(c.Warnings, "credentials of systemd-stub are for services only, since systemd may have others to import")
	}
	return c
}

// importsCredentials reads systemd.import_credentials=, which counts with "rd." as well.
func importsCredentials(words kernelcmdline.CommandLine) bool {
	wanted := true
	for _, key := range []string{"systemd.import_credentials", "rd.systemd.import_credentials"} {
		if value, err := words.Bool(key, true); err == nil {
			wanted = wanted && value
		}
	}
	return wanted
}

// isCredentialName is systemd's rule: a file name of printable ASCII without a colon.
func isCredentialName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 255 {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f || r == ':' || r == '/' })
}
