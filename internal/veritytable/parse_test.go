package veritytable

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseTable(t *testing.T) {
	// As Linux 7.2 prints it: the words of error correction in another order than they were written in.
	const text = "0 7:5 254:0 1024 4096 256 257 SHA256 " + sampleRoot + " - " +
		"9 use_fec_from_device 7:5 fec_blocks 259 fec_start 260 fec_roots 2 IGNORE_zero_blocks"
	got, err := ParseTable(text)
	if err != nil {
		t.Fatal(err)
	}
	want := sampleTable()
	want.HashType, want.Algorithm, want.DataBlockSize, want.Salt, want.UUID = 0, "sha256", 1024, nil, [16]byte{}
	want.DataDevice, want.HashDevice, want.StartBlock = "7:5", "254:0", 257
	want.Options = Options{FEC: &FEC{Device: "7:5", Roots: 2, Start: 260, Blocks: 259}, IgnoreZeroBlocks: true}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("%+v, want %+v", *got, want)
	}
}

func TestParseTableAcceptsWhatKernelsPrint(t *testing.T) {
	for name, test := range map[string]struct {
		words string
		want  Options
	}{
		"no count":              {"", Options{}},
		"count of zero":         {" 0", Options{}},
		"blanks in a key":       {" 3 root_hash_sig_key_desc a b c panic_on_corruption", Options{SignatureKey: "a b c", OnCorruption: Panic}},
		"key in front":          {" 3 root_hash_sig_key_desc k panic_on_corruption", Options{SignatureKey: "k", OnCorruption: Panic}},
		"words of newer Linux":  {" 2 some_new_word panic_on_error", Options{Other: []string{"some_new_word"}, OnError: Panic}},
		"unknown with argument": {" 2 new_option 7", Options{Other: []string{"new_option", "7"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTable(sampleWords + "deadbeef" + test.words)
			if err != nil || !reflect.DeepEqual(got.Options, test.want) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	// Algorithms that are not known here are for the kernel to judge.
	if got, err := ParseTable(strings.Replace(sampleWords, "sha256", "sm3", 1) + "-"); err != nil || got.Algorithm != "sm3" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseTableRefuses(t *testing.T) {
	good := sampleWords + "deadbeef"
	change := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for name, test := range map[string]struct{ text, want string }{
		"nothing":           {"", "has 0 words"},
		"nine words":        {sampleWords, "has 9 words"},
		"another target":    {"0 100 linear 7:0 0 0 0 0 0 0", "is not"},
		"version":           {change("1 ", "2 "), "hash type 2"},
		"negative":          {change("1 ", "-1 "), `version "-1"`},
		"path of a device":  {change("259:2", "/dev/sda"), `device "/dev/sda" is not major:minor`},
		"three numbers":     {change("259:2", "1:2:3"), "is not major:minor"},
		"block size":        {change("4096", "768"), "data block size 768"},
		"no blocks":         {change(" 256 ", " 0 "), "0 data blocks"},
		"too many blocks":   {change(" 256 ", " 99999999999999999999 "), "is not a number of 64 bits"},
		"overflow":          {change(" 256 ", " 18446744073709551615 "), "at most"},
		"algorithm":         {change("sha256", "sha(256)"), "is not the name of a hash algorithm"},
		"root hash":         {change(sampleRoot, "xyz"), "root hash"},
		"long root hash":    {change(sampleRoot, strings.Repeat("00", 129)), "at most 128 bytes"},
		"salt":              {change("deadbeef", strings.Repeat("00", 257)), "salt"},
		"count":             {good + " x", "number of optional words"},
		"missing words":     {good + " 2 panic_on_corruption", "1 optional words, 2 were announced"},
		"more words":        {good + " 1 panic_on_corruption panic_on_error", "2 optional words, 1 were announced"},
		"missing argument":  {good + " 1 fec_roots", "fec_roots has no argument"},
		"no key":            {good + " 1 root_hash_sig_key_desc", "has no argument"},
		"correction":        {good + " 2 fec_roots 2", "error correction without a device"},
		"roots":             {good + " 2 fec_roots -2", `fec_roots "-2"`},
		"endless":           {strings.Repeat("1 ", maxTableText), "at most 65536"},
		"device of the FEC": {good + " 2 use_fec_from_device x", "is not major:minor"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseTable(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, error %v does not say %q", got, err, test.want)
			}
		})
	}
}

func FuzzParseTable(f *testing.F) {
	for _, test := range optionCases {
		f.Add(sampleWords + "deadbeef" + test.words)
	}
	f.Add(sampleWords + "- 3 root_hash_sig_key_desc a b c panic_on_corruption")
	f.Add("1 7:0 7:1 4096 4096 18446744073709551615 1 sha256 00 - 65535")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ParseTable(text)
		if err != nil {
			return
		}
		// What was understood can be said again, and is then understood as the same.
		if strings.ContainsAny(table.Options.SignatureKey, " \\") {
			return
		}
		again, err := ParseTable(table.Line())
		if err != nil || again.Line() != table.Line() {
			t.Errorf("%q becomes %q, then %+v, %v", text, table.Line(), again, err)
		}
		if table.Sectors() == 0 {
			t.Errorf("%q has no sectors", text)
		}
	})
}
