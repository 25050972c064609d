//go:build race

package onion

// raced: our memory is too large to be searched, and to start is slow.
const raced = true
