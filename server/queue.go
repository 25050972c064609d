package server

import "container/heap"

// A claimant knows whether its turn is before another's, and keeps its place in the queue.
type claimant[E any] interface {
	before(E) bool
	place() *int
}

// A queue holds elements by their turn. One may be taken out wherever it is, by its place, which is -1 once it has left.
type queue[E claimant[E]] []E

// add puts e in the queue.
func (q *queue[E]) add(e E) { heap.Push(q, e) }

// next takes out the one whose turn it is. There must be one.
func (q *queue[E]) next() E { return heap.Pop(q).(E) }

// remove takes out e, and reports false if it is not there.
func (q *queue[E]) remove(e E) bool {
	at := *e.place()
	if at < 0 {
		return false
	}
	heap.Remove(q, at)
	return true
}

// Len implements heap.Interface.
func (q queue[E]) Len() int { return len(q) }

// Less implements heap.Interface.
func (q queue[E]) Less(i, j int) bool { return q[i].before(q[j]) }

// Swap implements heap.Interface.
func (q queue[E]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	*q[i].place(), *q[j].place() = i, j
}

// Push implements heap.Interface.
func (q *queue[E]) Push(x any) {
	e := x.(E)
	*e.place() = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue[E]) Pop() any {
	old := *q
	last := len(old) - 1
	e := old[last]
	var none E
	old[last] = none
	*q = old[:last]
	*e.place() = -1
	return e
}
