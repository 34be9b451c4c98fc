package plan

import "fmt"

// Shadow is a file of one image that another one hides. Which one wins follows from the order of their names alone,
// which is easily overlooked: digits are newer than letters.
type Shadow struct {
	Path string // with the hierarchy
	// By and Hidden are names of images.
	By, Hidden string
}

func (s Shadow) String() string {
	return fmt.Sprintf("%s of %q is hidden by that of %q", s.Path, s.Hidden, s.By)
}

// findShadows goes through the images from the oldest to the newest.
func findShadows(in MergeInput, names []string, accepted map[string]Candidate) []Shadow {
	var shadows []Shadow
	for _, h := range in.Hierarchies {
		owner := map[string]string{}
		for _, name := range names {
			for _, file := range accepted[name].Files[h.Path] {
				if hidden, taken := owner[file]; taken {
					shadows = append(shadows, Shadow{Path: h.Path + "/" + file, By: name, Hidden: hidden})
				}
				owner[file] = name
			}
		}
	}
	return shadows
}
