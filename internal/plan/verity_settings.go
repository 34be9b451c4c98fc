package plan

import (
	"fmt"

	"github.com/preroot/preroot/internal/inifile"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/trust"
)

// VeritySettings are those of preroot.conf about /usr.
type VeritySettings struct {
	// UsrPolicy says what has to stand behind the root hash of /usr; "" is trust.PolicyAny.
	UsrPolicy trust.Policy
	// SealKeyring says that the image's certificates go into the kernel's keyring .dm-verity, which is sealed then.
	SealKeyring bool
}

// veritySection is the section's name.
const veritySection = "Verity"

// read reads the section. Of several settings of a name the last one counts.
func (v *VeritySettings) read(file *inifile.File) (err error) {
	for _, key := range file.Keys(veritySection) {
		for _, value := range file.All(veritySection, key) {
			switch key {
			case "UsrPolicy":
				v.UsrPolicy, err = trust.ParsePolicy(value)
			case "SealKeyring":
				ok := true
				if v.SealKeyring, ok = kernelcmdline.ParseBool(value); !ok {
					err = fmt.Errorf("SealKeyring=%.20q is neither yes nor no", value)
				}
			default:
				err = fmt.Errorf("unknown setting %s= in [%s]", key, veritySection)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
