package plan

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/kernelcmdline"
	"github.com/preroot/preroot/internal/trust"
	"github.com/preroot/preroot/internal/veritytable"
)

func TestUsrOptions(t *testing.T) {
	usual := VolumeOptions{Table: bootOptions}
	with := func(change func(o *VolumeOptions)) VolumeOptions {
		o := usual
		change(&o)
		return o
	}
	bare := veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, Bare: true}
	for text, c := range map[string]struct {
		want    VolumeOptions
		warning string
	}{
		"":               {want: usual},
		" , ,":           {want: usual},
		"superblock=yes": {want: usual},
		"shared,error-as-corruption,auto,noauto,nofail,fail,_netdev,x-initrd.attach,tpm2-measure-nvpcr=no": {want: usual},
		"panic-on-corruption":                        {want: usual},
		"restart-on-corruption, panic-on-corruption": {want: usual},
		"restart-on-corruption": {want: with(func(o *VolumeOptions) {
			o.Table.OnCorruption, o.Table.OnError = veritytable.Restart, veritytable.Restart
		})},
		"ignore-zero-blocks,use-tasklets": {want: with(func(o *VolumeOptions) { o.Table.IgnoreZeroBlocks, o.Table.TryVerifyInTasklet = true, true })},
		"check-at-most-once":              {want: with(func(o *VolumeOptions) { o.Table.CheckAtMostOnce = true }), warning: "goes unnoticed"},
		"hash-offset=1M":                  {want: with(func(o *VolumeOptions) { o.HashOffset = 1 << 20 })},
		"root-hash-signature=auto":        {want: with(func(o *VolumeOptions) { o.Signature.Given = true })},
		"root-hash-signature=/a/b":        {want: with(func(o *VolumeOptions) { o.Signature = SignatureSource{Given: true, Path: "/a/b"} })},
		"/a/b,c":                          {}, // tried below: the old form has no further words
		"/a/b":                            {want: with(func(o *VolumeOptions) { o.Signature = SignatureSource{Given: true, Path: "/a/b"} })},
		"base64:YWI=":                     {want: with(func(o *VolumeOptions) { o.Signature = SignatureSource{Given: true, DER: []byte("ab")} })},
		"root-hash-signature=base64:YWI=": {want: with(func(o *VolumeOptions) { o.Signature = SignatureSource{Given: true, DER: []byte("ab")} })},
		"fec-device=PARTLABEL=x,fec-roots=24,fec-offset=4K": {want: with(func(o *VolumeOptions) {
			o.FEC = &VolumeFEC{Device: Selector{ByPartLabel, "x"}, Offset: 4096, Roots: 24}
		})},
		"salt=aabb,uuid=x,hash=sha1,data-blocks=5": {want: usual, warning: "salt=, uuid=, hash=, data-blocks= without effect"},
		"superblock=no": {want: with(func(o *VolumeOptions) { b := bare; o.Bare = &b })},
		"superblock=0,format=0,data-block-size=1K,hash-block-size=512,data-blocks=5,salt=aaBB,hash=SHA512,salt=-": {want: with(func(o *VolumeOptions) {
			o.Bare = &veritytable.Superblock{Algorithm: "sha512", DataBlockSize: 1024, HashBlockSize: 512, DataBlocks: 5, Bare: true}
		})},
	} {
		if c.want.Table.OnCorruption == "" {
			continue
		}
		b := planLine(t, wholeLine+` systemd.verity_usr_options="`+text+`"`)
		if !reflect.DeepEqual(b.Usr.Volume.Options, c.want) {
			t.Errorf("%s: %+v, want %+v", text, b.Usr.Volume.Options, c.want)
		}
		if warnings := strings.Join(b.Warnings, "; "); (c.warning == "") != (warnings == "") || !strings.Contains(warnings, c.warning) {
			t.Errorf("%s: warns %q", text, warnings)
		}
	}
}

// TestUsrOptionsLastListWins: as systemd has it, words with "rd." included.
func TestUsrOptionsLastListWins(t *testing.T) {
	const key = " systemd.verity_usr_options="
	for line, want := range map[string]veritytable.Response{
		key + "restart-on-corruption" + key + "auto":                            veritytable.Panic,
		key + "auto" + key + "restart-on-corruption":                            veritytable.Restart,
		key + "auto rd.systemd.verity-usr-options=restart-on-corruption":        veritytable.Restart,
		" rd.systemd.verity_usr_options=restart-on-corruption" + key + "auto":   veritytable.Panic,
		" systemd.verity_root_optionsx=a" + key + "auto,restart-on-corruption,": veritytable.Restart,
	} {
		if got := planLine(t, wholeLine+line).Usr.Volume.Options.Table.OnCorruption; got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
	if b := planLine(t, wholeLine+" rd.usrhash="+strings.Repeat("ab", 32)); b.Usr.Volume.RootHash != strings.Repeat("ab", 32) {
		t.Error(b.Usr.Volume.RootHash)
	}
}

func TestUsrOptionsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"panic-on-coruption":                  "this word is not known",
		"PANIC-ON-CORRUPTION":                 "this word is not known",
		"panic-on-corruption=yes":             "this word is not known",
		"salt":                                "this word is not known",
		"/a/b,c":                              "c: this word is not known",
		"ignore-corruption":                   "mounts nothing that may be corrupted",
		"superblock=perhaps":                  "neither yes nor no",
		"superblock=no,format=2":              "hash type 2",
		"superblock=no,data-block-size=768":   "data block size 768",
		"superblock=no,hash-block-size=":      "not a number",
		"data-blocks=0":                       "nothing would be verified",
		"data-blocks=99999999999999999999":    "not a number that is possible",
		"data-block-size=8G":                  "too large",
		"hash-offset=100":                     "not a multiple of 512",
		"hash-offset=-512":                    "not a number",
		"hash-offset=8E":                      "too large",
		"hash-offset=16E":                     "not a number that is possible",
		"hash-offset=K":                       "not a number",
		"salt=abc":                            "odd length",
		"hash=rot13":                          "this hash is not known",
		"fec-roots=2":                         "fec-roots= without fec-device=",
		"fec-device=ID=x":                     "preroot finds devices by",
		"fec-device=PARTLABEL=x,fec-roots=25": "not within 2 to 24",
		"root-hash-signature=x":               "neither a path, nor base64:, nor auto",
		"root-hash-signature=base64:":         "not base64",
		"root-hash-signature=base64:*":        "not base64",
		"tpm2-measure-nvpcr=yes":              "does not measure",
		"tpm2-measure-nvpcr=verity":           "does not measure",
	} {
		_, err := PlanBoot(kernelcmdline.Parse(wholeLine+` systemd.verity_usr_options="`+text+`"`), Settings{})
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, want) || !strings.Contains(refusal.Reason, "systemd.verity_usr_options") || refusal.Advice == "" {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestVeritySettings(t *testing.T) {
	for text, want := range map[string]VeritySettings{
		"":                             {},
		"[Verity]\n":                   {},
		"[Verity]\nUsrPolicy=signed\n": {UsrPolicy: trust.PolicySigned},
		"[Verity]\nUsrPolicy=signed\nUsrPolicy=verity\nSealKeyring=yes\n":  {trust.PolicyVerity, true},
		"[ConfExt]\nRequire=a\n[Verity]\nSealKeyring=off\nUsrPolicy=any\n": {UsrPolicy: trust.PolicyAny},
	} {
		settings, err := ParseSettings([]byte(text))
		if err != nil || settings.Verity != want {
			t.Errorf("%s: %+v, %v", text, settings.Verity, err)
		}
		b, err := PlanBoot(kernelcmdline.Parse(wholeLine), settings)
		if err != nil || b.Verity.UsrPolicy != want.UsrPolicy || b.Verity.SealKeyring != want.SealKeyring {
			t.Errorf("%s: %+v, %v", text, b, err)
		}
	}
	for text, want := range map[string]string{
		"[Verity]\nUsrPolicy=Signed\n": `policy "Signed" is none of`,
		"[Verity]\nSealKeyring=\n":     "neither yes nor no",
		"[Verity]\nPolicy=signed\n":    "unknown setting Policy= in [Verity]",
		"[verity]\nUsrPolicy=signed\n": "unknown section [verity]",
	} {
		if _, err := ParseSettings([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "read preroot.conf: ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzUsrOptions(f *testing.F) {
	for _, text := range []string{"superblock=no,salt=-,hash-offset=1K", "root-hash-signature=base64:YWI=,auto", "/a", "fec-device=/dev/sda,fec-roots=3,fec-offset=7E", "=,="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, _, err := parseVolumeOptions(text)
		if err != nil {
			return
		}
		if o.Table.OnCorruption != veritytable.Panic && o.Table.OnCorruption != veritytable.Restart || o.Table.OnError != o.Table.OnCorruption {
			t.Errorf("%q weakens: %+v", text, o)
		}
		if o.HashOffset < 0 || o.HashOffset%512 != 0 || o.FEC != nil && (o.FEC.Offset < 0 || o.FEC.Roots < 2 || o.FEC.Roots > 24) {
			t.Errorf("%q: %+v", text, o)
		}
	})
}
