package boot

import (
	"strings"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
)

// Where systemd-stub(7) adds files to the initramfs, and where they have to be to outlive it.
const (
	extraFiles = "/.extra"
	runFiles   = "/run"
)

// passExtra takes along what systemd-stub brought. Nothing of it is worth a boot: what fails is in the log and the report.
func (b *boot) passExtra() error {
	passed, err := apply.PassStubFiles(extraFiles, runFiles)
	if err != nil {
		b.warn("%v", err)
	}
	files, err := observe.ExtraFiles(extraFiles, plan.CredentialDirectories)
	if err != nil {
		b.warn("%v", err)
	}
	var found []plan.Credential
	for _, file := range files {
		found = append(found, plan.Credential{Source: file.Source, Name: file.Name, Size: file.Size})
	}
	credentials := &plan.Credentials{}
	if len(found) > 0 {
		credentials = plan.PlanCredentials(b.words, found, observe.FirmwareCredentials("/sys"))
	}
	for _, warning := range credentials.Warnings {
		b.warn("%s", warning)
	}
	if len(credentials.Pass) > 0 {
		if err := apply.PassCredentials(extraFiles, runFiles, credentials); err != nil {
			b.warn("credentials of systemd-stub: %v", err)
			credentials = &plan.Credentials{}
		}
	}
	b.environment = append(b.environment, credentials.Environment()...)
	for _, credential := range credentials.Pass {
		passed = append(passed, credential.Source)
	}
	if len(passed) > 0 {
		b.log.Printf(bootlog.Info, "passed on from systemd-stub: %s", strings.Join(passed, " "))
	}
	extensions, err := observe.ExtraFiles(extraFiles, plan.InitrdExtensions)
	if err != nil {
		b.warn("%v", err)
	}
	for _, file := range extensions {
		// As in systemd, they extend the initrd and never the real root; there is nothing here to extend.
		b.warn("%s/%s is left out: it extends an initrd, and this one has no use for it", extraFiles, file.Source)
	}
	return nil
}
