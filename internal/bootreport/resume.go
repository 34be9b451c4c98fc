package bootreport

// Resume is a failure of this boot after which somebody in a shell had it go on.
type Resume struct {
	// Step is the one that failed and was done again.
	Step        string `json:"step"`
	Failure     string `json:"failure"`
	FailureCode string `json:"failureCode"`
	// Words are those that were put behind the kernel command line.
	Words string `json:"words,omitempty"`
}

// shell tells that the boot did not go by itself.
func (w *writer) shell(r *Report) {
	for _, resume := range r.Resumed {
		w.wrap("", "resumed by somebody in a shell, after a failure in: "+resume.Step+" ("+resume.FailureCode+")")
		w.wrap("  ", resume.Failure)
		if resume.Words != "" {
			w.wrap("  ", "with the words: "+resume.Words)
		}
	}
	if r.Shell {
		w.printf("somebody used a shell: what is true now need not be what was planned\n")
	}
}
