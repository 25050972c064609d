// Package page is what an operator looks at in a browser: whether the onion can be reached, who is here in numbers,
// what is refused and why, and how it was over the last hour, day, 60 days and five years. It looks and does not act.
//
//	GET /                 the page; ?span=recent, minute, hour or day chooses the past
//	GET /page/now         the numbers of now, which the page fetches anew every few seconds
//	GET /page/past?span=… the graphs, which it fetches anew every minute
//	GET /page/…           style sheet, script and icon
//
// The page is made here and complete without its script. Everything is from the same origin, nothing is inline, and
// the policy that goes with it allows nothing else, so that no text of a report can become more than text.
package page
