//go:build !race

package onion

const raced = false
