package toolbox

import (
	"fmt"
	"strconv"
	"strings"
)

// humanSize shortens a number of bytes to three digits, rounded up as ls -h does: 1.5K, 12M.
func humanSize(size int64) string {
	if size < 1024 {
		return strconv.FormatInt(size, 10)
	}
	divisor, unit := int64(1), -1
	for size/divisor >= 1024 && unit < len(units)-1 {
		divisor, unit = divisor*1024, unit+1
	}
	if tenths := (size/(divisor/1024)*10 + 1023) / 1024; tenths < 100 {
		return fmt.Sprintf("%d.%d%c", tenths/10, tenths%10, units[unit])
	}
	whole := size / divisor
	if size%divisor != 0 {
		whole++
	}
	if whole == 1024 && unit < len(units)-1 {
		return fmt.Sprintf("1.0%c", units[unit+1])
	}
	return fmt.Sprintf("%d%c", whole, units[unit])
}

const units = "KMGTPE"

// parseSize reads a number with the suffixes of dd(1) and head(1): c 1, w 2, b 512, K or KiB 1024, kB or KB 1000 and so on, and
// products such as 2x512.
func parseSize(text string) (int64, error) {
	total := int64(1)
	for factor := range strings.SplitSeq(text, "x") {
		n, err := parseFactor(factor)
		if err != nil {
			return 0, fmt.Errorf("%q is no number of bytes, such as 512, 4K or 1M", text)
		}
		if n != 0 && total > (1<<63-1)/n {
			return 0, fmt.Errorf("%q is too large", text)
		}
		total *= n
	}
	return total, nil
}

func parseFactor(text string) (int64, error) {
	digits := strings.TrimRight(text, "cwbkKMGTPEiB")
	n, err := strconv.ParseUint(digits, 10, 62)
	if err != nil {
		return 0, err
	}
	unit := int64(1)
	switch suffix := text[len(digits):]; suffix {
	case "", "c", "B":
	case "w":
		unit = 2
	case "b":
		unit = 512
	default:
		power := strings.IndexByte(units, strings.ToUpper(suffix[:1])[0])
		base := int64(1024)
		switch suffix[1:] {
		case "", "iB":
		case "B":
			base = 1000
		default:
			power = -1
		}
		if power < 0 {
			return 0, strconv.ErrSyntax
		}
		for range power + 1 {
			unit *= base
		}
	}
	if n != 0 && int64(n) > (1<<63-1)/unit {
		return 0, strconv.ErrRange
	}
	return int64(n) * unit, nil
}
