package veritytable

import (
	"reflect"
	"strings"
	"testing"
)

// fecWords are those of a 1 MiB image with 4 roots, as libcryptsetup writes them.
const fecWords = "use_fec_from_device 7:3 fec_start 0 fec_blocks 259 fec_roots 4"

// optionCases have the words of captures of veritysetup 2.8.8 on Linux 7.2.
var optionCases = map[string]struct {
	options Options
	words   string // behind the salt
}{
	"none":        {Options{}, ""},
	"ignore":      {Options{OnCorruption: Ignore}, " 1 ignore_corruption"},
	"restart":     {Options{OnCorruption: Restart}, " 1 restart_on_corruption"},
	"panic":       {Options{OnCorruption: Panic}, " 1 panic_on_corruption"},
	"panic both":  {Options{OnCorruption: Panic, OnError: Panic}, " 2 panic_on_corruption panic_on_error"},
	"restart all": {Options{OnCorruption: Restart, OnError: Restart}, " 2 restart_on_corruption restart_on_error"},
	"zero blocks": {Options{IgnoreZeroBlocks: true}, " 1 ignore_zero_blocks"},
	"once":        {Options{CheckAtMostOnce: true}, " 1 check_at_most_once"},
	"tasklet":     {Options{TryVerifyInTasklet: true}, " 1 try_verify_in_tasklet"},
	"four": {Options{OnCorruption: Ignore, IgnoreZeroBlocks: true, CheckAtMostOnce: true, TryVerifyInTasklet: true},
		" 4 ignore_corruption ignore_zero_blocks check_at_most_once try_verify_in_tasklet"},
	"correction": {Options{FEC: &FEC{Device: "7:3", Roots: 4, Blocks: 259}}, " 8 " + fecWords},
	"signature": {Options{SignatureKey: "cryptsetup:11111111-2222-3333-4444-555555555555-v1"},
		" 2 root_hash_sig_key_desc cryptsetup:11111111-2222-3333-4444-555555555555-v1"},
	"all": {Options{OnCorruption: Restart, OnError: Restart, IgnoreZeroBlocks: true, CheckAtMostOnce: true, TryVerifyInTasklet: true,
		FEC: &FEC{Device: "7:3", Roots: 4, Blocks: 259}, SignatureKey: "k"},
		" 15 restart_on_corruption restart_on_error ignore_zero_blocks check_at_most_once try_verify_in_tasklet " +
			fecWords + " root_hash_sig_key_desc k"},
	"unknown": {Options{Other: []string{"new_word"}}, " 1 new_word"},
}

func TestOptionsInTheLine(t *testing.T) {
	for name, test := range optionCases {
		t.Run(name, func(t *testing.T) {
			table := sampleTable()
			table.Options = test.options
			line := table.Line()
			if want := sampleWords + "deadbeef" + test.words; line != want {
				t.Errorf("Line() = %q, want %q", line, want)
			}
			parsed, err := ParseTable(line)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(parsed.Options, test.options) {
				t.Errorf("read back as %+v, want %+v", parsed.Options, test.options)
			}
		})
	}
}

// The device mapper splits words at white space and takes the character behind a backslash as it is.
func TestKeyDescriptionsStayOneWord(t *testing.T) {
	table := sampleTable()
	table.Options.SignatureKey = "cryptsetup:a b\\c\td"
	if want := ` 2 root_hash_sig_key_desc cryptsetup:a\ b\\c` + "\\\td"; !strings.HasSuffix(table.Line(), want) {
		t.Errorf("%q does not end in %q", table.Line(), want)
	}
}

func TestFlags(t *testing.T) {
	o := Options{OnCorruption: Panic, OnError: Panic, CheckAtMostOnce: true, FEC: &FEC{}, SignatureKey: "k"}
	if got, want := o.Flags(), []string{"panic_on_corruption", "panic_on_error", "check_at_most_once"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
