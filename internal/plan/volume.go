package plan

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/superblock"
)

// UsrName is the device-mapper name of the verified /usr, which systemd expects.
const UsrName = "usr"

// mapperFolder has the names of what is opened here.
const mapperFolder = "/dev/mapper/"

// flatcarHashOffset is where the hash tree starts on Flatcar's /usr, in bytes: behind 260,094 blocks of 4096.
const flatcarHashOffset = 1065345024

// Volume is a file system that is opened with dm-verity.
type Volume struct {
	// Name is the one that its device gets below /dev/mapper.
	Name string
	// HashWord is the word that its root hash came with, "usrhash=", for messages.
	HashWord string
	// RootHash as given, lower case hex, checked for length with the superblock.
	RootHash string
	// Data and Hash are the two partitions. With OnePartition the hash tree lies behind the data, and Hash is Data.
	Data, Hash   Selector
	OnePartition bool
	// DataRole and HashRole say for messages by what the two are named.
	DataRole, HashRole string
	// Options are those of OptionsWord, "systemd.verity_usr_options=".
	Options     VolumeOptions
	OptionsWord string
}

// Title is what people call it: "/usr" or "root".
func (v *Volume) Title() string {
	if v.Name == UsrName {
		return "/usr"
	}
	return v.Name
}

// Node is the device to mount.
func (v *Volume) Node() string { return mapperFolder + v.Name }

// HashOffset returns where the superblock of the hash tree, or a bare tree, starts on the hash device, in bytes. With
// OnePartition and unless the options say it, that is behind the file system if data shows an ext one, and else
// where Flatcar has it, as the generator of systemd that Flatcar used has it.
func (v *Volume) HashOffset(data superblock.Info) int64 {
	switch {
	case v.Options.HashOffset != 0 || !v.OnePartition:
		return v.Options.HashOffset
	case data.Size != 0:
		return data.Size
	}
	return flatcarHashOffset
}

// verityWords are the words of the command line for one volume.
type verityWords struct {
	name string
	// hash, data, tree and options are systemd's keys.
	hash, data, tree, options string
	// shared and sharedHash are those of Flatcar for a partition with both in it; empty where there are none.
	shared, sharedHash string
}

var usrWords = verityWords{
	name: UsrName, hash: "usrhash", data: "systemd.verity_usr_data", tree: "systemd.verity_usr_hash", options: "systemd.verity_usr_options",
	shared: "verity.usr", sharedHash: "verity.usrhash",
}

// planVolume reads the words of a volume. It is nil if they ask for none.
func (b *Boot) planVolume(words kernelcmdline.CommandLine, keys verityWords) (*Volume, error) {
	for _, key := range []string{keys.hash, keys.shared, keys.sharedHash} {
		if key == "" {
			continue
		}
		if _, valued := words.InitrdValue(key); !valued && (words.Has(key) || words.Has("rd."+key)) {
			return nil, &Refusal{Reason: "the kernel command line has " + key + " without a value", Advice: "write " + key + "=... or leave it out"}
		}
	}
	shared, err := planShared(words, keys)
	if err != nil {
		return nil, err
	}
	text, given := words.InitrdValue(keys.hash)
	switch {
	case !given && shared == nil:
		b.warnWithoutEffect(words, keys)
		return nil, nil
	case given && shared != nil:
		return nil, &Refusal{
			Reason: fmt.Sprintf("the kernel command line has %s= and %s=, which are two ways to name the same", keys.hash, keys.sharedHash),
			Advice: "leave one of them out",
		}
	case given:
		if shared, err = planPair(keys.name, keys.hash, text); err != nil {
			return nil, err
		}
		if !b.isVerityOn(words) {
			return nil, &Refusal{
				Reason: fmt.Sprintf("the kernel command line has %s=, and switches dm-verity off (systemd.verity=)", keys.hash),
				Advice: "leave one of them out: what has a root hash is never mounted unverified",
			}
		}
	}
	v := shared
	for _, device := range []struct {
		key      string
		selector *Selector
		role     *string
	}{{keys.data, &v.Data, &v.DataRole}, {keys.tree, &v.Hash, &v.HashRole}} {
		if value, ok := words.InitrdValue(device.key); ok && !v.OnePartition {
			selector, err := ParseSelector(value)
			if err != nil {
				return nil, &Refusal{Reason: device.key + "=" + shorten(value) + ": " + err.Error()}
			}
			*device.selector, *device.role = selector, device.key+"="
		}
	}
	return v, b.planVolumeOptions(words, keys.options, v)
}

// warnWithoutEffect names the words about a volume that come to nothing without a root hash.
func (b *Boot) warnWithoutEffect(words kernelcmdline.CommandLine, keys verityWords) {
	hash := keys.hash
	for _, key := range []string{keys.data, keys.tree, keys.options, keys.shared} {
		if key == keys.shared {
			hash = keys.sharedHash
		}
		if value, given := words.InitrdValue(key); key != "" && given {
			b.Warnings = append(b.Warnings, key+"="+shorten(value)+" is without effect: there is no "+hash+"=")
		}
	}
}

// planShared reads Flatcar's words. Like Flatcar it sets up no dm-verity for a device without a hash; a hash without a
// device is looked for by its halves, as that of systemd's word.
func planShared(words kernelcmdline.CommandLine, keys verityWords) (*Volume, error) {
	if keys.sharedHash == "" {
		return nil, nil
	}
	text, given := words.InitrdValue(keys.sharedHash)
	if !given {
		return nil, nil
	}
	v, err := planPair(keys.name, keys.sharedHash, text)
	if err != nil {
		return nil, err
	}
	device, given := words.InitrdValue(keys.shared)
	if !given {
		return v, nil
	}
	if v.Data, err = ParseSelector(device); err != nil {
		return nil, &Refusal{Reason: keys.shared + "=" + shorten(device) + ": " + err.Error()}
	}
	v.OnePartition, v.Hash = true, v.Data
	v.DataRole, v.HashRole = keys.shared+"=", keys.shared+"="
	return v, nil
}

// planPair makes the volume of a root hash whose halves name the partitions.
func planPair(name, key, text string) (*Volume, error) {
	hash, refusal := parseVolumeHash(key, text)
	if refusal != nil {
		return nil, refusal
	}
	return &Volume{
		Name: name, HashWord: key + "=", RootHash: hex.EncodeToString(hash),
		Data:     Selector{Kind: ByPartUUID, Value: gpt.GUID(hash[:16]).String()},
		Hash:     Selector{Kind: ByPartUUID, Value: gpt.GUID(hash[len(hash)-16:]).String()},
		DataRole: "first half of " + key + "=", HashRole: "second half of " + key + "=",
	}, nil
}

// isVerityOn reads the words that switch systemd's words off.
func (b *Boot) isVerityOn(words kernelcmdline.CommandLine) bool {
	on := true
	for _, key := range []string{"systemd.verity", "rd.systemd.verity"} {
		value, err := words.Bool(key, true)
		if err != nil {
			b.Warnings = append(b.Warnings, err.Error())
		}
		on = on && value
	}
	return on
}

// planVolumeOptions reads the options of a volume. Like systemd it takes the last list alone.
func (b *Boot) planVolumeOptions(words kernelcmdline.CommandLine, key string, v *Volume) error {
	text, _ := words.InitrdValue(key)
	options, warnings, err := parseVolumeOptions(text)
	if err != nil {
		return &Refusal{
			Reason: "in " + key + "= " + err.Error(),
			Advice: "the words are those of veritytab(5); what is not understood must not weaken what was meant",
		}
	}
	v.Options, v.OptionsWord = options, key+"="
	for _, warning := range warnings {
		b.Warnings = append(b.Warnings, key+"=: "+warning)
	}
	return nil
}

// parseVolumeHash reads the root hash of a word. Its length is judged first: a digit that got
// lost is the likeliest slip.
func parseVolumeHash(key, text string) ([]byte, *Refusal) {
	const shortest = 32 // two partition UUIDs, and no digest in use is shorter
	if len(text) < 2*shortest {
		return nil, &Refusal{
			Reason: fmt.Sprintf("%s= is too short: %d hex digits, at least %d are needed", key, len(text), 2*shortest),
			Advice: "give the whole root hash, as veritysetup or systemd-repart printed it",
		}
	}
	hash, err := hex.DecodeString(text)
	if errors.Is(err, hex.ErrLength) {
		return nil, &Refusal{
			Reason: fmt.Sprintf("%s= has %d hex digits, which is no whole number of bytes", key, len(text)),
			Advice: "give the whole root hash, as veritysetup or systemd-repart printed it",
		}
	}
	if err != nil {
		return nil, &Refusal{
			Reason: key + "=" + shorten(text) + " is not hexadecimal: " + describeHexError(err),
			Advice: "give the root hash in hex digits, two a byte",
		}
	}
	return hash, nil
}

func describeHexError(err error) string {
	var bad hex.InvalidByteError
	if errors.As(err, &bad) {
		return fmt.Sprintf("%q is no hex digit", string(rune(bad)))
	}
	return err.Error()
}

// lastValue returns the last value of the first of several keys that has one: the later ones are older spellings.
func lastValue(words kernelcmdline.CommandLine, keys ...string) (key, value string, ok bool) {
	for _, key := range keys {
		if value, ok := words.Value(key); ok {
			return key, value, true
		}
	}
	return strings.Join(keys[:1], ""), "", false
}
