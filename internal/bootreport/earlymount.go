package bootreport

// EarlyMount is an entry of the root's fstab, or the partition of the OEM, that was mounted before the real root's init.
type EarlyMount struct {
	Where      string `json:"where"`
	Device     string `json:"device"`
	FileSystem string `json:"fileSystem"`
}

func (w *writer) earlyMounts(mounts []EarlyMount) {
	for _, m := range mounts {
		w.printf("%s: %s (%s), mounted early\n", m.Where, m.Device, m.FileSystem)
	}
}
