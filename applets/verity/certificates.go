package verity

import (
	"errors"
	"os"

	"github.com/preroot/preroot/internal/cms"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/trust"
)

// askUserSpace checks a signature against the trusted certificates. The error says why it does not
// accept it, or why the check is off.
func (s *session) askUserSpace(rootHash string, given *signature, named []trust.Certificate) (trust.UserSpaceAnswer, error) {
	if allowed, reason := userSpaceAllowed(); !allowed {
		return trust.UserSpaceOff, errors.New("switched off: " + reason)
	}
	certificates, err := named, error(nil)
	if len(named) == 0 {
		certificates, err = s.systemCertificates()
	}
	if err != nil {
		return trust.UserSpaceOff, err
	}
	if len(certificates) == 0 {
		return trust.UserSpaceOff, errors.New("there is no trusted certificate")
	}
	trusted := make([]*cms.Certificate, len(certificates))
	for i, c := range certificates {
		s.debugf("Trusted certificate %s.", c.Path)
		trusted[i] = c.Certificate
	}
	if err := trust.Check(rootHash, given.der, trusted); err != nil {
		return trust.UserSpaceRejects, err
	}
	return trust.UserSpaceAccepts, nil
}

func userSpaceAllowed() (bool, string) {
	variable := os.Getenv(trust.UserSpaceVariable)
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return trust.UserSpaceAllowed(nil, variable)
	}
	line := kernelcmdline.Parse(string(text))
	return trust.UserSpaceAllowed(&line, variable)
}

// readCertificates reads certificate files that somebody named, all or none.
func readCertificates(paths []string) ([]trust.Certificate, error) {
	certificates := make([]trust.Certificate, len(paths))
	for i, path := range paths {
		var err error
		if certificates[i], err = trust.ReadFile(path); err != nil {
			return nil, fail(exitParameters, err.Error())
		}
	}
	return certificates, nil
}

// systemCertificates are those of the image or of a verified /usr: the writable root vouches for
// nothing.
func (s *session) systemCertificates() ([]trust.Certificate, error) {
	root, err := rootdir.Open("/")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	mounts, err := observe.Mounts()
	if err != nil {
		return nil, err
	}
	certificates, notes := trust.ReadDirectories(root, trust.VerifiedDirectories(root, mounts, "/sys"))
	for _, note := range notes {
		s.explain(note.String())
	}
	return certificates, nil
}
