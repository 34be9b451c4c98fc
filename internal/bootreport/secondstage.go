package bootreport

// SecondStage says that a larger initrd on /usr took over, and what it was given.
type SecondStage struct {
	Image string `json:"image"`
	// Reasons say why the root was not for preroot.
	Reasons []string `json:"reasons"`
	// Carried names what came with the initramfs and was taken along.
	Carried []string `json:"carried"`
}

// secondStage renders it.
func (w *writer) secondStage(s *SecondStage) {
	if s == nil {
		return
	}
	w.printf("second stage: %s\n", s.Image)
	for _, reason := range s.Reasons {
		w.wrap("  because ", reason)
	}
	for _, name := range s.Carried {
		w.printf("  with %s of the initramfs\n", name)
	}
}
