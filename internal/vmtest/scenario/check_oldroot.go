package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// handover is what preroot's own report says of the switch to the real root.
type handover struct {
	Way                    string
	LeftOver, HelperMounts *[]string // null or missing: nobody looked
}

func (e evidence) handover() (*handover, error) {
	text, err := e.Text("preroot-report")
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New("there is no /run/preroot/report.json")
	}
	var report struct {
		Handover *handover
		Failure  string
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return nil, fmt.Errorf("preroot-report: %w", err)
	}
	if report.Failure != "" {
		return nil, errors.New("preroot-report: " + report.Failure)
	}
	if report.Handover == nil {
		return nil, errors.New("preroot-report: no handover")
	}
	return report.Handover, nil
}

// handoverWay is how the root was switched: pivot_root or move.
func (e evidence) handoverWay() (string, error) {
	h, err := e.handover()
	if err != nil {
		return "", err
	}
	return h.Way, nil
}

// proveOldRoot wants what preroot found in the initramfs after it had emptied
// it: nothing.
func proveOldRoot(e evidence) (string, error) {
	h, err := e.handover()
	switch {
	case err != nil:
		return "", err
	case h.LeftOver == nil || h.HelperMounts == nil:
		return "", errors.New("preroot-report: no list in handover.leftOver or handover.helperMounts; nobody looked")
	case len(*h.LeftOver) > 0:
		return "", fmt.Errorf("left in the old root: %s", strings.Join(*h.LeftOver, " "))
	case len(*h.HelperMounts) > 0:
		return "", fmt.Errorf("mounts of the initramfs are left: %s", strings.Join(*h.HelperMounts, " "))
	}
	return "no file and no mount left", nil
}
