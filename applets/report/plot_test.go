package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/bootreport"
)

// bar is a rectangle of a drawing, in pixels.
type bar struct{ x, width float64 }

// plot is what can be seen of a drawing.
type plot struct {
	bars  map[string][]bar // by class
	texts []string
	// handover is where the mark is, zero for none.
	handover float64
	width    float64
}

// parsePlot reads a drawing. It fails on what is no XML, and on elements that nobody meant to draw.
func parsePlot(drawing string) (plot, error) {
	p := plot{bars: map[string][]bar{}}
	decoder := xml.NewDecoder(strings.NewReader(drawing))
	inText := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return p, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			attributes := map[string]string{}
			for _, a := range token.Attr {
				attributes[a.Name.Local] = a.Value
			}
			number := func(name string) float64 {
				value, err := strconv.ParseFloat(attributes[name], 64)
				if err != nil {
					value = -1e9
				}
				return value
			}
			inText = false
			switch token.Name.Local {
			case "svg":
				p.width = number("width")
			case "rect":
				if class := attributes["class"]; class != "" {
					p.bars[class] = append(p.bars[class], bar{number("x"), number("width")})
				}
			case "text":
				inText = true
				if x := number("x"); x < 0 || x > p.width {
					return p, fmt.Errorf("a text at %v", x)
				}
			case "line":
				if attributes["class"] == "handover" {
					p.handover = number("x1")
				}
			case "style":
			default:
				return p, fmt.Errorf("an element %s", token.Name.Local)
			}
		case xml.EndElement:
			inText = false
		case xml.CharData:
			if inText {
				p.texts = append(p.texts, string(token))
			}
		}
	}
}

// started is a boot of 4 s: 1 s kernel, 1 s preroot, 2 s systemd.
func started() (*bootreport.Report, systemdStart) {
	r := bootreport.New("7.2.12", "quiet", "sealed")
	r.Versions.Preroot = "v1"
	r.StartedMS, r.EndedMS, r.UserMS, r.KernelMS = 1000, 2000, 20, 30.5
	r.Steps = []bootreport.Step{
		{Name: "find devices", StartMS: 1000, EndMS: 1400, DurationMS: 400, UserMS: 5},
		{Name: "open /usr & <mount>", StartMS: 1400, EndMS: 2000, DurationMS: 600},
	}
	r.Handover = &bootreport.Handover{Way: "pivot_root", Init: "/sbin/init"}
	return r, systemdStart{
		whole: span{"systemd", 2100, 4000},
		parts: []span{{"generators", 2200, 2400}},
		units: []span{{"basic.target", 3000, 3000}, {"graphical.target", 3900, 4000}},
	}
}

func TestPlot(t *testing.T) {
	r, systemd := started()
	drawing := draw(r, systemd)
	if again := draw(r, systemd); again != drawing {
		t.Error("twice the same is not the same")
	}
	p, err := parsePlot(drawing)
	if err != nil {
		t.Fatalf("%v\n%s", err, drawing)
	}
	// 1000 pixels are 4 s.
	for class, want := range map[string][]bar{
		"kernel": {{20, 250}}, "preroot": {{270, 250}}, "step": {{270, 100}, {370, 150}}, "systemd": {{545, 475}},
		"part": {{570, 50}}, "unit": {{770, 1}, {995, 25}},
	} {
		if !slices.Equal(p.bars[class], want) {
			t.Errorf("%s: %v, want %v", class, p.bars[class], want)
		}
	}
	if p.handover != 520 {
		t.Errorf("the hand-over is at %v", p.handover)
	}
	for _, want := range []string{
		"preroot v1 (sealed) on Linux 7.2.12", "Startup took 1.000 s (kernel) + 1.000 s (preroot) + 2.000 s (systemd) = 4.000 s",
		"kernel (1.000 s)", "preroot (1.000 s, CPU 50.5 ms)", "find devices (400 ms, CPU 5 ms)", "open /usr & <mount> (600 ms, CPU 0 ms)", "hand-over",
		"systemd (1.900 s)", "generators (200 ms)", "basic.target (0 ms)", "graphical.target (100 ms)", "500 ms", "4.000 s",
	} {
		if !slices.Contains(p.texts, want) {
			t.Errorf("no %q in %q", want, p.texts)
		}
	}
	if slices.ContainsFunc(p.texts, func(text string) bool { return strings.Contains(text, "drawing ends") }) {
		t.Errorf("%q", p.texts)
	}
}

func TestPlotWithoutSystemd(t *testing.T) {
	for want, change := range map[string]func(r *bootreport.Report, s *systemdStart){
		"The drawing ends at the hand-over: nobody answers":                       func(_ *bootreport.Report, s *systemdStart) { *s = systemdStart{missing: "nobody answers"} },
		"The drawing ends at the hand-over: systemd does not say when it started": func(_ *bootreport.Report, s *systemdStart) { *s = systemdStart{} },
		"The boot failed: no /usr":                                                func(r *bootreport.Report, _ *systemdStart) { r.Failure, r.Handover = "no /usr", nil },
		"2 warnings: see the report": func(r *bootreport.Report, s *systemdStart) {
			r.Warnings = []string{"a", "b"}
			*s = systemdStart{missing: "x"}
		},
	} {
		r, systemd := started()
		change(r, &systemd)
		p, err := parsePlot(draw(r, systemd))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(p.texts, want) || len(p.bars["systemd"])+len(p.bars["unit"]) != 0 {
			t.Errorf("want %q: %+v", want, p)
		}
		// All of the width is there for what is left.
		if got := p.bars["preroot"][0]; got != (bar{520, 500}) {
			t.Errorf("%s: preroot at %v", want, got)
		}
		if marked := p.handover != 0; marked == (r.Failure != "") {
			t.Errorf("%s: hand-over at %v", want, p.handover)
		}
	}
}

func TestPlotOfAStartThatGoesOn(t *testing.T) {
	r, systemd := started()
	systemd.whole.end, systemd.units[1].end = 0, 0
	r.Steps[1].Error = "slow"
	p, err := parsePlot(draw(r, systemd))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"systemd was still starting", "graphical.target (0 ms, not done yet)", "systemd (1.800 s, not done yet)",
		"Startup took 1.000 s (kernel) + 1.000 s (preroot) = 2.000 s until the hand-over", "open /usr & <mount> (600 ms, failed: slow)"} {
		if !slices.Contains(p.texts, want) {
			t.Errorf("no %q in %q", want, p.texts)
		}
	}
	if len(p.bars["failed"]) != 1 {
		t.Errorf("%v", p.bars)
	}
}

func TestAxis(t *testing.T) {
	for end, want := range map[float64]int{0: 1, 1: 2, 15: 16, 16: 9, 4000: 9, 1e6: 11, 1e300: 11} {
		drawing := drawRows(nil, nil, end, -1, nil)
		if got := strings.Count(drawing, `<line class="axis"`); got != want {
			t.Errorf("%v ms: %d lines, want %d", end, got, want)
		}
	}
}

// realRecord was taken from a machine of the testbed.
const realRecord = "../../internal/bootreport/testdata/boot.json"

func TestPlotOfARealBoot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "boot.svg")
	if err := os.WriteFile(file, []byte(strings.Repeat("an older file, which was longer", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"--plot=" + file, realRecord}, {realRecord, "--plot", file}} {
		if status, stdout, stderr := run(t, words...); status != 0 || stdout != "" || stderr != "" {
			t.Fatalf("%q: %d, %q, %q", words, status, stdout, stderr)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := parsePlot(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.bars["step"]) != 7 || !slices.Contains(p.texts, "merge extensions (11.787 s, CPU 0 ms)") || !slices.Contains(p.texts,
			"The drawing ends at the hand-over: the record is not that of the running system") {
			t.Errorf("%+v", p)
		}
		_, stdout, _ := run(t, "--plot=-", realRecord)
		if stdout != string(text) {
			t.Errorf("on standard output:\n%s", stdout)
		}
	}
	if status, _, stderr := run(t, "--plot="+file+"/x", realRecord); status != 1 || !strings.HasPrefix(stderr, "report: open ") {
		t.Errorf("%d, %q", status, stderr)
	}
}

// FuzzReport reads whatever lies in /run, and draws it.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"version":1,"kernel":"]]>\u0000<&\"'","startedMs":1,"endedMs":2,"steps":[{"name":"<text>\ufffe","startMs":1,"error":"\u001b"}],"warnings":["x"]}`), 0.0)
	f.Add([]byte(`{"version":1,"startedMs":1e308,"endedMs":-1e308,"steps":[{"startMs":-1e308,"endMs":1e308}],"handover":{}}`), 1e308)
	f.Add([]byte(`{"version":1,"failure":"a\nb","userMs":1e308,"kernelMs":1e308}`), -1.0)
	f.Add([]byte(`{"version":1,"startedMs":2}`), 0.0)
	f.Fuzz(func(t *testing.T, text []byte, moment float64) {
		r, err := bootreport.Read(text)
		if err != nil {
			return
		}
		systemd := systemdStart{whole: span{"systemd", moment, 2 * moment}, units: []span{{"a<b", 0, moment}}}
		drawing := draw(r, systemd)
		p, err := parsePlot(drawing)
		if err != nil {
			t.Fatalf("%q: %v\n%s", text, err, drawing)
		}
		for class, bars := range p.bars {
			for _, b := range bars {
				if !(b.x >= plotLeft && b.width >= 1 && b.x+b.width <= plotLeft+plotWidth+2) {
					t.Errorf("%q: %s at %v", text, class, b)
				}
			}
		}
	})
}
