package initramfs

import (
	"crypto/sha1"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// The types below are the parts of SPDX 2.3 in JSON (spdx.github.io/spdx-spec/v2.3) that an image needs.
type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	DataLicense   string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	Creation      spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Files         []spdxFile         `json:"files"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID            string            `json:"SPDXID"`
	Name          string            `json:"name"`
	Version       string            `json:"versionInfo,omitempty"`
	Location      string            `json:"downloadLocation"`
	FilesAnalyzed bool              `json:"filesAnalyzed"`
	Verification  *spdxVerification `json:"packageVerificationCode,omitempty"`
	Concluded     string            `json:"licenseConcluded"`
	Declared      string            `json:"licenseDeclared"`
	Copyright     string            `json:"copyrightText"`
	Purpose       string            `json:"primaryPackagePurpose,omitempty"`
	Checksums     []spdxChecksum    `json:"checksums,omitempty"`
	ExternalRefs  []spdxReference   `json:"externalRefs,omitempty"`
	InfoFromFiles []string          `json:"licenseInfoFromFiles,omitempty"`
}

type spdxVerification struct {
	Code string `json:"packageVerificationCodeValue"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxReference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxFile struct {
	ID        string         `json:"SPDXID"`
	Name      string         `json:"fileName"`
	Checksums []spdxChecksum `json:"checksums"`
	Concluded string         `json:"licenseConcluded"`
	InFile    []string       `json:"licenseInfoInFiles"`
	Copyright string         `json:"copyrightText"`
	Comment   string         `json:"comment,omitempty"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

const (
	noAssertion = "NOASSERTION"
	ourModule   = "github.com/preroot/preroot"
)

// sbomOf says of which software an image is made: our program with the Go modules that are linked into it, the
// kernel's modules, and every file with its digests. Licences are stated where they are known for certain.
func sbomOf(o Options, result *Result) *spdxDocument {
	m := result.Manifest
	name := "initramfs-" + m.Kernel
	d := &spdxDocument{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: name,
		// It has to be unique for each content, and is never fetched.
		Namespace: "https://" + ourModule + "/spdx/" + m.Image.SHA256,
		Creation: spdxCreation{
			Created: time.Unix(m.SourceDateEpoch, 0).UTC().Format("2006-01-02T15:04:05Z"), Creators: []string{"Tool: mkpreroot"},
		},
	}
	image := packageOf("SPDXRef-Image", name, "", noAssertion)
	image.Purpose = "ARCHIVE"
	image.Checksums = []spdxChecksum{{"SHA256", m.Image.SHA256}}
	image.FilesAnalyzed, image.InfoFromFiles = true, []string{noAssertion}
	d.Packages = []spdxPackage{image}
	d.relate(d.ID, "DESCRIBES", image.ID)

	kernelID := ""
	if len(result.Modules) > 0 {
		linux := packageOf("SPDXRef-Linux", "linux", m.Kernel, noAssertion)
		linux.Purpose = "OPERATING-SYSTEM"
		kernelID = linux.ID
		d.Packages = append(d.Packages, linux)
	}
	d.addProgram(o.Init)
	if m.Image.Command != "" {
		// Its bytes depend on this tool.
		tool := packageOf("SPDXRef-Compressor", m.Image.Command, m.Image.CommandVersion, noAssertion)
		tool.Purpose = "APPLICATION"
		d.Packages = append(d.Packages, tool)
		d.relate(tool.ID, "BUILD_TOOL_OF", image.ID)
	}
	licenses := make(map[string]string)
	for _, module := range result.Modules {
		licenses[strings.TrimPrefix(module.Path, "/")] = module.License
	}
	var sums []string
	for i, f := range m.Files {
		if !f.IsRegular() {
			continue
		}
		file := spdxFile{
			ID: fmt.Sprintf("SPDXRef-File-%d", i), Name: "./" + f.Path,
			Checksums: []spdxChecksum{{"SHA1", f.sha1}, {"SHA256", f.SHA256}},
			Concluded: noAssertion, InFile: []string{noAssertion}, Copyright: noAssertion,
		}
		sums = append(sums, f.sha1)
		if license, isModule := licenses[f.Path]; isModule {
			file.Comment = fmt.Sprintf("kernel module, %s; it states the licence %q", f.Reason, license)
			d.relate(file.ID, "GENERATED_FROM", kernelID)
		}
		if f.Path == initPath {
			d.relate(file.ID, "GENERATED_FROM", "SPDXRef-Program")
		}
		d.Files = append(d.Files, file)
		d.relate(image.ID, "CONTAINS", file.ID)
	}
	// Section 7.9 of the specification: SHA-1 over the sorted SHA-1s.
	slices.Sort(sums)
	code := sha1.Sum([]byte(strings.Join(sums, "")))
	d.Packages[0].Verification = &spdxVerification{hex.EncodeToString(code[:])}
	return d
}

// addProgram adds /init. Of what is no Go program nothing more is known than its name.
func (d *spdxDocument) addProgram(file string) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		info = &debug.BuildInfo{Main: debug.Module{Path: path.Base(file)}}
	}
	d.addModules(info)
}

// addModules adds a program with the modules that Go wrote into it.
func (d *spdxDocument) addModules(info *debug.BuildInfo) {
	program := packageOf("SPDXRef-Program", info.Main.Path, info.Main.Version, noAssertion)
	program.Purpose = "APPLICATION"
	if info.Main.Path == ourModule {
		program.Declared = "Apache-2.0"
	}
	d.Packages = append(d.Packages, program)
	modules := info.Deps
	if info.GoVersion != "" {
		modules = append([]*debug.Module{{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}}, modules...)
	}
	for _, module := range modules {
		if module.Replace != nil {
			module = module.Replace
		}
		p := packageOf("SPDXRef-Go-"+idText(module.Path), module.Path, module.Version, noAssertion)
		p.Purpose = "LIBRARY"
		if module.Path == "std" {
			p.Declared = "BSD-3-Clause"
		} else {
			p.ExternalRefs = []spdxReference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + module.Path + "@" + module.Version}}
		}
		d.Packages = append(d.Packages, p)
		d.relate("SPDXRef-Program", "STATIC_LINK", p.ID)
	}
}

func (d *spdxDocument) relate(from, kind, to string) {
	d.Relationships = append(d.Relationships, spdxRelationship{from, kind, to})
}

func packageOf(id, name, version, declared string) spdxPackage {
	return spdxPackage{
		ID: id, Name: name, Version: version, Location: noAssertion, Concluded: noAssertion, Declared: declared, Copyright: noAssertion,
	}
}

// notInID is what an SPDX identifier must not have (section 3.2: letters, numbers, "." and "-").
var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]`)

func idText(text string) string { return notInID.ReplaceAllString(text, "-") }
