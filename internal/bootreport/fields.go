package bootreport

import "github.com/preroot/preroot/internal/jsontext"

// What follows are the members of the report's objects as they stand in the file, in their order, for writing and for reading. The tags of the
// structures say the same for encoding/json, which readers of the report elsewhere use; TestFieldsAreTheTags compares the two.

func (r *Report) fields(f *jsontext.Fields) {
	f.Count("version", &r.Version)
	f.String("profile", &r.Profile)
	f.Inner("versions", r.Versions.fields)
	f.String("kernel", &r.Kernel)
	f.String("commandLine", &r.CommandLine)
	f.Float("startedMs", &r.StartedMS)
	f.Float("endedMs", &r.EndedMS)
	f.Float("userMs", &r.UserMS)
	f.Float("kernelMs", &r.KernelMS)
	jsontext.List(f, "steps", &r.Steps, (*Step).fields)
	jsontext.List(f, "modules", &r.Modules, (*Module).fields)
	jsontext.List(f, "devices", &r.Devices, (*Device).fields)
	jsontext.Optional(f, "usr", &r.Usr, (*Usr).fields)
	jsontext.Optional(f, "root", &r.Root, (*Root).fields)
	jsontext.OptionalList(f, "earlyMounts", &r.EarlyMounts, (*EarlyMount).fields)
	jsontext.Optional(f, "secondStage", &r.SecondStage, (*SecondStage).fields)
	jsontext.Optional(f, "rules", &r.Rules, (*Rules).Fields)
	jsontext.List(f, "merges", &r.Merges, (*Merge).fields)
	f.Uints("mountIds", &r.MountIDs)
	jsontext.Optional(f, "handover", &r.Handover, (*Handover).fields)
	f.Strings("warnings", &r.Warnings)
	f.OptionalString("failure", &r.Failure)
	f.OptionalString("failureCode", &r.FailureCode)
	f.OptionalString("previousFailure", &r.PreviousFailure)
	f.OptionalBool("shell", &r.Shell)
	jsontext.OptionalList(f, "resumed", &r.Resumed, (*Resume).fields)
}

func (s *Step) fields(f *jsontext.Fields) {
	f.String("name", &s.Name)
	f.Float("startMs", &s.StartMS)
	f.Float("endMs", &s.EndMS)
	f.Float("durationMs", &s.DurationMS)
	f.Float("userMs", &s.UserMS)
	f.Float("kernelMs", &s.KernelMS)
	f.OptionalString("error", &s.Error)
}

func (m *Module) fields(f *jsontext.Fields) {
	f.String("name", &m.Name)
	f.String("reason", &m.Reason)
	f.Float("loadMs", &m.LoadMS)
}

func (d *Device) fields(f *jsontext.Fields) {
	f.String("use", &d.Use)
	f.String("node", &d.Node)
	f.OptionalString("disk", &d.Disk)
	f.String("selector", &d.Selector)
	f.String("reason", &d.Reason)
	f.Count("others", &d.Others)
}

func (v *Verity) fields(f *jsontext.Fields) {
	f.String("data", &v.Data)
	f.String("hash", &v.Hash)
	f.String("rootHash", &v.RootHash)
	f.String("rootHashFrom", &v.RootHashFrom)
	f.String("algorithm", &v.Algorithm)
	f.String("uuid", &v.UUID)
	f.String("signature", &v.Signature)
	f.OptionalString("signatureFrom", &v.SignatureFrom)
	f.OptionalString("signatureNote", &v.SignatureNote)
}

func (u *Usr) fields(f *jsontext.Fields) {
	f.OptionalString("source", &u.Source)
	f.Bool("verified", &u.Verified)
	f.OptionalString("data", &u.Data)
	f.OptionalString("hash", &u.Hash)
	f.OptionalString("rootHash", &u.RootHash)
	f.OptionalString("rootHashFrom", &u.RootHashFrom)
	f.OptionalString("algorithm", &u.Algorithm)
	f.OptionalString("uuid", &u.UUID)
	f.String("fileSystem", &u.FileSystem)
	f.String("signature", &u.Signature)
	f.OptionalString("signatureFrom", &u.SignatureFrom)
	f.OptionalString("signatureNote", &u.SignatureNote)
}

func (r *Root) fields(f *jsontext.Fields) {
	f.String("device", &r.Device)
	f.String("fileSystem", &r.FileSystem)
	f.OptionalString("volatile", &r.Volatile)
	jsontext.Optional(f, "verity", &r.Verity, (*Verity).fields)
}

func (m *Merge) fields(f *jsontext.Fields) {
	f.String("class", &m.Class)
	f.String("mutable", &m.Mutable)
	jsontext.List(f, "decisions", &m.Decisions, (*Decision).fields)
	f.Strings("hierarchies", &m.Hierarchies)
	f.OptionalStrings("shadows", &m.Shadows)
	f.OptionalString("bootRefresh", &m.BootRefresh)
}

func (d *Decision) fields(f *jsontext.Fields) {
	f.String("name", &d.Name)
	f.String("path", &d.Path)
	f.Bool("accepted", &d.Accepted)
	f.String("reason", &d.Reason)
	f.OptionalString("rootHash", &d.RootHash)
	f.String("protection", &d.Protection)
	f.String("signature", &d.Signature)
	f.OptionalString("signatureNote", &d.SignatureNote)
}

func (h *Handover) fields(f *jsontext.Fields) {
	f.String("way", &h.Way)
	f.Strings("leftOver", &h.LeftOver)
	f.String("init", &h.Init)
	f.Strings("helperMounts", &h.HelperMounts)
	f.Int("memoryUsedKiB", &h.MemoryUsedKiB)
}

// Fields are the members, for whoever prints them alone.
func (r *Rules) Fields(f *jsontext.Fields) {
	f.OptionalBool("dryRun", &r.DryRun)
	f.OptionalBool("unmerged", &r.Unmerged)
	jsontext.List(f, "actions", &r.Actions, (*RuleAction).fields)
	f.OptionalCount("omitted", &r.Omitted)
	f.Strings("notes", &r.Notes)
}

func (r *RuleAction) fields(f *jsontext.Fields) {
	f.String("rule", &r.Rule)
	f.String("do", &r.Do)
	f.String("path", &r.Path)
	f.String("why", &r.Why)
	f.OptionalString("error", &r.Error)
}

func (v *Versions) fields(f *jsontext.Fields) {
	f.String("preroot", &v.Preroot)
	f.OptionalString("revision", &v.Revision)
	f.String("go", &v.Go)
	f.OptionalCount("systemd", &v.Systemd)
}

func (s *SecondStage) fields(f *jsontext.Fields) {
	f.String("image", &s.Image)
	f.Strings("reasons", &s.Reasons)
	f.Strings("carried", &s.Carried)
}

func (r *Resume) fields(f *jsontext.Fields) {
	f.String("step", &r.Step)
	f.String("failure", &r.Failure)
	f.String("failureCode", &r.FailureCode)
	f.OptionalString("words", &r.Words)
}

func (e *EarlyMount) fields(f *jsontext.Fields) {
	f.String("where", &e.Where)
	f.String("device", &e.Device)
	f.String("fileSystem", &e.FileSystem)
}
