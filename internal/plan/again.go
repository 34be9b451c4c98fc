package plan

import "fmt"

// HasUsrOf reports whether /usr is planned as in another plan.
func (b *Boot) HasUsrOf(other *Boot) bool { return b.usrText() == other.usrText() }

// HasRootOf reports whether the root is planned as in another plan.
func (b *Boot) HasRootOf(other *Boot) bool { return b.rootText() == other.rootText() }

// usrText has all that is planned for /usr.
func (b *Boot) usrText() string {
	usr := b.Usr
	usr.Volume = nil
	return fmt.Sprintf("%+v %s %+v", usr, volumeText(b.Usr.Volume), b.Verity)
}

// rootText has all that is planned for the root.
func (b *Boot) rootText() string {
	return fmt.Sprintf("%+v %s %v", b.Root, volumeText(b.RootVolume), b.SkipCheck)
}

func volumeText(v *Volume) string {
	if v == nil {
		return "-"
	}
	// What is behind pointers is compared as well.
	values := *v
	text := ""
	if bare := v.Options.Bare; bare != nil {
		text += fmt.Sprintf(" bare %+v", *bare)
	}
	if parity := v.Options.FEC; parity != nil {
		text += fmt.Sprintf(" parity %+v", *parity)
	}
	values.Options.Bare, values.Options.FEC = nil, nil
	return fmt.Sprintf("%+v", values) + text
}
