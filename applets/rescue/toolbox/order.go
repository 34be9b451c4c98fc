package toolbox

import "slices"

// order sorts a list and keeps what is equal in its order. Sorting places rather than elements keeps the program small: the
// library's code exists once for each type of element otherwise.
func order[T any](list []T, compare func(a, b *T) int) {
	places := make([]int, len(list))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(i, j int) int { return compare(&list[i], &list[j]) })
	old := slices.Clone(list)
	for i, place := range places {
		list[i] = old[place]
	}
}
