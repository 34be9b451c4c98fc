package plan

import (
	"slices"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/superblock"
	"github.com/preroot/preroot/internal/trust"
)

// UsrSource says where /usr comes from, and so what vouches for it.
type UsrSource string

// The sources.
const (
	// UsrVerity is a device that is opened with dm-verity.
	UsrVerity UsrSource = "verity"
	// UsrDevice is one that is mounted as it is. Nobody verifies it.
	UsrDevice UsrSource = "device"
	// UsrOnRoot is a directory of the root, which is as good as that.
	UsrOnRoot UsrSource = "root"
	// UsrInImage is SquashfsFile, which is trusted like all that runs here: whoever hands in an initramfs hands in /init too.
	UsrInImage UsrSource = "image"
)

// SquashfsFile is /usr inside the initramfs, as Flatcar's PXE images have it.
const SquashfsFile = "/usr.squashfs"

// Usr is where /usr comes from.
type Usr struct {
	Source UsrSource
	// Volume is nil unless Source is UsrVerity.
	Volume *Volume
	// Mount says how it is mounted. Its Device is for UsrDevice; with UsrOnRoot and UsrInImage nothing of it is used.
	Mount FileSystem
}

// IsUsrVerified reports whether something vouches for what is in /usr. If not, its settings and certificates are
// worth no more than those of whoever can write the disk.
func (b *Boot) IsUsrVerified() bool {
	return b.Usr.Source == UsrVerity || b.Usr.Source == UsrInImage || b.Usr.Source == UsrOnRoot && b.RootVolume != nil
}

// SettingsDirectories are those whose confext.conf and sysext.conf count: what lies on a verified file system.
func (b *Boot) SettingsDirectories() (verified []string) {
	if b.RootVolume != nil {
		verified = append(verified, "/etc/systemd")
	}
	if b.IsUsrVerified() {
		verified = append(verified, extension.VerifiedSettings...)
	}
	return verified
}

// planUsr decides where /usr comes from, by systemd's words and Flatcar's.
func (b *Boot) planUsr(words kernelcmdline.CommandLine) error {
	volume, err := b.planVolume(words, usrWords)
	if err != nil {
		return err
	}
	if err := b.planUsrSource(words, volume); err != nil {
		return err
	}
	if refusal := b.checkUsrPolicy(); refusal != nil {
		return refusal
	}
	_, fsType, _ := lastValue(words, "mount.usrfstype", "usrfstype")
	if fsType == "auto" {
		fsType = ""
	}
	_, flags, _ := lastValue(words, "mount.usrflags", "usrflags")
	b.Usr.Mount.Type = fsType
	b.Usr.Mount.Options, b.Usr.Mount.Attributes = mountapi.ParseOptions("ro," + flags)
	if b.Usr.Source == UsrVerity {
		// The device is read-only, whatever the flags say.
		b.Usr.Mount.Attributes |= mountapi.ReadOnly
	}
	if b.Usr.Source == UsrDevice && !b.Usr.Mount.IsReadOnly() {
		b.Warnings = append(b.Warnings, "/usr is mounted writable: mount.usrflags= says so")
	}
	return nil
}

// planUsrSource reads mount.usr= beside the volume, nil if there is none.
func (b *Boot) planUsrSource(words kernelcmdline.CommandLine, volume *Volume) error {
	key, device, given := lastValue(words, "mount.usr", "usr")
	if !given {
		if words.Has("mount.usr") || words.Has("usr") {
			return &Refusal{Reason: "the kernel command line has " + key + " without a value", Advice: "name the device of /usr, or leave it out"}
		}
	}
	own := mapperFolder + UsrName
	switch {
	case volume != nil:
		if given && device != own {
			return &Refusal{
				Reason: key + "=" + shorten(device) + " is not the device that " + volume.HashWord + " opens",
				Advice: "with " + volume.HashWord + " leave it out or write mount.usr=" + own,
			}
		}
		b.Usr.Source, b.Usr.Volume = UsrVerity, volume
	case given && device == own:
		return &Refusal{
			Reason: key + "=" + own + ", but the kernel command line has no root hash to open that with",
			Advice: "usrhash= (on Flatcar verity.usrhash=) names it",
		}
	case given && device != "off":
		selector, err := parseDevice(key, device)
		b.Usr.Source, b.Usr.Mount.Device = UsrDevice, selector
		return err
	case !given && b.RootVolume == nil && b.HasSquashfs:
		b.Usr.Source = UsrInImage
	case !given && b.RootVolume == nil && hasUsrDetails(words):
		// For systemd the device is that of the root then, which would be mounted twice.
		return &Refusal{
			Reason: "the kernel command line says by mount.usrfstype= or mount.usrflags= how to mount /usr, and not what",
			Advice: "name its device by mount.usr=, or say mount.usr=off if /usr lies on the root",
		}
	default:
		b.Usr.Source = UsrOnRoot
	}
	return nil
}

// hasUsrDetails reports whether there are systemd's words about a /usr on a device of its own.
func hasUsrDetails(words kernelcmdline.CommandLine) bool {
	_, fsType := words.Value("mount.usrfstype")
	_, flags := words.Value("mount.usrflags")
	return fsType || flags
}

// checkUsrPolicy makes sure that there is a root hash where the image's settings want one behind /usr.
func (b *Boot) checkUsrPolicy() *Refusal {
	policy := b.Verity.UsrPolicy
	if b.IsUsrVerified() && b.Usr.Source != UsrInImage || policy != trust.PolicySigned && policy != trust.PolicyVerity {
		return nil
	}
	return &Refusal{
		Reason: "preroot.conf says UsrPolicy=" + string(policy) + ", and the kernel command line has no root hash for /usr",
		Advice: "usrhash= (on Flatcar verity.usrhash=) names it; roothash= that of a root with /usr on it",
	}
}

// WithoutReplay returns how to mount a read-only file system of type fsType for what is on it now: the btrfs
// driver would replay its log, which a device that takes no writes makes fail.
func (f FileSystem) WithoutReplay(fsType string) FileSystem {
	if superblock.Kind(fsType) != superblock.Btrfs || !f.IsReadOnly() ||
		slices.ContainsFunc(f.Options, func(o mountapi.Option) bool { return o.Key == "rescue" }) {
		return f
	}
	f.Options = append(slices.Clone(f.Options), mountapi.Option{Key: "rescue", Value: "nologreplay"})
	return f
}
