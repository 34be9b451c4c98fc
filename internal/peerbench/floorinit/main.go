// Command floorinit is /init of the floor: an initramfs that makes the kernel calls which a boot of the testbed's disk needs, and nothing else. It
// knows beforehand what it would otherwise have to find out: the file /floor, which internal/peerbench/floor writes, names the modules with
// what each of them needs, the devices, the tables and the layers. It checks nothing and tells nobody. What preroot takes beyond it is preroot's own.
//
// It has no answer to failures but the end: the kernel restarts the machine then.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/peerbench/floor/steps"
)

const newRoot = "/sysroot"

func main() {
	text, err := os.ReadFile(steps.File)
	check(err, "plan")
	plan, err := steps.Parse(string(text))
	check(err, "plan")
	mountAPI()
	setPriority(highestPriority)
	modules := loadModules(plan.Modules)
	init := findInit()
	modules.wait("virtio_blk")
	if plan.Usr != (steps.Volume{}) {
		modules.wait("dm_verity")
	}
	dm, err := open(plan)
	check(err, "device mapper")
	modules.wait("ext4")
	mount(plan.Root, newRoot, "ext4", 0, "")
	if plan.Usr != (steps.Volume{}) {
		usr := create(dm, plan.Usr)
		modules.wait("erofs")
		mount(usr, newRoot+"/usr", "erofs", unix.MS_RDONLY, "")
		modules.wait("loop")
		for _, volume := range plan.Images {
			mountImage(dm, volume)
		}
		modules.wait("overlay")
		mountOverlays(plan.Images)
	}
	switchRoot()
	runtime.LockOSThread()
	check(unix.Setpriority(unix.PRIO_PROCESS, 0, 0), "priority")
	check(unix.Exec(init, append([]string{init}, os.Args[1:]...), os.Environ()), init)
}

// check ends the machine where something failed.
func check(err error, what string) {
	if err != nil {
		fmt.Println("floor:", what+":", err)
		os.Exit(1)
	}
}

func mount(source, target, fsType string, flags uintptr, data string) {
	check(unix.Mount(source, target, fsType, flags, data), "mount "+target)
}

func mountAPI() {
	mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	mount("devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=0755")
	mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
}

// highestPriority is before that of the kernel's threads which test the algorithms of the crypto API: preroot runs with it, too.
const highestPriority = -20

// setPriority sets that of all threads, and of those that they start.
func setPriority(priority int) {
	threads, err := os.ReadDir("/proc/self/task")
	check(err, "threads")
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		check(err, "threads")
		check(unix.Setpriority(unix.PRIO_PROCESS, id, priority), "priority")
	}
}

// findInit reads init= from the kernel command line.
func findInit() string {
	text, err := os.ReadFile("/proc/cmdline")
	check(err, "kernel command line")
	init := "/sbin/init"
	for word := range strings.FieldsSeq(string(text)) {
		if word == "--" {
			break
		}
		if value, found := strings.CutPrefix(word, "init="); found {
			init = value
		}
	}
	return init
}

// loading are modules that are being loaded, side by side; the channel of each is closed when it is there.
type loading map[string]chan struct{}

func (l loading) wait(name string) {
	if done := l[name]; done != nil {
		<-done
	}
}

// loadModules loads each module as soon as those that it needs are there.
func loadModules(modules []steps.Module) loading {
	all := loading{}
	for _, m := range modules {
		all[m.Name] = make(chan struct{})
	}
	for _, m := range modules {
		go func() {
			for _, need := range m.Needs {
				all.wait(need)
			}
			fd, err := unix.Open(m.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			check(err, m.Path)
			check(unix.FinitModule(fd, "", 0), m.Path)
			unix.Close(fd)
			close(all[m.Name])
		}()
	}
	return all
}

// open opens the device mapper where there is something to map.
func open(plan *steps.Plan) (*devmapper.Control, error) {
	if plan.Usr == (steps.Volume{}) {
		return nil, nil
	}
	return devmapper.Open()
}

// create maps a volume under dm-verity and returns its node.
func create(dm *devmapper.Control, v steps.Volume) string {
	device, err := dm.Create(v.Name, "", devmapper.Target{Sectors: v.Sectors, Type: "verity", Parameters: v.Parameters})
	check(err, v.Name)
	return device.Node()
}

// layer is where an image is mounted.
func layer(v steps.Volume) string { return "/run/floor/" + v.Name }

func mountImage(dm *devmapper.Control, v steps.Volume) {
	file, err := os.Open(newRoot + v.File)
	check(err, v.File)
	loop, err := loopdev.Attach(file, v.Offset, 0, 512)
	check(err, v.File)
	file.Close()
	v.Parameters = strings.ReplaceAll(v.Parameters, steps.Loop, loop.Number())
	node := create(dm, v)
	check(os.MkdirAll(layer(v), 0o755), v.Name)
	mount(node, layer(v), "erofs", unix.MS_RDONLY, "")
	loop.Close()
}

// mountOverlays merges the images as the testbed's disk has them: the sysext into /usr, the confexts and the directory /etc of the root, which takes writes,
// into /etc.
func mountOverlays(images []steps.Volume) {
	usr, etc := newRoot+"/usr", newRoot+"/var/lib/confexts/plain/etc"
	for _, v := range images {
		if v.Class == "sysext" {
			usr = layer(v) + "/usr:" + usr
		} else {
			etc += ":" + layer(v) + "/etc"
		}
	}
	for _, class := range []string{"sysext", "confext"} {
		at := "/run/floor/metadata/" + class + "/.systemd-" + class
		check(os.MkdirAll(at, 0o755), at)
		for _, name := range []string{"dev", "origin", class + "s"} {
			check(os.WriteFile(at+"/"+name, []byte("floor\n"), 0o644), name)
		}
	}
	const options = "index=off,metacopy=off,redirect_dir=off,"
	mount("sysext", newRoot+"/usr", "overlay", unix.MS_RDONLY|unix.MS_NODEV, options+"lowerdir=/run/floor/metadata/sysext:"+usr)
	work := newRoot + "/.floor-work"
	check(os.MkdirAll(work, 0o755), work)
	mount("confext", newRoot+"/etc", "overlay", unix.MS_NODEV|unix.MS_NOSUID, options+"lowerdir=/run/floor/metadata/confext:"+etc+
		",upperdir="+newRoot+"/etc,workdir="+work)
}

// switchRoot deletes the files of the initramfs and makes the new root the only one.
func switchRoot() {
	for _, place := range []string{"/proc", "/sys", "/dev", "/run"} {
		check(unix.Mount(place, newRoot+place, "", unix.MS_MOVE, ""), place)
	}
	old, err := os.Open("/")
	check(err, "/")
	check(unix.Chdir(newRoot), newRoot)
	var here unix.Stat_t
	check(unix.Fstat(int(old.Fd()), &here), "/")
	if err := unix.PivotRoot(".", "."); err != nil {
		// Linux before 7.0.
		check(unix.Mount(".", "/", "", unix.MS_MOVE, ""), "move root")
		check(unix.Chroot("."), "chroot")
		remove(int(old.Fd()), here.Dev)
	} else {
		remove(int(old.Fd()), here.Dev)
		check(unix.Unmount(".", unix.MNT_DETACH), "old root")
	}
	check(unix.Chdir("/"), "/")
}

// remove deletes what lies in a directory, on its own file system.
func remove(fd int, device uint64) {
	copied, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	check(err, "old root")
	directory := os.NewFile(uintptr(copied), ".")
	names, _ := directory.Readdirnames(-1)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Dev != device {
			continue
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			_ = unix.Unlinkat(fd, name, 0)
			continue
		}
		if below, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
			remove(below, device)
			unix.Close(below)
			_ = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
		}
	}
	directory.Close()
}
