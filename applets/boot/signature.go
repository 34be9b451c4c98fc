package boot

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/cms"
	"github.com/preroot/preroot/internal/keyring"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
	"github.com/preroot/preroot/internal/trust"
)

// volumeSigned is the signature of the root hash of a volume.
type volumeSigned struct {
	apply.Signed
	// from says where it comes from, "" if there is none.
	from string
}

// volumeSignature gets the signature that somebody gave, which has to be there then, or else one that lies on
// the disk of the volume.
func (b *boot) volumeSignature(volume *plan.Volume, disk string, partitions []observe.Partition, root []byte) (volumeSigned, error) {
	policy := b.plan.VolumePolicy(volume)
	s := volumeSigned{Signed: apply.Signed{Policy: policy, Certificates: b.imageCertificates}}
	source := volume.Options.Signature
	var err error
	switch {
	case source.DER != nil:
		s.DER, s.from = source.DER, "the kernel command line"
	case source.Path != "":
		s.from = source.Path
		if s.DER, err = observe.ReadSignatureFile(source.Path); err != nil {
			return s, fmt.Errorf("root-hash-signature=: %w\nthe file has to be in this image", err)
		}
	case policy == trust.PolicyVerity && !source.Given:
		return s, nil
	default:
		s.DER, s.from, err = observe.FindVeritySignature(partitions, disk, root)
		if err != nil && source.Given {
			return s, err
		}
		if err != nil {
			b.warn("look for the signature of %s: %v", volume.Title(), err)
		}
	}
	switch {
	case source.Given && s.DER == nil:
		return s, fmt.Errorf("root-hash-signature=auto, but no partition on the disk %s has a signature of this root hash", disk)
	case source.Given:
		s.Presence = trust.Given
	case s.DER != nil:
		s.Presence = trust.Found
	}
	return s, nil
}

// logSignature says who vouches for the root hash, besides whoever wrote it on the command line.
func (b *boot) logSignature(volume *plan.Volume, outcome apply.SignatureOutcome, from string) {
	switch outcome.State {
	case plan.NoSignature:
	case plan.SignatureUnaccepted:
		b.log.Printf(bootlog.Info, "%s is opened by its root hash alone, the signature from %s does not count: %s", volume.Title(), from, outcome.Note)
	default:
		b.log.Printf(bootlog.Info, "%s: signature from %s %s", volume.Title(), from, outcome.State)
	}
}

// explainRefusal says what the policy wants, and what to do.
func explainRefusal(err error, volume *plan.Volume, policy trust.Policy, from string) error {
	refused, ok := errors.AsType[*apply.RefusedError](err)
	if !ok {
		return err
	}
	why := "preroot.conf says UsrPolicy=signed"
	if policy != trust.PolicySigned {
		why = "root-hash-signature= is given"
	}
	if from != "" {
		from = " (signature from " + from + ")"
	}
	return fmt.Errorf("%s is not opened: %w%s\n%s: sign the root hash with a key whose certificate is in /etc/verity.d of this image or in the kernel",
		volume.Title(), refused, from, why)
}

// imageCertificates returns those of the image, or why none counts.
func (b *boot) imageCertificates() ([]*cms.Certificate, error) {
	image, err := rootdir.Open("/")
	if err != nil {
		return nil, err
	}
	defer image.Close()
	return b.certificatesBelow(image)
}

// certificatesBelow returns the certificates of the directories below a root that are verified, or why none counts.
func (b *boot) certificatesBelow(roots ...*rootdir.Root) ([]*cms.Certificate, error) {
	if allowed, reason := trust.UserSpaceAllowed(&b.words, ""); !allowed {
		return nil, errors.New("switched off: " + reason)
	}
	var certificates []*cms.Certificate
	for _, root := range roots {
		found, err := b.findCertificates(root)
		if err != nil {
			return nil, err
		}
		for _, certificate := range found {
			certificates = append(certificates, certificate.Certificate)
		}
	}
	return certificates, nil
}

func (b *boot) findCertificates(root *rootdir.Root) ([]trust.Certificate, error) {
	mounts, err := observe.Mounts()
	if err != nil {
		return nil, err
	}
	found, notes := trust.ReadDirectories(root, trust.VerifiedDirectories(root, mounts, "/sys"))
	for _, note := range notes {
		b.warn("%s", note)
	}
	return found, nil
}

// unsealed makes the module leave its keyring open, to be filled and sealed here.
func unsealed() map[string]string { return map[string]string{"dm_verity": "keyring_unsealed=1"} }

// sealKeyring lets the kernel trust the certificates of the image for root hashes, and no others from then on. It is
// sealed even if that fails.
func (b *boot) sealKeyring() (err error) {
	const setting = "preroot.conf has SealKeyring=yes"
	ring, err := keyring.Find(keyring.DMVerity)
	if errors.Is(err, keyring.ErrNoKeyring) {
		return fmt.Errorf("%s: this kernel has no keyring %s\nLinux 7.0 or newer has it; leave the setting out for others", setting, keyring.DMVerity)
	}
	if err != nil {
		return err
	}
	defer func() {
		if sealed := ring.Seal(); sealed != nil && !(err == nil && errors.Is(sealed, unix.EEXIST)) {
			err = errors.Join(err, sealed)
		}
	}()
	image, err := rootdir.Open("/")
	if err != nil {
		return err
	}
	defer image.Close()
	certificates, err := b.findCertificates(image)
	if err != nil {
		return err
	}
	for _, c := range certificates {
		der, err := trust.ReadDER(c.Path)
		if err == nil {
			err = ring.AddCertificate(der)
		}
		if err != nil {
			return fmt.Errorf("%s: certificate %s: %w", setting, c.Path, err)
		}
	}
	b.log.Printf(bootlog.Info, "keyring %s is sealed with %d certificates", keyring.DMVerity, len(certificates))
	return nil
}
