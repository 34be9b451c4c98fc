package hashtree_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/hashtree/hashtreetest"
	"github.com/preroot/preroot/internal/veritytable"
)

const (
	goldenSalt = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"
	goldenUUID = "8f3c1d2e0b4a4c5d9e6f7a8b9c0d1e2f"
)

// golden holds formats that veritysetup 2.8.8 made: data is generated from the seed, root and
// sum (SHA-256 of the whole hash device) are its results.
var golden = map[string]struct {
	seed                 string
	size                 int
	hashType             uint32
	algorithm            string
	dataBlock, hashBlock uint32
	salt                 string
	offset               int64
	root, sum            string
}{
	"plain-1m": {"verity-golden/plain-1m", 1048576, 1, "sha256", 4096, 4096, goldenSalt, 0,
		"2b6ab583a75045386ea81f899cf633757d02cddb1b8a3240f8dee8642f60c947",
		"351949c258f0b651f0e29f3c4d2fbfc79b405b714962c34a2b8357a9558739c6"},
	"one-block": {"verity-golden/one-block", 4096, 1, "sha256", 4096, 4096, goldenSalt, 0,
		"2a4b110b6e11032d03cd760377d86880cee24a7b4f96b332227459e67dce842c",
		"fc3a45aac4a58dffec07759545a6e98c74672208874d2f41b1b4486f44e8422b"},
	"exact-128": {"verity-golden/exact-128", 524288, 1, "sha256", 4096, 4096, goldenSalt, 0,
		"8110f6e83c757dce3be755c8212050a730bffc974eb971fbb7a64cd74328d964",
		"b06e735dbd826e6a29c81eb575b6f38bc6fd87289618cfb98175dde4bc5ed947"},
	"bs-512-512": {"verity-golden/bs-512-512", 524800, 1, "sha256", 512, 512, goldenSalt, 0,
		"7781907178c2ea362676465a96a16cc93692eea5f319cf849d15e650032c0bfb",
		"5e21eac0bfa332f31ef30aaf52b7e3a1610d3147ac25521ebe2670478c640f70"},
	"bs-512-4096": {"verity-golden/bs-512-4096", 524800, 1, "sha256", 512, 4096, goldenSalt, 0,
		"cbf2f8d6ede2352521d41e2b5cbba87fa428ded1e1bbd63036b41d810a32bd24",
		"531743055bbdba2df8e380d3c002fc18a360aa3d9e43ed094e8434bba80dd849"},
	"bs-4096-512": {"verity-golden/bs-4096-512", 528384, 1, "sha256", 4096, 512, goldenSalt, 0,
		"3e16912c78363f876580fa892032dd73378bd642846410cd78f8d5ba42057160",
		"c46e9da21276377d9c0b9933f37670a222b58ee5671015493a28773e8fcc7e60"},
	"hash-sha1": {"verity-golden/hash-sha1", 614400, 1, "sha1", 4096, 4096, goldenSalt, 0,
		"71650b3dbf168e7ad061ad1e9d2c7235ca73e062",
		"5794900dbe702dc01daceabc0755643037a124880bbee838276a7359874b291c"},
	"hash-sha224": {"verity-golden/hash-sha224", 614400, 1, "sha224", 4096, 4096, goldenSalt, 0,
		"c341b889b6792245f3accf82dc70ebecb74a45483763aaaccda7f05d",
		"5116b3a7b1f8750073f57f6a9664a508ef13f28b6b100cbc7cd7448a8ef97293"},
	"hash-sha512": {"verity-golden/hash-sha512", 614400, 1, "sha512", 4096, 4096, goldenSalt, 0,
		"7f6e74883977b54f451b14a6b3873bfd7764f2a109846ce6b67ac9c0f5a44421fe705b2ab76a3b3ec7844afc8e528b7a5bb63a72205137340f5fbb687b9aa8b7",
		"52322dc06d0844a75f3177454ce32a961ec59e6b15206b5b51e87319206c4d3f"},
	"hash-sha384-1024": {"verity-golden/hash-sha384-1024", 307200, 1, "sha384", 1024, 1024, goldenSalt, 0,
		"edf37bc781af6d92847fdc530c1a80a976e092c045b8a14c32ff645ad57378fe26c7744a3a18b4cc17ad9547b2135ef6",
		"7adaacd46930a7e37640accfdf5fa57fc91af7b67a162da864344a1744f585cd"},
	"salt-none": {"verity-golden/salt-none", 1048576, 1, "sha256", 4096, 4096, "", 0,
		"759ce80e0033cbb032c9160272afd7c9c8fe1d34ee2a5bdff4675352060be771",
		"330b83b048dabfc5a19ee2b96a6c1e6f7695b586fa3babcaec8060b8f634c6c9"},
	"salt-1": {"verity-golden/salt-1", 1048576, 1, "sha256", 4096, 4096, "5a", 0,
		"7ccd3e4532da5e92823821a135e51354ea2b039f6587dd73e3a7d0941f029ac1",
		"233a81e510eaa526887938eb81ae3a1ff620e498a81daf01d9054b80aadf18b3"},
	"fmt0-sha1": {"verity-golden/fmt0-sha1", 1048576, 0, "sha1", 4096, 4096, goldenSalt, 0,
		"b78d2f7856f2f826c61cb069fef59f31359bd074",
		"18da7c67185f93eb47930bd8ff8b12cb4e35a70037966efb05922c7321158822"},
	"fmt0-sha256": {"verity-golden/fmt0-sha256", 1048576, 0, "sha256", 4096, 4096, goldenSalt, 0,
		"09d4fab9954d73b5118e866b80fb0e7ec2b316de71483fb3293590f82c54ef05",
		"d470896d52af3938a61a16bf3e545eaddb55a0f996ef241b424574988d33b9ff"},
	"fmt0-sha384": {"verity-golden/fmt0-sha384", 614400, 0, "sha384", 4096, 4096, goldenSalt, 0,
		"b1f1b5e366a67b30905d80d66cbb682d46e2ecfe450e3744a69ee2122d3eac6ab59a7bc8de5936ad89f6a17f7254505d",
		"756719269e0328ce79aa283f10c8e58380cd0058344b9183cecfab9c7a968cea"},
	"off-8192": {"verity-golden/off-8192", 1048576, 1, "sha256", 4096, 4096, goldenSalt, 8192,
		"16a30474f4530e9727dbb4d5811496715c4d20adf26148b9a2949d3a4b14cecd",
		"ee72718889d8b1eb935109d6ca3ba34696eb84caeb6ed09207fb63216c55ee6b"},
	"off-512": {"verity-golden/off-512", 1048576, 1, "sha256", 4096, 4096, goldenSalt, 512,
		"97385e3fa8be46bbd6fe8b1c97352a83edc3a27e6493126d80d093b77f666f01",
		"bc60df5712a460dfb1b6504fdd00d8c58bd3a3e555f6a66737b332da2dfd39c9"},
	"off-4608": {"verity-golden/off-4608", 1048576, 1, "sha256", 4096, 4096, goldenSalt, 4608,
		"732bb7a61638d1a1899b5e7ad7109ba88610098f8a47c162880278d0432b1e23",
		"dc39ad2158f1a0e32467efeae4bbd65737b0a1e15406e4ee354d9699da788ded"},
}

// generate makes the data: the hashes of the seed and a counter, one after the other.
func generate(seed string, size int) []byte {
	var data []byte
	for i := uint64(0); len(data) < size; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(seed), i))
		data = append(data, sum[:]...)
	}
	return data[:size]
}

func fromHex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenTrees(t *testing.T) {
	for name, test := range golden {
		t.Run(name, func(t *testing.T) {
			data := generate(test.seed, test.size)
			s := veritytable.Superblock{
				HashType: test.hashType, UUID: [16]byte(fromHex(t, goldenUUID)), Algorithm: test.algorithm,
				DataBlockSize: test.dataBlock, HashBlockSize: test.hashBlock,
				DataBlocks: uint64(test.size) / uint64(test.dataBlock), Salt: fromHex(t, test.salt),
			}
			device, root := hashtreetest.Build(s, test.offset, data)
			if sum := sha256.Sum256(device); hex.EncodeToString(sum[:]) != test.sum {
				t.Errorf("the hash device differs from veritysetup's")
			}
			if hex.EncodeToString(root) != test.root {
				t.Errorf("root hash %x, veritysetup has %s", root, test.root)
			}
			// From here on only what is on disk counts.
			parsed, err := veritytable.ParseSuperblock(device[test.offset:])
			if err != nil {
				t.Fatal(err)
			}
			if err := parsed.Check(int64(len(data)), int64(len(device)), test.offset); err != nil {
				t.Errorf("Check: %v", err)
			}
			last := parsed.DataBlocks - 1
			for _, block := range []uint64{0, 1, 7, 127, 128, last / 2, last} {
				block = min(block, last)
				err := hashtree.CheckPath(parsed, test.offset, fromHex(t, test.root),
					bytes.NewReader(data), bytes.NewReader(device), block)
				if err != nil {
					t.Errorf("block %d: %v", block, err)
				}
			}
		})
	}
}

// threeLevels is a tree of 16 digests a block: 1 + 3 + 33 hash blocks, blocks 1, 2.., 5..
type tree struct {
	superblock         veritytable.Superblock
	data, device, root []byte
}

func threeLevels() tree {
	x := tree{superblock: veritytable.Superblock{
		HashType: 1, Algorithm: "sha256", DataBlockSize: 512, HashBlockSize: 512, DataBlocks: 520, Salt: []byte("salt"),
	}}
	x.data = generate("three levels", 520*512)
	x.device, x.root = hashtreetest.Build(x.superblock, 0, x.data)
	return x
}

func (x tree) check(block uint64) error {
	return hashtree.CheckPath(&x.superblock, 0, x.root, bytes.NewReader(x.data), bytes.NewReader(x.device), block)
}

func TestEveryBlockOfATree(t *testing.T) {
	x := threeLevels()
	for block := range x.superblock.DataBlocks {
		if err := x.check(block); err != nil {
			t.Fatalf("block %d: %v", block, err)
		}
	}
}

func TestMismatchNamesTheBlock(t *testing.T) {
	// Data block 300 has leaf 300/16 = 18 and inner block 18/16 = 1.
	for name, test := range map[string]struct {
		damage func(x *tree)
		block  uint64
		want   hashtree.MismatchError
		text   string
	}{
		"root hash": {
			func(x *tree) { x.root[0] ^= 1 }, 300,
			hashtree.MismatchError{Level: 2, TopLevel: true, Block: 1, Offset: 512},
			"the top hash block does not match the root hash (",
		},
		"top block": {
			func(x *tree) { x.device[512+511] ^= 1 }, 300,
			hashtree.MismatchError{Level: 2, TopLevel: true, Block: 1, Offset: 512},
			"the top hash block does not match the root hash",
		},
		"inner block": {
			func(x *tree) { x.device[3*512] ^= 1 }, 300,
			hashtree.MismatchError{Level: 1, Block: 3, Offset: 3 * 512},
			"hash block 3 (level 1) does not match its parent (byte 1536)",
		},
		"leaf": {
			func(x *tree) { x.device[(5+18)*512+100] ^= 1 }, 300,
			hashtree.MismatchError{Level: 0, Block: 23, Offset: 23 * 512},
			"hash block 23 (level 0) does not match its parent",
		},
		"data": {
			func(x *tree) { x.data[300*512+511] ^= 0x80 }, 300,
			hashtree.MismatchError{Level: -1, Block: 300, Offset: 300 * 512},
			"data block 300 does not match the hash tree (byte 153600)",
		},
		"first data block": {
			func(x *tree) { x.data[0] ^= 1 }, 0,
			hashtree.MismatchError{Level: -1, Block: 0, Offset: 0},
			"data block 0 does not match the hash tree (byte 0)",
		},
		"salt": {
			func(x *tree) { x.superblock.Salt = []byte("sale") }, 0,
			hashtree.MismatchError{Level: 2, TopLevel: true, Block: 1, Offset: 512},
			"the top hash block does not match the root hash",
		},
		// The top block is taken for a leaf then, and the digests in it are of hash blocks.
		"number of data blocks": {
			func(x *tree) { x.superblock.DataBlocks = 16 }, 0,
			hashtree.MismatchError{Level: -1, Block: 0, Offset: 0},
			"data block 0 does not match the hash tree",
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := threeLevels()
			test.damage(&x)
			var got *hashtree.MismatchError
			err := x.check(test.block)
			if !errors.As(err, &got) {
				t.Fatalf("error is %v, want a MismatchError", err)
			}
			if got.Level != test.want.Level || got.TopLevel != test.want.TopLevel || got.Block != test.want.Block || got.Offset != test.want.Offset {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if bytes.Equal(got.Got, got.Want) || len(got.Want) != 32 || len(got.Got) != 32 {
				t.Errorf("digests %x and %x", got.Got, got.Want)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("message %q does not say %q", err, test.text)
			}
		})
	}
}

func TestDamageOffThePathIsNotSeen(t *testing.T) {
	x := threeLevels()
	x.data[301*512] ^= 1
	x.device[5*512] ^= 1
	x.device[2*512] ^= 1
	if err := x.check(300); err != nil {
		t.Errorf("block 300: %v", err)
	}
	if err := x.check(301); err == nil {
		t.Error("block 301 is damaged and passes")
	}
}

func TestOneBlockIsCheckedAgainstTheRootHash(t *testing.T) {
	s := veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 1}
	data := generate("one", 4096)
	device, root := hashtreetest.Build(s, 0, data)
	check := func() error {
		return hashtree.CheckPath(&s, 0, root, bytes.NewReader(data), bytes.NewReader(device), 0)
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	data[4095] ^= 1
	err := check()
	if err == nil || !strings.HasPrefix(err.Error(), "data block 0 does not match the root hash (") {
		t.Errorf("error is %v", err)
	}
}

func TestRefusesWhatCannotBeChecked(t *testing.T) {
	for name, test := range map[string]struct {
		change func(x *tree)
		block  uint64
		want   string
	}{
		"block outside":   {func(x *tree) {}, 520, "data block 520 is not in the tree, which has 520"},
		"largest block":   {func(x *tree) {}, math.MaxUint64, "data block 18446744073709551615 is not"},
		"short root":      {func(x *tree) { x.root = x.root[:31] }, 0, "root hash has 31 bytes, sha256 needs 32"},
		"no root":         {func(x *tree) { x.root = nil }, 0, "root hash has 0 bytes"},
		"algorithm":       {func(x *tree) { x.superblock.Algorithm = "crc32" }, 0, `"crc32" is not supported`},
		"zero superblock": {func(x *tree) { x.superblock = veritytable.Superblock{} }, 0, "verity superblock"},
		"short data":      {func(x *tree) { x.data = x.data[:519*512+511] }, 519, "read verity data block 519 at byte 265728: unexpected EOF"},
		"short leaves":    {func(x *tree) { x.device = x.device[:5*512] }, 0, "read verity hash block 5 at byte 2560: unexpected EOF"},
		"short tree":      {func(x *tree) { x.device = x.device[:600] }, 0, "read verity hash block 1 at byte 512: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			x := threeLevels()
			test.change(&x)
			err := x.check(test.block)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			}
			var mismatch *hashtree.MismatchError
			if errors.As(err, &mismatch) {
				t.Errorf("%v is a mismatch", err)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestReadErrorIsKept(t *testing.T) {
	x := threeLevels()
	broken := errors.New("medium error")
	err := hashtree.CheckPath(&x.superblock, 0, x.root, bytes.NewReader(x.data), failing{broken}, 0)
	if !errors.Is(err, broken) || errors.Is(err, io.EOF) {
		t.Errorf("error is %v", err)
	}
}

func TestMessageFitsAConsole(t *testing.T) {
	long := &hashtree.MismatchError{Level: 1, Block: 1 << 24, Offset: 1 << 36, Want: make([]byte, 64), Got: make([]byte, 64)}
	if text := long.Error(); len(text) > 80 {
		t.Errorf("%d characters: %s", len(text), text)
	}
	long.TopLevel = true
	if text := long.Error(); len(text) > 80 || !strings.Contains(text, "00000000..") {
		t.Errorf("%d characters: %s", len(text), text)
	}
	if text := (&hashtree.MismatchError{TopLevel: true}).Error(); text == "" { // no digests
		t.Error("the zero value has no text")
	}
}

func TestNewHashAgreesWithDigestSize(t *testing.T) {
	for _, name := range []string{"sha1", "sha224", "sha256", "sha384", "sha512", "SHA256", "md5", "sha3-256", ""} {
		newHash, ok := hashtree.NewHash(name)
		size, known := veritytable.DigestSize(name)
		if ok != known {
			t.Errorf("%q: NewHash %v, DigestSize %v", name, ok, known)
		}
		if ok && newHash().Size() != size {
			t.Errorf("%q: size %d, DigestSize %d", name, newHash().Size(), size)
		}
	}
}

// Any superblock and any bytes: no panic, and nothing passes that has another content.
func FuzzCheckPath(f *testing.F) {
	x := threeLevels()
	f.Add(x.device, x.root, uint64(0), uint16(0))
	f.Add(x.device, x.root, uint64(300), uint16(1))
	f.Add(hashtreetest.Superblock(x.superblock), x.root, uint64(300), uint16(0))
	one := veritytable.Superblock{HashType: 0, Algorithm: "sha1", DataBlockSize: 512, HashBlockSize: 524288, DataBlocks: 1 << 40}
	f.Add(hashtreetest.Superblock(one), make([]byte, 20), uint64(1<<40-1), uint16(8))
	f.Fuzz(func(t *testing.T, device, root []byte, block uint64, sectors uint16) {
		s, err := veritytable.ParseSuperblock(device)
		if err != nil {
			return
		}
		offset := int64(sectors) * 512
		data := bytes.NewReader(x.data)
		if err := hashtree.CheckPath(s, offset, root, data, bytes.NewReader(device), block); err != nil {
			_ = err.Error()
			return
		}
		if offset == 0 && bytes.Equal(device, x.device) && !bytes.Equal(root, x.root) {
			t.Errorf("root %x passes for the tree with root %x", root, x.root)
		}
	})
}
