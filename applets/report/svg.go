package report

import (
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/bootlog"
)

// Sizes in pixels.
const (
	plotWidth = 1000 // of the whole time
	plotLeft  = 20
	// plotRight has room for the text of a bar that ends early in the right half.
	plotRight  = 420
	rowHeight  = 20
	lineHeight = 18
	// textWidth is about what a letter takes.
	textWidth = 6.5
	// maxText is the longest text of a bar, in letters.
	maxText = 100
)

// style has a colour for each class of bars.
const style = `text { font-family: sans-serif; font-size: 12px; fill: #222; } .title { font-size: 15px; }
.axis { stroke: #ccc; } .axis-text { fill: #666; font-size: 10px; } .handover { stroke: #c33; stroke-dasharray: 4 3; }
.kernel { fill: #9ab8d8; } .preroot { fill: #f0a050; } .step { fill: #f8cc98; } .failed { fill: #d33; }
.systemd { fill: #8fbf7f; } .part { fill: #c4dfb8; } .unit { fill: #a9c9e9; }
`

// drawing is an SVG document that is being written.
type drawing struct {
	strings.Builder
	// scale is in pixels a millisecond.
	scale float64
	y     float64
}

// drawRows draws bars below each other on an axis from zero to end, in milliseconds; handover is where to mark the
// hand-over, negative for none. A record that says nonsense may have bars beyond the end: they set it, then.
func drawRows(title []string, rows []row, end, handover float64, notes []string) string {
	end = limitTime(max(end, handover))
	for _, one := range rows {
		end = max(end, limitTime(one.start), limitTime(one.end))
	}
	d := drawing{scale: plotWidth / max(end, 1)}
	top := float64(len(title)+1)*lineHeight + 20
	bottom := top + float64(len(rows))*rowHeight + 10
	height := bottom + float64(len(notes)+1)*lineHeight + 10
	fmt.Fprintf(&d, `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="%d" height="%.0f">
<style>
%s</style>
<rect width="100%%" height="100%%" fill="#fff"/>
`, plotLeft+plotWidth+plotRight, height, style)
	for i, line := range title {
		d.text("title", plotLeft, float64(i+1)*lineHeight+4, "", line)
	}
	d.axis(end, top, bottom)
	for i, one := range rows {
		d.y = top + float64(i)*rowHeight
		d.bar(one)
	}
	if handover >= 0 {
		x := d.x(handover)
		fmt.Fprintf(&d, `<line class="handover" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", x, top-4, x, bottom)
		d.text("handover-text", x+4, bottom+4, "", "hand-over")
	}
	for i, note := range notes {
		d.text("note", plotLeft, bottom+float64(i+1)*lineHeight+6, "", note)
	}
	d.WriteString("</svg>\n")
	return d.String()
}

// limitTime keeps a time, in milliseconds, within what can be drawn: from zero to years.
func limitTime(ms float64) float64 {
	if !(ms > 0) { // or not a number
		return 0
	}
	return min(ms, 1e12)
}

func (d *drawing) x(ms float64) float64 { return plotLeft + limitTime(ms)*d.scale }

// axis draws at most 15 lines, at 1, 2 or 5 times a power of ten.
func (d *drawing) axis(end, top, bottom float64) {
	const most = 15
	distance := 1.0
	for _, factor := range repeated([]float64{2, 2.5, 2}, 40) {
		if end/distance <= most {
			break
		}
		distance *= factor
	}
	for i := 0; float64(i)*distance <= end; i++ {
		at := float64(i) * distance
		fmt.Fprintf(&d.Builder, `<line class="axis" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", d.x(at), top-4, d.x(at), bottom)
		d.text("axis-text", d.x(at), top-8, "middle", formatTime(at))
	}
}

func repeated(values []float64, times int) []float64 {
	var all []float64
	for range times {
		all = append(all, values...)
	}
	return all
}

// bar draws a row. Its text stands behind the beginning, or in front of it where that is too far to the right.
func (d *drawing) bar(r row) {
	from, to := d.x(r.start), max(d.x(r.end), d.x(r.start)+1)
	fmt.Fprintf(&d.Builder, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d"/>`+"\n", r.class, from, d.y, to-from, rowHeight-3)
	text := []rune(fmt.Sprintf("%s (%s%s)", r.name, formatTime(r.end-r.start), r.note))
	if len(text) > maxText {
		text = append(text[:maxText-3], []rune("...")...)
	}
	x, anchor := from+4, ""
	if x+float64(len(text))*textWidth > plotLeft+plotWidth+plotRight {
		x, anchor = from-4, "end"
	}
	d.text("label", x, d.y+13, anchor, string(text))
}

// text writes a text; the anchor is "start" if it is empty.
func (d *drawing) text(class string, x, y float64, anchor, text string) {
	if anchor != "" {
		anchor = ` text-anchor="` + anchor + `"`
	}
	fmt.Fprintf(&d.Builder, `<text class="%s" x="%.1f" y="%.1f"%s>%s</text>`+"\n", class, x, y, anchor, escape(text))
}

// newEscapes returns what makes a text fit for XML.
func newEscapes() *strings.Replacer {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")
}

// escape makes a text fit for XML: what cannot be printed, control characters included, becomes "?".
func escape(text string) string {
	return newEscapes().Replace(bootlog.Printable(strings.ReplaceAll(text, "\n", " ")))
}
