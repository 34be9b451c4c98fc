package apply

import (
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/devmapper/devmappertest"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/veritytable"
)

const testRoot = "2b6ab583a75045386ea81f899cf633757d02cddb1b8a3240f8dee8642f60c947"

func testVerity() *plan.Verity {
	root, _ := hex.DecodeString(testRoot)
	return &plan.Verity{
		Name: "usr", UUID: "CRYPT-VERITY-00-usr",
		Table: veritytable.Table{
			Superblock: veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 256},
			DataDevice: "7:0", HashDevice: "7:1", StartBlock: 1, RootHash: root,
			Options: veritytable.Options{OnCorruption: veritytable.Panic, OnError: veritytable.Panic},
		},
		Probe: plan.Probe{Blocks: []uint64{0, 128, 255}},
	}
}

// stage opens devices of a double, and writes down what else would have been done.
type stage struct {
	kernel *devmappertest.Kernel
	did    []string
	// fail makes a step fail: "read" or "publish".
	fail map[string]error
	// during is called in every step.
	during func(step string)
}

func newStage() *stage {
	return &stage{kernel: &devmappertest.Kernel{Status: "V"}, fail: map[string]error{}, during: func(string) {}}
}

func (s *stage) step(name string) error {
	s.did = append(s.did, name)
	s.during(name)
	return s.fail[name]
}

func (s *stage) open(v *plan.Verity) (devmapper.Device, error) {
	o := verityOpener{
		dm: devmapper.With(s.kernel),
		read: func(node string, size int, blocks []uint64) error {
			if size != 4096 || !slices.Equal(blocks, v.Probe.Blocks) || !strings.HasPrefix(node, "/dev/dm-") {
				return errors.New("wrong blocks")
			}
			return s.step("read")
		},
		publish: func(name string, _ devmapper.Device) error { return s.step("publish") },
	}
	return o.open(v)
}

func (s *stage) table(name string) string {
	target, err := devmapper.With(s.kernel).Table(name)
	if err != nil {
		return err.Error()
	}
	return target.Parameters
}

func TestADeviceIsReadBeforeItGetsItsName(t *testing.T) {
	s := newStage()
	v := testVerity()
	s.during = func(string) {
		if got := s.table("usr"); !strings.HasSuffix(got, " 2 panic_on_corruption panic_on_error") {
			t.Errorf("table %q", got)
		}
	}
	if device, err := s.open(v); err != nil || device.UUID != v.UUID || !device.ReadOnly {
		t.Errorf("%+v, %v", device, err)
	}
	want := []devmapper.Command{devmapper.CommandCreate, devmapper.CommandLoad, devmapper.CommandResume, devmapper.CommandStatus}
	s.kernel.Calls = slices.DeleteFunc(s.kernel.Calls, func(c devmapper.Command) bool { return c == devmapper.CommandDevice })
	if !reflect.DeepEqual(s.did, []string{"read", "publish"}) || !slices.Equal(s.kernel.Calls[:3], want[:3]) {
		t.Errorf("%v, %v", s.did, s.kernel.Calls)
	}
}

// TestCarefulProbe is for blocks of which user space knows already that only error correction may help.
func TestCarefulProbe(t *testing.T) {
	s := newStage()
	v := testVerity()
	v.Probe.Gently = true
	s.during = func(step string) {
		if got := s.table("usr"); strings.Contains(got, "panic") != (step == "publish") {
			t.Errorf("%s with the table %q", step, got)
		}
	}
	if _, err := s.open(v); err != nil || !reflect.DeepEqual(s.did, []string{"read", "publish"}) {
		t.Errorf("%v, %v", s.did, err)
	}
	if v.Table.Options.OnCorruption != veritytable.Panic {
		t.Error("the plan was changed")
	}
	// Without its words the table must not stay.
	s = newStage()
	s.during = func(string) {
		s.kernel.Fail = map[devmapper.Command]unix.Errno{devmapper.CommandLoad: unix.EINVAL}
	}
	if _, err := s.open(v); !errors.Is(err, unix.EINVAL) || len(s.kernel.Names()) != 0 {
		t.Errorf("%v, left behind %v", err, s.kernel.Names())
	}
}

func TestAFailedOpenLeavesNothingBehind(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		change func(s *stage, v *plan.Verity)
		want   error
		probe  bool // whether it is a *ProbeError
	}{
		"create":            {func(s *stage, _ *plan.Verity) { s.failing(devmapper.CommandCreate) }, unix.EIO, false},
		"load":              {func(s *stage, _ *plan.Verity) { s.failing(devmapper.CommandLoad) }, unix.EIO, false},
		"resume":            {func(s *stage, _ *plan.Verity) { s.failing(devmapper.CommandResume) }, unix.EIO, false},
		"status":            {func(s *stage, _ *plan.Verity) { s.failing(devmapper.CommandStatus) }, unix.EIO, false},
		"read":              {func(s *stage, _ *plan.Verity) { s.fail["read"] = broken }, broken, true},
		"publish":           {func(s *stage, _ *plan.Verity) { s.fail["publish"] = broken }, broken, false},
		"corrupted":         {func(s *stage, _ *plan.Verity) { s.kernel.Status = "C -" }, nil, true},
		"status of nothing": {func(s *stage, _ *plan.Verity) { s.kernel.Status = "" }, nil, false},
		"signature of nothing": {func(_ *stage, v *plan.Verity) {
			v.Signature, v.Table.Options.SignatureKey = []byte{}, "preroot-test"
		}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, v := newStage(), testVerity()
			test.change(s, v)
			_, err := s.open(v)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if _, probe := errors.AsType[*ProbeError](err); probe != test.probe {
				t.Errorf("%T: %v", err, err)
			}
			if names := s.kernel.Names(); len(names) != 0 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

func (s *stage) failing(command devmapper.Command) {
	s.kernel.Fail = map[devmapper.Command]unix.Errno{command: unix.EIO}
}

func TestIgnoredCorruption(t *testing.T) {
	s, v := newStage(), testVerity()
	s.kernel.Status = "C"
	v.Table.Options = veritytable.Options{OnCorruption: veritytable.Ignore}
	if _, err := s.open(v); err != nil {
		t.Error(err)
	}
}

// Linux calls a device corrupted when it had to correct a hash block.
func TestCorrectedHashBlocks(t *testing.T) {
	for name, test := range map[string]struct {
		options veritytable.Options
		good    bool
	}{
		"no correction": {veritytable.Options{}, false},
		"correction":    {veritytable.Options{FEC: &veritytable.FEC{Device: "7:2"}}, true},
		"panic":         {veritytable.Options{FEC: &veritytable.FEC{Device: "7:2"}, OnCorruption: veritytable.Panic}, false},
	} {
		s, v := newStage(), testVerity()
		s.kernel.Status = "C"
		v.Table.Options, v.Probe.Gently = test.options, test.options.OnCorruption == veritytable.Panic
		if _, err := s.open(v); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingIsReadThatThePlanDoesNotName(t *testing.T) {
	s, v := newStage(), testVerity()
	v.Probe.Blocks = nil
	s.kernel.Status = "C"
	if _, err := s.open(v); err != nil || !reflect.DeepEqual(s.did, []string{"publish"}) {
		t.Errorf("%v, %v", s.did, err)
	}
}

func TestADeviceOfTheName(t *testing.T) {
	for name, test := range map[string]struct {
		accept bool
		change func(v *plan.Verity) // of the one that is there
		want   string               // part of the error, "" if the device is taken
	}{
		"the same":           {true, func(*plan.Verity) {}, ""},
		"not wanted":         {false, func(*plan.Verity) {}, "device or resource busy"},
		"another UUID":       {true, func(v *plan.Verity) { v.UUID = "CRYPT-VERITY-other" }, "another UUID, CRYPT-VERITY-other"},
		"another root hash":  {true, func(v *plan.Verity) { v.Table.RootHash = make([]byte, 32) }, "another table"},
		"weaker options":     {true, func(v *plan.Verity) { v.Table.Options = veritytable.Options{} }, "another table"},
		"another size":       {true, func(v *plan.Verity) { v.Table.DataBlocks-- }, "another table"},
		"another data":       {true, func(v *plan.Verity) { v.Table.DataDevice = "7:2" }, "another table"},
		"unverified options": {true, func(v *plan.Verity) { v.Table.Options.Other = []string{"new_word"} }, "another table"},
	} {
		t.Run(name, func(t *testing.T) {
			s, there := newStage(), testVerity()
			test.change(there)
			if _, err := s.open(there); err != nil {
				t.Fatal(err)
			}
			before := s.table("usr")
			v := testVerity()
			v.AcceptExisting = test.accept
			_, err := s.open(v)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if s.table("usr") != before {
				t.Errorf("table %q, it was %q", s.table("usr"), before)
			}
		})
	}
}

// TestSomebodyElseIsFaster has another process make the device while this one is about to.
func TestSomebodyElseIsFaster(t *testing.T) {
	s, v := newStage(), testVerity()
	v.AcceptExisting = true
	other := devmapper.With(s.kernel)
	looks := 0
	s.kernel.Before = func(command devmapper.Command, _ string) {
		before := s.kernel.Before
		s.kernel.Before = nil
		defer func() { s.kernel.Before = before }()
		switch command {
		case devmapper.CommandCreate:
			if len(s.kernel.Names()) > 0 {
				break
			}
			if _, err := other.Create("usr", v.UUID, verityTarget(&v.Table)); err != nil {
				t.Error(err)
			}
		case devmapper.CommandDevice:
			looks++
		}
	}
	device, err := s.open(v)
	if err != nil || !device.Active || looks == 0 || !reflect.DeepEqual(s.did, []string{"read", "publish"}) {
		t.Errorf("%+v, %d looks, %v, %v", device, looks, s.did, err)
	}
	// It is not ours to remove.
	s.fail["read"] = unix.EIO
	if _, err := s.open(v); !errors.Is(err, unix.EIO) || len(s.kernel.Names()) != 1 {
		t.Errorf("%v, there is %v", err, s.kernel.Names())
	}
}

func TestWhatTheKernelComplainedAbout(t *testing.T) {
	for want, complaints := range map[string][]string{
		"":                                   {"loop7: detected capacity change", "device-mapper: ioctl: error"},
		"7:0: metadata block 1 is corrupted": {"x", "device-mapper: verity: 7:0: metadata block 1 is corrupted", "device-mapper: verity: 7:0: data block 2 is corrupted"},
		"7:7: FEC 7: failed to correct":      {"device-mapper: verity-fec: 7:7: FEC 7: failed to correct"},
	} {
		if got := verityComplaint(complaints); got != want {
			t.Errorf("%q: %q, want %q", complaints, got, want)
		}
	}
}

// TestNoMemoryForAMoment: Linux 6.12 says so while it takes down another device. Other refusals are not tried again.
func TestNoMemoryForAMoment(t *testing.T) {
	for _, gently := range []bool{false, true} {
		for _, test := range []struct {
			errno    unix.Errno
			refusals int
			opens    bool
		}{{unix.ENOMEM, 3, true}, {unix.EIO, 1, false}} {
			s, v := newStage(), testVerity()
			v.Probe.Gently = gently
			last, loads := 0, 0
			if gently {
				last = 1 // the first table is the gentle one
			}
			s.kernel.Before = func(command devmapper.Command, _ string) {
				delete(s.kernel.Fail, devmapper.CommandLoad)
				if command != devmapper.CommandLoad {
					return
				}
				if loads++; loads > last && loads <= last+test.refusals {
					s.kernel.Fail = map[devmapper.Command]unix.Errno{devmapper.CommandLoad: test.errno}
				}
			}
			_, err := s.open(v)
			if want := last + test.refusals; test.opens && (err != nil || loads != want+1) || !test.opens && (!errors.Is(err, test.errno) || loads != want) {
				t.Errorf("gently %v, %v: %d loads, %v", gently, test.errno, loads, err)
			}
			if names := s.kernel.Names(); len(names) > 0 != test.opens {
				t.Errorf("gently %v, %v: devices %q", gently, test.errno, names)
			}
		}
	}
}
