package main

import (
	"maps"
	"slices"
	"strings"
)

// suggest returns `; did you mean "x"?` with the known name nearest to an unknown one, or nothing when
// none is near. A key in the wrong table is near to its namesake.
func suggest(unknown string, known map[string]bool) string {
	best, least := "", 3+len(unknown)/8
	for _, name := range slices.Sorted(maps.Keys(known)) {
		d := distance(strings.ToLower(unknown), strings.ToLower(name))
		if last(unknown) == last(name) {
			d = min(d, 1)
		} else if !strings.Contains(unknown, ".") {
			d = min(d, distance(strings.ToLower(unknown), last(name))+1)
		}
		if d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}

func last(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// distance is the number of bytes to insert, delete or replace to get from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
