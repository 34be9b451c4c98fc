//go:build guest

package merge

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
)

// The plan of a root that is unpacked in a directory and of the same one in an image file: a file system, a partition, a root and
// a /usr. Nothing is changed, and nothing stays mounted or open.
func TestPlanOfARootAndOfImages(t *testing.T) {
	w := newWorld(t)
	w.check(os.Unsetenv("SYSTEMD_CONFEXT_HIERARCHIES"))
	root := w.root(t.TempDir() + "/root")
	w.write(root+"/usr/lib/confexts/late/etc/inner", "late\n")
	w.write(root+"/usr/lib/confexts/late/etc/extension-release.d/extension-release.late", "ID=debian\nVERSION_ID=14\n")
	w.write(root+"/var/lib/confexts/raw.raw", string(w.packed("erofs", "raw")))
	w.write(root+"/var/lib/confexts/old/etc/extension-release.d/extension-release.old", "ID=debian\nVERSION_ID=13\n")
	want := w.ours("plan", "--root="+root)
	w.has(want, "late      accepted")
	w.has(want, "old       ignored  none       ")
	w.has(want, "/etc: layers from the top: raw, late, inner, the host; mode no, mount flags ro,nosuid,nodev,noexec\n")
	w.has(want, "warning: /etc/inner of \"inner\" is hidden by that of \"late\"\n")

	partition := func(kind string, content []byte) gpttest.Partition {
		var p gpttest.Partition
		var err error
		p.Type, err = gpt.ParseGUID(kind)
		w.check(err)
		p.ID, err = gpt.ParseGUID("00000000-0000-0000-0000-000000000001")
		w.check(err)
		p.Data = content
		return p
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(name)
		w.check(err)
		return content
	}
	whole := read(packTree(t, "erofs", root))
	usr := read(packTree(t, "erofs", root+"/usr"))
	w.check(os.RemoveAll(root + "/usr"))
	w.check(os.Mkdir(root+"/usr", 0o755))
	rest := read(packTree(t, "ext4", root))
	devices, mounts := usedDevices(t), read("/proc/self/mountinfo")
	for name, content := range map[string][]byte{
		"file system":  whole,
		"partition":    gpttest.Disk{Partitions: []gpttest.Partition{partition(dditest.TypeRoot, whole)}}.Bytes(),
		"root and usr": gpttest.Disk{Partitions: []gpttest.Partition{partition(dditest.TypeRoot, rest), partition(dditest.TypeUsr, usr)}}.Bytes(),
	} {
		image := t.TempDir() + "/image"
		w.check(os.WriteFile(image, content, 0o600))
		call := func(arguments ...string) string {
			command := exec.Command("/proc/self/exe", append([]string{"systemd-confext", "--image=" + image}, arguments...)...)
			command.Env = append(os.Environ(), helperVariable+"=merge")
			output, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %q: %v: %s", name, arguments, err, output)
			}
			return string(output)
		}
		w.is(call("plan"), want)
		if !json.Valid([]byte(call("plan", "--json=short"))) {
			t.Error("the plan is no JSON")
		}
		w.has(call("explain", "/etc/inner"), "late  file yes\n")
		w.has(call("list", "--no-legend"), " /usr/lib/confexts/late ")
		if left := leftDevices(t, devices); len(left) > 0 {
			t.Errorf("devices are left: %q", left)
		}
		w.is(string(read("/proc/self/mountinfo")), string(mounts))
	}
	for arguments, sentence := range map[string]string{
		"merge --image=x":            "--image= is for plan, explain and list, without --root=.",
		"plan --image=x --root=/srv": "--image= is for plan, explain and list, without --root=.",
	} {
		w.fails(sentence, strings.Fields(arguments)...)
	}
	// What is no image ends with its reason.
	w.write("/srv/junk", "junk")
	command := exec.Command("/proc/self/exe", "systemd-confext", "--image=/srv/junk", "plan")
	command.Env = append(os.Environ(), helperVariable+"=merge")
	output, err := command.CombinedOutput()
	if err == nil {
		t.Error("junk has a plan")
	}
	w.has(string(output), "Failed to open image '/srv/junk': ")
}
