package plan

// CgroupFlag is the file by which Flatcar's systems ask for control groups of version 1, and InitWrapper the program that mounts them before it
// becomes the real init.
const (
	CgroupFlag  = "/etc/flatcar-cgroupv1"
	InitWrapper = "/sbin/init.wrapper"
)

// ChooseInit takes InitWrapper, since CgroupFlag is there, unless the command line names an init. missing says why it cannot be executed, nil if it
// can. The note is for the log.
func (b *Boot) ChooseInit(missing error) (note string) {
	switch {
	case b.initGiven:
		return CgroupFlag + " asks for " + InitWrapper + ", and the kernel command line for " + b.Init + ", which is taken"
	case missing != nil:
		return CgroupFlag + " asks for " + InitWrapper + ", which is not used: " + missing.Error()
	}
	b.Init = InitWrapper
	return ""
}
